"""The admin consent endpoint, in both its forms, held against the redirects of the documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from sandbox.browser import SignInRefusedError, sign_in
from sandbox.options import CLIENT_ID, REDIRECT_URI
from sandbox.people import CONTOSO, FABRIKAM

SAMPLES = json.loads(
    (Path(__file__).parent.parent / "samples" / "microsoft" / "adminconsent-redirects.json").read_text()
)
SCOPE = "https://graph.microsoft.com/Calendars.Read https://graph.microsoft.com/Mail.Read"
ASKED = {"client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI, "state": "12345", "scope": SCOPE}


def link(client, tenant="organizations", *, older=False, **changed):
    query = {name: value for name, value in {**ASKED, **changed}.items() if value}
    path = f"{tenant}/adminconsent" if older else f"{tenant}/v2.0/adminconsent"
    return client.session.prepare_request(requests.Request("GET", f"{client.authority}/{path}", params=query)).url


def visit(client, upn="ada@contoso.example", *, consent=True, **how):
    return sign_in(link(client, **how), upn, consent=consent, session=client.session)


def query(url):
    return parse_qsl(urlsplit(url).query)


@pytest.mark.parametrize("tenant", ["organizations", CONTOSO.tid, CONTOSO.domain])
@pytest.mark.parametrize("upn", ["ada@contoso.example", "admin@contoso.example"])
def test_consent_returns_what_the_sample_shows_and_no_code(client, sandbox, tenant, upn):
    back = query(visit(client, upn, tenant=tenant))
    assert [name for name, _ in back] == [name for name, _ in query(SAMPLES["success"])]
    assert dict(back) == {"admin_consent": "True", "tenant": CONTOSO.tid, "scope": SCOPE, "state": "12345"}
    assert sandbox.counters["adminconsent"] == sandbox.counters["consent_tenant"] == 1


def test_a_decline_says_admin_consent_too_in_the_words_of_the_sample(client, sandbox):
    masked = [
        re.sub(r"(ID%3a\+)[0-9a-f-]+|\d{4}-\d\d-\d\d\+\d\d%3a\d\d%3a\d\d", r"\1*", urlsplit(url).query)
        for url in (visit(client, consent=False), SAMPLES["declined"])
    ]
    assert masked[0] == masked[1]
    assert sandbox.control.consents() == []


def test_the_older_form_asks_for_what_the_app_is_registered_for(client, sandbox):
    back = dict(query(visit(client, older=True, scope="")))
    assert back == {"admin_consent": "True", "tenant": CONTOSO.tid, "state": "12345"}
    (consent,) = sandbox.control.consents()
    assert (consent["consentType"], consent["principal"]) == ("AllPrincipals", None)
    assert {"Calendars.ReadBasic", "offline_access"} <= set(consent["scope"].split())


def test_everybody_is_spared_the_screen_afterwards(client, sandbox):
    visit(client)
    assert "access_token" in client.tokens("ann@contoso.example")
    assert sandbox.counters["consent_user"] == 0
    client.tokens("fay@fabrikam.example")
    assert sandbox.counters["consent_user"] == 1


def test_default_stands_for_the_registered_permissions(client, sandbox):
    visit(client, scope="https://graph.microsoft.com/.default")
    assert "Calendars.ReadBasic" in sandbox.control.consents()[0]["scope"].split()


@pytest.mark.parametrize(
    ("how", "upn", "why"),
    [
        ({}, "ann@contoso.example", "AADSTS90094"),
        ({}, "casey@outlook.example", "personal account"),
        ({}, "nobody@contoso.example", "may be incorrect"),
        ({"tenant": FABRIKAM.domain}, "ada@contoso.example", "AADSTS50020"),
        ({"tenant": "common"}, "ada@contoso.example", "AADSTS90002"),
        ({"tenant": "consumers"}, "ada@contoso.example", "AADSTS90002"),
        ({"tenant": "nowhere.example"}, "ada@contoso.example", "AADSTS90002"),
        ({"client_id": "another"}, "ada@contoso.example", "AADSTS700016"),
        ({"redirect_uri": "https://evil.example/"}, "ada@contoso.example", "AADSTS50011"),
        ({"scope": ""}, "ada@contoso.example", "AADSTS900144"),
        ({"scope": "Weather.Read"}, "ada@contoso.example", "AADSTS70011"),
    ],
)
def test_what_cannot_be_consented_stays_on_the_page(client, sandbox, how, upn, why):
    with pytest.raises(SignInRefusedError, match=why):
        visit(client, upn, **how)
    assert sandbox.control.consents() == []


def test_a_disabled_app_and_a_blocked_administrator_stay_on_the_page(client, sandbox):
    sandbox.control.set({"conditions": {"ada@contoso.example": {"conditional_access": True}}})
    with pytest.raises(SignInRefusedError, match="AADSTS53003"):
        visit(client)
    sandbox.control.set({"app_disabled": True})
    with pytest.raises(SignInRefusedError, match="AADSTS7000112"):
        visit(client, "admin@contoso.example")


@pytest.mark.parametrize(("replaces", "kept"), [(False, True), (True, False)])
def test_granting_again_may_end_what_was_granted_before(client, sandbox, replaces, kept):
    sandbox.control.set({"admin_consent_replaces": replaces})
    visit(client)
    visit(client, scope="Calendars.ReadBasic")
    assert ("Mail.Read" in sandbox.control.consents()[0]["scope"].split()) is kept


def test_a_personal_consent_is_a_principals_and_an_organisations_is_all_principals(client, sandbox):
    client.tokens("ann@contoso.example")
    client.tokens("ada@contoso.example", admin_tick=True)
    client.tokens("bob@contoso.example")
    found = client.session.get(f"{client.authority}/_sandbox/consents", timeout=5).json()
    assert [(consent["consentType"], consent["principal"]) for consent in found] == [
        ("Principal", "ann@contoso.example"),
        ("AllPrincipals", None),
    ]
    sandbox.control.set({"withdraw_consent": "contoso"})
    assert sandbox.control.consents() == []
