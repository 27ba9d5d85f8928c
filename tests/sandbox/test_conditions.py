"""Conditions of users and tenants: they refuse at sign-in and at refresh until they are cured."""

from __future__ import annotations

import pytest

from sandbox import Sandbox, aadsts
from sandbox.browser import SignInRefusedError
from sandbox.conditions import KINDS
from sandbox.people import CONTOSO

ADA = "ada@contoso.example"
HOUR = 3600

# condition, value, what a refresh is told, and the number on Entra's page at a new sign-in (0: it passes)
CASES = [
    ("mfa", True, ("invalid_grant", 50076, "basic_action"), 0),
    ("conditional_access", True, ("invalid_grant", 53003, "message_only"), 53003),
    ("conditional_access", 53000, ("invalid_grant", 53000, "message_only"), 53000),
    ("conditional_access", 530032, ("invalid_grant", 530032, "message_only"), 530032),
    ("not_assigned", True, ("invalid_grant", 50105, None), 50105),
    ("sign_in_frequency", HOUR, ("invalid_grant", 70043, "bad_token"), 0),
    ("inactive", True, ("invalid_grant", 700082, "bad_token"), 0),
    ("refuse", 50053, ("invalid_grant", 50053, None), None),
    ("refuse", 90033, ("temporarily_unavailable", 90033, None), None),
    ("deleted", True, ("invalid_tenant", 90002, None), 90002),
    ("wrong_cloud", True, ("invalid_request", 90038, None), 90038),
    ("app_removed", True, ("unauthorized_client", 700016, None), 0),
]


def refused(client, token):
    answer = client.refresh(token)
    return answer["error"], *answer["error_codes"], answer.get("suberror")


@pytest.mark.parametrize(("kind", "value", "told", "page"), CASES)
def test_a_condition_lasts_until_it_is_cured(client, sandbox, clock, kind, value, told, page):
    whose = "contoso" if kind in {"deleted", "wrong_cloud", "app_removed"} else ADA
    token = client.tokens(ADA)["refresh_token"]
    clock.advance(HOUR)
    sandbox.control.set({"conditions": {whose: {kind: value}}})
    clock.advance(1)
    # A transient answer is a 5xx for MSAL, which raises instead; that is tested beside the faults.
    if told[0] != "temporarily_unavailable":
        assert [refused(client, token) for _ in range(2)] == [told, told]
    if page:
        with pytest.raises(SignInRefusedError, match=f"AADSTS{page}"):
            client.tokens(ADA)
    elif page == 0:
        assert "access_token" in client.refresh(client.tokens(ADA)["refresh_token"])
    sandbox.control.set({"cure": whose})
    assert "access_token" in client.refresh(client.tokens(ADA)["refresh_token"])


@pytest.mark.parametrize("whose", ["contoso", "contoso.example", CONTOSO.tid, "*"])
def test_a_condition_may_be_a_whole_tenants(client, sandbox, whose):
    tokens = {upn: client.tokens(upn)["refresh_token"] for upn in (ADA, "ann@contoso.example", "fay@fabrikam.example")}
    sandbox.control.set({"conditions": {whose: {"conditional_access": True}}})
    errors = {upn: client.refresh(token).get("error_codes") for upn, token in tokens.items()}
    assert errors == {
        ADA: [53003],
        "ann@contoso.example": [53003],
        "fay@fabrikam.example": [53003] if whose == "*" else None,
    }


def test_a_users_own_condition_is_nobody_elses(client, sandbox):
    token = client.tokens("ann@contoso.example")["refresh_token"]
    sandbox.control.set({"conditions": {ADA: {"conditional_access": True}}})
    assert "access_token" in client.refresh(token)


def test_the_mfa_error_brings_claims_that_a_sign_in_with_a_second_step_satisfies(client, sandbox):
    token = client.tokens(ADA)["refresh_token"]
    sandbox.control.set({"conditions": {ADA: {"mfa": True}}})
    claims = client.refresh(token)["claims"]
    assert "capolids" in claims
    app = client.app()
    flow = app.initiate_auth_code_flow(
        ["Calendars.Read"], redirect_uri=client.redirect_uri, response_mode="query", claims_challenge=claims
    )
    with pytest.raises(SignInRefusedError, match="AADSTS50074"):
        client.back(flow, ADA, mfa=False)
    tokens = app.acquire_token_by_auth_code_flow(flow, client.back(flow, ADA))
    assert "access_token" in client.refresh(tokens["refresh_token"])
    assert client.refresh(token)["error_codes"] == [50076]


def test_claims_alone_demand_the_second_step(client):
    app = client.app()
    flow = app.initiate_auth_code_flow(
        ["Calendars.Read"],
        redirect_uri=client.redirect_uri,
        response_mode="query",
        claims_challenge='{"access_token":{"acrs":{"essential":true,"value":"c1"}}}',
    )
    with pytest.raises(SignInRefusedError, match="AADSTS50074"):
        client.back(flow, ADA, mfa=False)


def test_an_app_removed_from_a_tenant_is_back_with_the_next_consent(client, sandbox):
    token = client.tokens(ADA)["refresh_token"]
    sandbox.control.set({"conditions": {"contoso": {"app_removed": True}}})
    assert client.refresh(token)["error_codes"] == [700016]
    client.tokens(ADA)
    assert sandbox.counters["consent_user"] == 2
    assert sandbox.control.conditions() == {}


