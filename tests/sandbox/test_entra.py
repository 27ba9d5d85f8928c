"""Sign-in, consent and tokens, driven by MSAL."""

from __future__ import annotations

import datetime as dt

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from sandbox import Sandbox
from sandbox.browser import SignInRefusedError
from sandbox.intercept import intercepted
from sandbox.options import CLIENT_ID
from sandbox.people import CONTOSO, FABRIKAM, PERSONAL


def codes_of(answer):
    return answer["error"], answer["error_codes"]


def test_msal_signs_in_redeems_the_code_and_refreshes(client, sandbox):
    tokens = client.tokens("ada@contoso.example")
    again = client.refresh(tokens["refresh_token"])
    assert again["access_token"] != tokens["access_token"]
    assert again["refresh_token"] != tokens["refresh_token"]
    assert client.ask(again["access_token"], ["ada@contoso.example"]).status_code == 200
    counts = sandbox.counters.as_json()
    assert (counts["authorize"], counts["token_code"], counts["token_refresh"], counts["get_schedule"]) == (
        1,
        1,
        1,
        1,
    )


def test_the_answer_names_scopes_and_identity_as_microsoft_does(client):
    tokens = client.tokens("ada@contoso.example")
    claims = tokens["id_token_claims"]
    assert set(tokens["scope"].split()) == {"https://graph.microsoft.com/Calendars.Read", "openid", "profile"}
    assert claims["aud"] == CLIENT_ID
    assert claims["tid"] == CONTOSO.tid
    assert claims["iss"] == f"{client.authority}/{CONTOSO.tid}/v2.0"
    assert claims["preferred_username"] == "ada@contoso.example"
    assert tokens["expires_in"] == 3599
    keys = client.session.get(f"{client.authority}/organizations/discovery/v2.0/keys", timeout=5).json()["keys"]
    assert jwt.decode(
        tokens["id_token"],
        jwt.PyJWK(keys[0]),
        audience=CLIENT_ID,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    ) == {**claims}


@pytest.mark.parametrize(
    ("tenant", "issuer"),
    [
        ("organizations", "{tenantid}"),
        ("common", "{tenantid}"),
        ("contoso.example", CONTOSO.tid),
        (FABRIKAM.tid, FABRIKAM.tid),
        ("consumers", PERSONAL.tid),
    ],
)
def test_discovery_names_the_issuer_of_the_tenant(client, tenant, issuer):
    url = f"{client.authority}/{tenant}/v2.0/.well-known/openid-configuration"
    document = client.session.get(url, timeout=5).json()
    assert document["issuer"] == f"{client.authority}/{issuer}/v2.0"
    assert document["token_endpoint"] == f"{client.authority}/{tenant}/oauth2/v2.0/token"


def test_an_unknown_tenant_has_no_discovery_document(client):
    url = f"{client.authority}/nowhere.example/v2.0/.well-known/openid-configuration"
    answer = client.session.get(url, timeout=5)
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90002])


def test_the_pages_say_what_is_asked_and_that_this_is_not_microsoft(client):
    flow = client.flow()
    picker = client.session.get(flow["auth_uri"], timeout=5)
    raw = flow["auth_uri"].partition("?")[2]
    consent = client.session.post(
        f"{client.authority}/organizations/oauth2/v2.0/signin",
        data={"request": raw, "account": "ada@contoso.example"},
        timeout=5,
    )
    for page in (picker, consent):
        assert "Sandbox: not Microsoft" in page.text
        assert "<script" not in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for text in (
        "Maintain access to data you have given it access to",
        "Sign you in and read your profile",
        "Read your calendars",
        "Consent on behalf of your organization",
    ):
        assert text in consent.text


def test_a_plain_user_is_not_offered_consent_for_the_organisation(client):
    with pytest.raises(SignInRefusedError):
        client.back(client.flow(), "ann@contoso.example", admin_tick=True)


def test_consent_for_the_organisation_spares_colleagues_the_screen(client, sandbox):
    client.tokens("ada@contoso.example", admin_tick=True)
    client.tokens("ann@contoso.example")
    assert sandbox.counters["consent_tenant"] == 1
    assert sandbox.counters["consent_user"] == 0


def test_personal_consent_covers_nobody_else(client, sandbox):
    client.tokens("ada@contoso.example")
    client.tokens("ann@contoso.example")
    assert sandbox.counters["consent_user"] == 2


def test_prompt_consent_asks_again(client, sandbox):
    client.tokens("ada@contoso.example", admin_tick=True)
    client.back(client.flow(prompt="consent"), "ada@contoso.example", admin_tick=True)
    assert sandbox.counters["consent_tenant"] == 2


