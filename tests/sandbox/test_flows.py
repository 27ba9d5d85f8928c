"""Flows that MSAL drives beyond the plain one: response modes, capabilities, claims challenges."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from sandbox.browser import SignInRefusedError, sign_in, sign_in_form_post
from sandbox.claims import Claims, parse_claims
from sandbox.options import CLIENT_ID

ADA = "ada@contoso.example"
SAMPLES = Path(__file__).parent.parent / "samples" / "microsoft"
SCOPES = ["Calendars.Read"]


def begin(client, app, **how):
    return app.initiate_auth_code_flow(SCOPES, redirect_uri=client.redirect_uri, **how)


def test_form_post_brings_the_answer_as_a_form(client):
    app = client.app()
    flow = begin(client, app, response_mode="form_post")
    action, fields = sign_in_form_post(flow["auth_uri"], ADA, session=client.session)
    assert action == client.redirect_uri
    assert "access_token" in app.acquire_token_by_auth_code_flow(flow, fields)


def test_form_post_brings_errors_too(client):
    flow = begin(client, client.app(), response_mode="form_post")
    action, fields = sign_in_form_post(flow["auth_uri"], ADA, consent=False, session=client.session)
    assert (action, fields["error"], fields["state"]) == (client.redirect_uri, "access_denied", flow["state"])


def test_form_post_leaves_refused_accounts_on_the_page(client):
    flow = begin(client, client.app(), response_mode="form_post")
    with pytest.raises(SignInRefusedError, match="may be incorrect"):
        sign_in_form_post(flow["auth_uri"], "nobody@contoso.example", session=client.session)


def test_fragment_puts_the_answer_behind_the_hash(client):
    app = client.app()
    flow = begin(client, app, response_mode="fragment")
    parts = urlsplit(sign_in(flow["auth_uri"], ADA, session=client.session))
    assert parts.query == ""
    assert "access_token" in app.acquire_token_by_auth_code_flow(flow, dict(parse_qsl(parts.fragment)))


def test_another_response_mode_is_refused(client):
    flow = begin(client, client.app(), response_mode="query")
    url = flow["auth_uri"].replace("response_mode=query", "response_mode=pigeon")
    assert "error=invalid_request" in sign_in(url, ADA, session=client.session)


def test_a_silent_request_finds_nobody_signed_in(client):
    flow = client.flow(prompt="none")
    assert "AADSTS50058" in client.back(flow, ADA)["error_description"]


def test_basic_authentication_serves_as_well_as_a_posted_secret(client):
    tokens = client.tokens()
    answer = client.session.post(
        f"{client.authority}/organizations/oauth2/v2.0/token",
        data={"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]},
        auth=(CLIENT_ID, client.credential),
        timeout=5,
    )
    assert (answer.status_code, "access_token" in answer.json()) == (200, True)


def capable(client, upn=ADA):
    """Sign in with an application that declares CP1; return it and its tokens."""
    app = client.app(client_capabilities=["CP1"])
    flow = begin(client, app, response_mode="query")
    return app, app.acquire_token_by_auth_code_flow(flow, client.back(flow, upn))


def challenged(client, token):
    answer = client.ask(token, ["joe@contoso.example"])
    assert answer.status_code == 401
    found = re.search(r'error="insufficient_claims", claims="([^"]+)"', answer.headers["WWW-Authenticate"])
    return base64.b64decode(found[1]).decode()


def test_a_client_that_declares_cp1_gets_tokens_for_a_day(client):
    assert capable(client)[1]["expires_in"] == 86_399
    assert client.tokens()["expires_in"] == 3599


def test_the_claims_of_a_challenge_cure_it(client, sandbox, clock):
    app, tokens = capable(client)
    clock.advance(60)
    sandbox.control.set({"conditions": {ADA: {"cae": "cures"}}})
    claims = challenged(client, tokens["access_token"])
    plain = client.refresh(tokens["refresh_token"])["access_token"]
    assert client.ask(plain, ["joe@contoso.example"]).status_code == 200  # it never declared the capability
    (account,) = app.get_accounts()
    fresh = app.acquire_token_silent_with_error(SCOPES, account, claims_challenge=claims)
    assert client.ask(fresh["access_token"], ["joe@contoso.example"]).status_code == 200
    assert challenged(client, tokens["access_token"]) == claims
    assert sandbox.counters["claims_challenge"] == 2


def test_a_new_token_without_the_claims_does_not_cure(client, sandbox, clock):
    app, tokens = capable(client)
    sandbox.control.set({"conditions": {ADA: {"cae": "cures"}}})
    clock.advance(60)
    (account,) = app.get_accounts()
    fresh = app.acquire_token_silent_with_error(SCOPES, account, force_refresh=True)
    assert fresh["access_token"] != tokens["access_token"]
    challenged(client, fresh["access_token"])


def test_a_challenge_can_outlast_its_claims_until_it_is_cured(client, sandbox):
    app, tokens = capable(client)
    sandbox.control.set({"conditions": {"contoso": {"cae": "keeps"}}})
    (account,) = app.get_accounts()
    for _ in range(2):
        claims = challenged(client, tokens["access_token"])
        tokens = app.acquire_token_silent_with_error(SCOPES, account, claims_challenge=claims)
    sandbox.control.set({"cure": "contoso"})
    assert client.ask(tokens["access_token"], ["joe@contoso.example"]).status_code == 200


def test_a_client_that_declares_nothing_is_spared_unless_told_otherwise(client, sandbox):
    token = client.tokens()["access_token"]
    sandbox.control.set({"conditions": {ADA: {"cae": True}}})
    assert client.ask(token, ["joe@contoso.example"]).status_code == 200
    sandbox.control.set({"cae_for_all": True})
    challenged(client, token)


def test_the_challenge_has_the_form_of_the_sample(client, sandbox):
    _, tokens = capable(client)
    sandbox.control.set({"conditions": {ADA: {"cae": True}}})
    url, headers = f"{client.graph}/me", {"Authorization": f"Bearer {tokens['access_token']}"}
    ours = client.session.get(url, headers=headers, timeout=5).raw.headers.getlist("WWW-Authenticate")
    sample = json.loads((SAMPLES / "graph-401-claims-challenge.headers.json").read_text())["www-authenticate"]
    assert len(ours) == len(sample) == 2
    mask = [re.sub(r'claims="[^"]+"', "claims", header) for header in (ours[0], sample[0])]
    assert mask[0] == mask[1]
    packed = [re.search(r'claims="([^"]+)"', header)[1] for header in (ours[0], sample[1])]
    shapes = [json.loads(base64.b64decode(text))["access_token"]["nbf"] for text in packed]
    assert {type(value) for value in shapes[0].values()} == {type(value) for value in shapes[1].values()}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", Claims()),
        ('{"access_token":{"xms_cc":{"values":["CP1"]}}}', Claims(cp1=True)),
        ('{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}', Claims(nbf=1604106651.0)),
        ('{"access_token":{"acrs":{"essential":true,"value":"c1"}}}', Claims(step_up=True)),
        ('{"id_token":{"auth_time":{"essential":true}}}', Claims()),
    ],
)
def test_claims_are_read_as_documented(text, found):
    assert parse_claims(text) == found


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"access_token":1}', '{"access_token":{"nbf":1}}'])
def test_claims_of_another_shape_are_a_malformed_request(client, text):
    token = client.tokens()["refresh_token"]
    answer = client.app().acquire_token_by_refresh_token(token, SCOPES, data={"claims": text})
    assert answer["error_codes"] == [9002313]
    flow = begin(client, client.app(), response_mode="query", claims_challenge=None)
    url = f"{flow['auth_uri']}&claims={text}"
    assert "error=invalid_request" in sign_in(url, ADA, session=client.session)


def test_instance_discovery_names_the_sandbox_as_a_cloud_of_its_own(client):
    document = client.session.get(f"{client.authority}/common/discovery/instance", timeout=5).json()
    sample = json.loads((SAMPLES / "instance-discovery.recorded-2021.json").read_text())
    assert set(document) == set(sample)
    assert set(document["metadata"][0]) == set(sample["metadata"][0])
    assert document["metadata"][0]["aliases"] == ["login.sandbox.test"]


def test_the_discovery_document_is_a_part_of_microsofts(client):
    url = f"{client.authority}/organizations/v2.0/.well-known/openid-configuration"
    ours = client.session.get(url, timeout=5).json()
    sample = json.loads((SAMPLES / "openid-configuration.recorded-2021.json").read_text())
    assert set(ours) <= set(sample)
    for name in ("response_modes_supported", "token_endpoint_auth_methods_supported", "scopes_supported"):
        assert ours[name] == sample[name]
    assert set(ours["claims_supported"]) <= set(sample["claims_supported"])