def test_a_deleted_tenant_has_no_discovery_document(client, sandbox):
    sandbox.control.set({"conditions": {"contoso": {"deleted": True}}})
    url = f"{client.authority}/{CONTOSO.tid}/v2.0/.well-known/openid-configuration"
    assert client.session.get(url, timeout=5).json()["error_codes"] == [90002]


@pytest.mark.parametrize(("asked", "number"), [(90094, 90094), (90095, 90095), (True, 90094)])
def test_a_consent_that_needs_approval_comes_back_as_access_denied(client, sandbox, asked, number):
    sandbox.control.set({"conditions": {"contoso": {"approval": asked}}})
    for consent in (True, False):
        back = client.back(client.flow(), "ann@contoso.example", consent=consent)
        assert (back["error"], f"AADSTS{number}:" in back["error_description"]) == ("access_denied", True)
    assert "code" in client.back(client.flow(), "ada@contoso.example", admin_tick=True)
    assert "code" in client.back(client.flow(), "ann@contoso.example")


def test_approval_can_be_requested_where_the_workflow_exists(client, sandbox):
    sandbox.control.set({"conditions": {"contoso": {"approval": 90095}}})
    form = {"request": client.flow()["auth_uri"].partition("?")[2], "account": "ann@contoso.example"}
    where = f"{client.authority}/organizations/oauth2/v2.0"
    page = client.session.post(f"{where}/signin", data=form, timeout=5)
    assert "Request approval" in page.text
    sent = client.session.post(f"{where}/consent", data={**form, "approval": "90095", "decision": "request"}, timeout=5)
    assert "Your request was sent" in sent.text
    assert sandbox.counters["approval_requested:ann@contoso.example"] == 1


def test_a_password_reset_ends_grants_until_the_next_sign_in(client, sandbox, clock):
    old = client.tokens(ADA)["refresh_token"]
    clock.advance(60)
    sandbox.control.set({"revoke_refresh_tokens": "contoso"})
    answer = client.refresh(old)
    assert answer["error_codes"] == [50173]
    assert "issued on '2027-03-15T08:00:00" in answer["error_description"]
    assert "is '2027-03-15T08:01:00" in answer["error_description"]
    assert "access_token" in client.refresh(client.tokens(ADA)["refresh_token"])
    assert client.refresh(old)["error_codes"] == [50173]


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ({"registration": {"client_secret": "changed"}}, [7000215]),
        ({"secret_expired": True}, [7000222]),
        ({"app_disabled": True}, [7000112]),
        ({"registration": {"client_id": "another"}}, [700016]),
    ],
)
def test_what_is_wrong_with_our_registration_hits_every_tenant(client, sandbox, wanted, error):
    tokens = [client.tokens(upn)["refresh_token"] for upn in (ADA, "fay@fabrikam.example")]
    sandbox.control.set(wanted)
    assert [client.refresh(token)["error_codes"] for token in tokens] == [error, error]


@pytest.mark.parametrize(
    "wanted",
    [
        {ADA: {"deleted": True}},
        {ADA: {"no_such_kind": True}},
        {ADA: {"conditional_access": 50076}},
        {ADA: {"refuse": 1}},
        {ADA: {"sign_in_frequency": "often"}},
        {ADA: {"mfa": "yes"}},
        {"nobody@contoso.example": {"mfa": True}},
    ],
)
def test_a_condition_that_does_not_exist_is_refused(sandbox, wanted):
    with pytest.raises(ValueError, match=r"none of|cannot be|condition of tenants|does not exist"):
        sandbox.control.set({"conditions": wanted})
    assert sandbox.control.conditions() == {}


def test_conditions_survive_a_restart_and_everything_can_be_cured_at_once(tmp_path, clock):
    first = Sandbox(clock=clock, state_dir=tmp_path)
    first.control.set({"conditions": {ADA: {"mfa": True, "cae": "keeps"}, "contoso": {"wrong_cloud": True}}})
    second = Sandbox(clock=clock, state_dir=tmp_path)
    assert second.control.conditions() == {ADA: {"mfa": True, "cae": "keeps"}, CONTOSO.domain: {"wrong_cloud": True}}
    second.control.set({"conditions": {ADA: {"cae": False}}})
    assert second.control.conditions()[ADA] == {"mfa": True}
    second.control.set({"cure": "*"})
    assert Sandbox(clock=clock, state_dir=tmp_path).control.conditions() == {}


def test_every_condition_is_tested_here_or_beside_graph():
    assert set(KINDS) == {kind for kind, *_ in CASES} | {"cae", "approval"}


def test_every_code_a_holder_of_refresh_tokens_meets_can_be_had():
    wanted = (
        "50173 700082 700084 70008 70000 70043 65001 65004 90094 90095 50076 50079 50074 50072 50078 53003 530032 "
        "53000 50057 50034 51004 50053 50055 50105 50020 90072 16000 700016 500011 650052 650056 90002 90038 7000215 "
        "7000222 700027 7000112 54005 501481 50011 9002313 50196 90033 90012 90024 90006 50033 50058 135010 500021 "
        "500212 500213"
    )
    assert {int(number) for number in wanted.split()} <= set(aadsts.TABLE)