def test_a_declined_consent_comes_back_as_access_denied(client, sandbox):
    flow = client.flow()
    back = client.back(flow, "ada@contoso.example", consent=False)
    assert back["error"] == "access_denied"
    assert "AADSTS65004" in back["error_description"]
    assert back["state"] == flow["state"]
    assert sandbox.counters["consent_cancelled"] == 1


def test_where_users_may_not_consent_an_administrator_must_approve(client, sandbox):
    sandbox.options.user_consent = False
    back = client.back(client.flow(), "ann@contoso.example")
    assert back["error"] == "access_denied"
    assert "AADSTS90094" in back["error_description"]


@pytest.mark.parametrize("upn", ["casey@outlook.example", "nobody@contoso.example", "room1@contoso.example", ""])
def test_an_account_that_may_not_sign_in_stays_on_the_page(client, upn):
    with pytest.raises(SignInRefusedError):
        client.back(client.flow(), upn)


def test_a_personal_account_passes_only_where_it_may(client, sandbox):
    sandbox.options.allow_personal = True
    tokens = client.tokens("casey@outlook.example")
    assert tokens["id_token_claims"]["tid"] == PERSONAL.tid
    assert client.ask(tokens["access_token"], ["casey@outlook.example"]).status_code == 403


def test_an_account_of_another_tenant_is_refused_by_a_named_tenant(client):
    with pytest.raises(SignInRefusedError, match="AADSTS50020"):
        client.back(client.flow(tenant=FABRIKAM.tid), "ada@contoso.example")


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"redirect_uri": "https://evil.example/"}, "AADSTS50011"), ({"client_id": "another"}, "AADSTS700016")],
)
def test_a_wrong_registration_never_returns_to_the_application(client, changed, code):
    url = f"{client.authority}/organizations/oauth2/v2.0/authorize"
    asked = {
        "client_id": CLIENT_ID,
        "redirect_uri": "http://localhost:8000/connect/callback/",
        "response_type": "code",
        "scope": "openid",
    }
    page = client.session.get(url, params={**asked, **changed}, allow_redirects=False, timeout=5)
    assert page.status_code == 400
    assert code in page.text


def test_a_code_works_once(client):
    flow = client.flow()
    back = client.back(flow, "ada@contoso.example")
    assert "access_token" in client.app().acquire_token_by_auth_code_flow(flow, back)
    assert codes_of(client.app().acquire_token_by_auth_code_flow(flow, back)) == ("invalid_grant", [54005])


@pytest.mark.parametrize(("seconds", "error"), [(600, None), (601, [70008])])
def test_a_code_lives_ten_minutes(client, clock, seconds, error):
    flow = client.flow()
    back = client.back(flow, "ada@contoso.example")
    clock.advance(seconds)
    assert client.app().acquire_token_by_auth_code_flow(flow, back).get("error_codes") == error


def test_the_verifier_must_match_the_challenge(client):
    flow = client.flow()
    back = client.back(flow, "ada@contoso.example")
    answer = client.app().acquire_token_by_auth_code_flow({**flow, "code_verifier": "x" * 43}, back)
    assert codes_of(answer) == ("invalid_grant", [501481])


def test_an_invented_code_is_malformed(client):
    flow = client.flow()
    answer = client.app().acquire_token_by_auth_code_flow(flow, {"code": "invented", "state": flow["state"]})
    assert codes_of(answer) == ("invalid_grant", [9002313])


def test_the_old_refresh_token_stays_valid_in_microsofts_way(client):
    first = client.tokens()["refresh_token"]
    assert "access_token" in client.refresh(first)
    assert "access_token" in client.refresh(first)


def test_each_refresh_token_works_once_in_the_strict_way(client, sandbox):
    sandbox.options.rotation = "strict"
    first = client.tokens()["refresh_token"]
    second = client.refresh(first)["refresh_token"]
    assert client.refresh(first)["error_codes"] == [70000]
    assert "access_token" in client.refresh(second)


@pytest.mark.parametrize(
    ("control", "error"),
    [
        ({"revoke_refresh_tokens": "ada@contoso.example"}, ("invalid_grant", [50173])),
        ({"withdraw_consent": "contoso"}, ("invalid_grant", [65001])),
        ({"withdraw_consent": "ada@contoso.example"}, ("invalid_grant", [65001])),
        ({"disable_user": "*"}, ("invalid_grant", [50057])),
        ({"advance_clock": 90 * 86400}, ("invalid_grant", [700082])),
        ({"secret_expired": True}, ("invalid_client", [7000222])),
    ],
)
def test_a_refresh_is_refused_as_microsoft_refuses_it(client, sandbox, control, error):
    token = client.tokens()["refresh_token"]
    sandbox.control.set(control)
    answer = client.refresh(token)
    assert codes_of(answer) == error
    assert answer["error_description"].startswith(f"AADSTS{error[1][0]}: ")
    assert "\r\nTrace ID: " in answer["error_description"]


def test_a_revocation_leaves_others_and_later_sign_ins_alone(client, sandbox):
    other = client.tokens("ann@contoso.example")["refresh_token"]
    client.tokens("ada@contoso.example")
    sandbox.control.set({"revoke_refresh_tokens": "ada@contoso.example"})
    assert "access_token" in client.refresh(other)
    assert "access_token" in client.refresh(client.tokens("ada@contoso.example")["refresh_token"])


def test_a_wrong_secret_is_an_invalid_client(client):
    token = client.tokens()["refresh_token"]
    client.credential = "wrong"
    assert codes_of(client.refresh(token)) == ("invalid_client", [7000215])


def test_a_scope_not_consented_is_refused(client):
    token = client.tokens()["refresh_token"]
    assert client.refresh(token, scopes=("Mail.Read",))["error_codes"] == [65001]
    assert client.refresh(token, scopes=("Weather.Read",))["error_codes"] == [70011]


def test_scopes_may_be_more_or_fewer_than_asked(client, sandbox):
    sandbox.control.set({"extra_scopes": ["User.Read"], "missing_scopes": ["Calendars.Read"], "scope_form": "short"})
    assert set(client.tokens()["scope"].split()) == {"openid", "profile", "User.Read"}


def test_claims_can_be_forged_and_the_refresh_token_left_out_for_tests(client, sandbox):
    sandbox.control.set({"id_token_claims": {"tid": "elsewhere", "name": None}, "omit_refresh_token": True})
    tokens = client.tokens()
    assert tokens["id_token_claims"]["tid"] == "elsewhere"
    assert "name" not in tokens["id_token_claims"]
    assert "refresh_token" not in tokens


def certificate():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), made.public_bytes(serialization.Encoding.PEM).decode()


def test_a_registered_certificate_takes_the_place_of_the_secret(client, sandbox):
    token = client.tokens()["refresh_token"]
    private, public = certificate()
    stranger_private, stranger_public = certificate()
    sandbox.registration.certificates = (public,)
    # MSAL dates its assertions by the machine's clock.
    sandbox.clock.advance(dt.datetime.now(dt.UTC).timestamp() - sandbox.clock.now())
    client.credential = {"private_key": private, "public_certificate": public}
    assert "error" not in client.tokens()
    client.credential = {"private_key": stranger_private, "public_certificate": stranger_public}
    assert codes_of(client.refresh(token)) == ("invalid_client", [700027])


def test_grants_survive_a_restart_with_the_same_state(tmp_path, clock, client, session):
    with intercepted(
        Sandbox(clock=clock, state_dir=tmp_path),
        authority="https://kept.test",
        graph="https://kept.test/v1.0",
    ):
        client.authority, client.graph = "https://kept.test", "https://kept.test/v1.0"
        tokens = client.tokens("ada@contoso.example", admin_tick=True)
    second = Sandbox(clock=clock, state_dir=tmp_path)
    with intercepted(second, authority="https://kept.test", graph="https://kept.test/v1.0"):
        assert client.ask(tokens["access_token"], ["ada@contoso.example"]).status_code == 200
        assert "access_token" in client.refresh(tokens["refresh_token"])
        client.tokens("ann@contoso.example")
        assert second.counters["consent_user"] == 0
        second.control.set({"revoke_refresh_tokens": "*"})
    third = Sandbox(clock=clock, state_dir=tmp_path)
    with intercepted(third, authority="https://kept.test", graph="https://kept.test/v1.0"):
        assert client.refresh(tokens["refresh_token"])["error_codes"] == [50173]


def test_tokens_of_another_sandbox_mean_nothing(client, clock):
    tokens = client.tokens()
    client.authority, client.graph = "https://stranger.test", "https://stranger.test/v1.0"
    with intercepted(Sandbox(clock=clock), authority=client.authority, graph=client.graph):
        assert client.refresh(tokens["refresh_token"])["error_codes"] == [70000]
        assert client.ask(tokens["access_token"], ["ada@contoso.example"]).status_code == 401
