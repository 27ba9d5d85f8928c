"""Every way back from Microsoft is a page that says what happened, who can mend it and what to click."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from microsoft.reasons import reason
from sandbox import Sandbox
from sandbox.browser import sign_in
from tenants import approval
from tenants.models import Account, AuditEntry, Connection, ConsentAttempt, TokenRecord
from tenants.refreshing import refresh_all
from tests.conftest import READER
from tests.factories import make_account

pytestmark = pytest.mark.django_db
CALLBACK = "/connect/callback/?"
PERSON, ADMIN, CADENCE = (
    "You, or whoever signs in",
    "An administrator of your Microsoft 365 organisation",
    "Event Cadence",
)


@pytest.fixture
def account(microsoft: Sandbox) -> Account:
    """One that never consented."""
    return make_account("northwind", name="Northwind Secret Holding")


def text_of(answer: Any) -> str:
    words = re.sub(r"<[^>]*>", " ", answer.content.decode())
    return re.sub(r"\s+", " ", unescape(words))


def last(action: str = "consent") -> AuditEntry:
    entry = AuditEntry.objects.filter(action=action).first()
    assert entry is not None
    return entry


def at_authorize(aadsts: int) -> dict[str, Any]:
    """What the query of the way back says; a person meets it on Microsoft's own pages."""
    return {"error": "access_denied", "error_description": f"AADSTS{aadsts}: words of Microsoft\r\nTrace ID: x"}


# --- what may go wrong, walked through the sandbox -------------------------------------------------------------------

TOKEN, READ = "/token", "getSchedule"
WAYS = [
    ("declined", {}, {"accept": False}, 200, "AADSTS65004", PERSON, "choose Accept"),
    ("approval needed", {"user_consent": False}, {}, 200, "AADSTS90094", ADMIN, "approval link"),
    (
        "personal account",
        {"allow_personal": True},
        {"upn": "casey@outlook.example"},
        200,
        "personal_account",
        PERSON,
        "choose a work account",
    ),
    ("scope missing", {"missing_scopes": ["Calendars.Read"]}, {}, 200, "scope_missing", PERSON, "accept all"),
    (
        "mailbox missing",
        {},
        {"upn": "admin@contoso.example", "mode": "admin"},
        502,
        "MailboxNotEnabledForRESTAPI",
        ADMIN,
        "licence with Exchange Online",
    ),
    ("own address unknown", {"trouble": {READER: "5009"}}, {}, 502, "mailbox_missing", ADMIN, "tick a licence"),
    ("too full", {"trouble": {READER: "5006"}}, {}, 502, "reader_unreadable", PERSON, "another account"),
    ("secret expired", {"secret_expired": True}, {}, 502, "AADSTS7000222", CADENCE, "our fault"),
    (
        "Microsoft down",
        {"faults": [{"path": TOKEN, "status": 503, "times": None}]},
        {},
        502,
        "microsoft_unavailable",
        "Microsoft; usually it passes by itself",
        "Try again later",
    ),
    *[
        (
            f"AADSTS{code} at the exchange",
            {"faults": [{"path": TOKEN, "aadsts": code, "times": None}]},
            {},
            502,
            f"AADSTS{code}",
            actor,
            words,
        )
        for code, actor, words in [
            (65001, PERSON, "accept the permissions"),
            (50076, PERSON, "second factor"),
            (53003, ADMIN, "Sign-in logs"),
            (50105, ADMIN, "Users and groups"),
            (50020, PERSON, "choose a work account of your own organisation"),
            (7000215, CADENCE, "our fault"),
        ]
    ],
]


@pytest.mark.parametrize(
    ("sandbox_says", "how", "status", "code", "actor", "words"), [row[1:] for row in WAYS], ids=[row[0] for row in WAYS]
)
def test_a_way_back_says_what_happened_who_can_mend_it_and_what_to_click(
    account: Account,
    microsoft: Sandbox,
    consent: Callable[..., Any],
    sandbox_says: dict[str, Any],
    how: dict[str, Any],
    status: int,
    code: str,
    actor: str,
    words: str,
) -> None:
    microsoft.control.set(sandbox_says)
    answer = consent(account, **how)
    text = text_of(answer)
    row = reason(code)
    assert answer.status_code == status
    assert row.title in text and row.cause in text and f"Who can mend it {actor}" in text and words in text
    assert f'href="{account.consent_url}"' in answer.content.decode()
    entry = last()
    assert (entry.outcome, entry.account) == (code, account)
    assert entry.request_id == answer.headers["X-Request-ID"]
    assert entry.request_id in text and code in text
    assert not TokenRecord.objects.exists()


def test_the_audit_entry_of_an_unreadable_reader_keeps_microsofts_own_code(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    microsoft.control.set({"trouble": {READER: "5006"}})
    consent(account)
    assert last().details["detail"] == "5006"


def test_a_403_under_the_shared_scope_names_the_scope_as_the_cause(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any], settings: Any
) -> None:
    settings.MICROSOFT_CALENDAR_SCOPE = "Calendars.Read.Shared"
    answer = consent(account)
    assert answer.status_code == 502
    assert "Calendars.Read.Shared" in text_of(answer) and "Calendars.Read instead" in text_of(answer)
    assert (last().outcome, last().details["detail"]) == ("scope_not_enough", "ErrorAccessDenied")


def test_a_403_under_another_scope_does_not_blame_it(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    microsoft.control.set({"faults": [{"path": READ, "status": 403, "times": None}]})
    assert "Calendars.Read.Shared" not in text_of(consent(account))
    assert last().outcome == "ErrorAccessDenied"


def test_another_trouble_under_the_shared_scope_is_not_blamed_on_it(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any], settings: Any
) -> None:
    settings.MICROSOFT_CALENDAR_SCOPE = "Calendars.Read.Shared"
    microsoft.control.set({"faults": [{"path": READ, "status": 503, "times": None}]})
    consent(account)
    assert last().outcome != "scope_not_enough"


@pytest.mark.parametrize("aadsts", [7000222, 7000215, 50011])
def test_our_own_fault_is_one_error_line_and_one_audit_entry_with_what_to_do_about_it(
    account: Account,
    microsoft: Sandbox,
    consent: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    aadsts: int,
) -> None:
    microsoft.control.set({"faults": [{"path": TOKEN, "aadsts": aadsts, "times": None}]})
    caplog.set_level(logging.INFO)
    answer = consent(account)
    (line,) = [line for line in caplog.records if line.levelno >= logging.ERROR]
    assert line.getMessage() == f"consent: AADSTS{aadsts}" and line.exc_info is None
    assert last().details["our_fault"] == reason(f"AADSTS{aadsts}").support
    assert "Event Cadence has been told" in text_of(answer)


def test_our_own_fault_at_a_refresh_is_an_error_line_too(
    contoso: Account, microsoft: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    microsoft.control.set({"secret_expired": True})
    refresh_all()
    (line,) = [line for line in caplog.records if line.name == "tenants.vault"]
    assert (line.levelno, vars(line)["code"]) == (logging.ERROR, "AADSTS7000222")


@pytest.mark.parametrize("how", [{"accept": False}, {"upn": "admin@contoso.example", "mode": "admin"}])
def test_what_the_customer_has_to_mend_is_no_error_of_ours(
    account: Account, consent: Callable[..., Any], caplog: pytest.LogCaptureFixture, how: dict[str, Any]
) -> None:
    caplog.set_level(logging.INFO)
    consent(account, **how)
    assert [line for line in caplog.records if line.levelno >= logging.ERROR] == []
    assert "our_fault" not in last().details


def test_our_missing_registration_is_written_down_once(
    account: Account, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MICROSOFT_CLIENT_ID = ""
    Client().post(f"/connect/{account.consent_key}/", {"mode": "admin"})
    assert AuditEntry.objects.filter(action="consent").count() == 1
    assert [line.levelname for line in caplog.records if "registration_missing" in line.getMessage()] == ["ERROR"]


@pytest.mark.parametrize("number", [50076, 53003, 90094, 65001, 500014])
def test_words_of_the_query_are_looked_up_and_never_shown(account: Account, number: int) -> None:
    browser = Client()
    away = browser.post(f"/connect/{account.consent_key}/", {"mode": "admin"})["Location"]
    state = parse_qs(urlsplit(away).query)["state"][0]
    said = {
        "error": "access_denied",
        "error_description": f"AADSTS{number}: <b>evil</b> words",
        "error_uri": "https://evil.example",
        "tenant": "evil-tenant",
        "admin_consent": "evil-consent",
        "state": state,
    }
    answer = browser.get(CALLBACK + urlencode(said))
    assert answer.status_code == 200
    assert f"AADSTS{number}" in text_of(answer)
    assert "evil" not in answer.content.decode() and state not in answer.content.decode()
    assert "evil" not in str(last().details)


# --- the approval of an administrator --------------------------------------------------------------------------------


def refused(account: Account, microsoft: Sandbox, consent: Callable[..., Any], browser: Client | None = None) -> Any:
    """The page of a plain user who may not consent."""
    microsoft.control.set({"user_consent": False})
    answer = consent(account, browser=browser)
    assert answer.status_code == 200
    return answer


def approval_state(account: Account) -> str:
    return parse_qs(urlsplit(approval.link(account)).query)["state"][0]


def come_back(browser: Client, **query: str) -> Any:
    return browser.get(CALLBACK + urlencode(query))


def test_who_lacks_the_right_gets_the_approval_link_and_a_text_for_it(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    html = refused(account, microsoft, consent).content.decode()
    (link,) = {unescape(url) for url in re.findall(r'href="(https://[^"]*/adminconsent[^"]*)"', html)}
    parts = urlsplit(link)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (
        f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://login.sandbox.test/organizations/v2.0/adminconsent"
    )
    assert query["client_id"] == microsoft.registration.client_id
    assert query["redirect_uri"] == "http://localhost:8000/connect/callback/"
    assert query["scope"].split()[0] == "https://graph.microsoft.com/Calendars.Read"
    (mail,) = re.findall(r'href="mailto:\?([^"]*)"', html)
    (text,) = re.findall(r"<pre[^>]*>(.*?)</pre>", html, flags=re.DOTALL)
    body = parse_qs(unescape(mail))["body"][0]
    assert body.replace("\r\n", "\n") == unescape(text)
    assert body.count("\r\n") == body.count("\n")
    assert link in body and account.consent_url in body


def test_an_administrator_approves_by_the_link_and_then_the_plain_user_connects(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    refused(account, microsoft, consent)
    stranger = Client()
    back = sign_in(approval.link(account), "ada@contoso.example")
    answer = stranger.get(back.removeprefix("http://localhost:8000"))
    assert answer.status_code == 200 and "One step is left" in text_of(answer)
    assert not Connection.objects.exists()
    assert consent(account).status_code == 200
    assert Connection.objects.get().state == "enabled"
    trail = AuditEntry.objects.order_by("pk").values_list("action", "outcome")
    assert list(trail) == [
        ("consent_begun", "service_account"),
        ("consent", "AADSTS90094"),
        ("admin_approval", "reported"),
        ("consent_begun", "service_account"),
        ("consent", "enabled"),
    ]


def test_an_administrator_may_decline_at_the_link(account: Account) -> None:
    back = sign_in(approval.link(account), "ada@contoso.example", consent=False)
    assert "admin_consent=True" in back
    answer = Client().get(back.removeprefix("http://localhost:8000"))
    assert answer.status_code == 200 and reason("approval_declined").title in text_of(answer)


@pytest.mark.parametrize("cloud", ["usgov", "usgovdod", "china"])
def test_the_approval_link_names_the_accounts_own_cloud(account: Account, settings: Any, cloud: str) -> None:
    settings.MICROSOFT_AUTHORITY_URL = settings.MICROSOFT_GRAPH_URL = ""
    account.cloud = cloud
    link = urlsplit(approval.link(account))
    scope = parse_qs(link.query)["scope"][0].split()[0]
    assert link.netloc in ("login.microsoftonline.us", "login.partner.microsoftonline.cn")
    assert not scope.startswith("https://graph.microsoft.com/") and scope.endswith("/Calendars.Read")


@pytest.mark.parametrize("row", [row for row in WAYS if row[0] != "approval needed"], ids=lambda row: row[0])
def test_nobody_else_is_shown_the_approval_link(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any], row: Any
) -> None:
    microsoft.control.set(row[1])
    assert "adminconsent" not in consent(account, **row[2]).content.decode()


def test_an_approval_in_a_strangers_browser_believes_nothing_and_names_nobody(account: Account) -> None:
    answer = come_back(
        Client(), admin_consent="True", tenant="evil-tenant", scope="evil-scope", state=approval_state(account)
    )
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "One step is left" in html and "Open the consent link that was sent to you" in html
    for word in ("evil", "orthwind", account.consent_key):
        assert word not in html
    assert not Connection.objects.exists()
    entry = last("admin_approval")
    assert (entry.account, entry.outcome, entry.request_id) == (account, "reported", answer.headers["X-Request-ID"])
    assert "evil" not in str(entry.details) and entry.request_id in html


def test_an_approval_in_the_browser_that_began_leads_on_to_the_sign_in(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    browser = Client()
    refused(account, microsoft, consent, browser)
    answer = come_back(browser, admin_consent="True", tenant="t", state=approval_state(account))
    assert f'href="{account.consent_url}"' in answer.content.decode()


def test_an_approval_uses_nobodys_sign_in_up_and_may_come_twice(account: Account) -> None:
    browser = Client()
    away = browser.post(f"/connect/{account.consent_key}/", {"mode": "service_account"})["Location"]
    back = sign_in(away, READER)
    for visitor in (Client(), browser, browser):
        assert come_back(visitor, admin_consent="True", state=approval_state(account)).status_code == 200
    assert ConsentAttempt.objects.get().used_at is None
    assert browser.get(back.removeprefix("http://localhost:8000")).status_code == 200


@pytest.mark.parametrize("error", ["consent_required", "access_denied"])
def test_a_declined_approval_also_says_admin_consent_true_and_is_told_apart(account: Account, error: str) -> None:
    said = {"error": error, "error_description": "AADSTS65004: The resource owner denied <b>evil</b>"}
    answer = come_back(Client(), admin_consent="True", state=approval_state(account), **said)
    assert answer.status_code == 200
    assert reason("approval_declined").title in text_of(answer)
    assert "evil" not in answer.content.decode() and account.consent_key not in answer.content.decode()
    assert last("admin_approval").outcome == "approval_declined"


def test_an_approval_that_microsoft_could_not_take_is_a_502(account: Account) -> None:
    answer = come_back(Client(), admin_consent="True", error="server_error", state=approval_state(account))
    assert answer.status_code == 502
    assert last("admin_approval").outcome == "server_error"


@pytest.mark.parametrize("state", ["", "made-up", "MQ:1abcde:forged-signature"])
def test_an_approval_that_belongs_to_nobody_is_a_400_that_says_what_to_do(account: Account, state: str) -> None:
    answer = come_back(Client(), admin_consent="True", tenant="evil-tenant", state=state)
    assert answer.status_code == 400
    assert "Open the consent link" in text_of(answer) and "evil" not in text_of(answer)
    assert not AuditEntry.objects.exists()


def test_an_approval_link_ends_after_thirty_days(account: Account) -> None:
    state = approval_state(account)
    with time_machine.travel(timezone.now() + timedelta(days=29), tick=False):
        assert come_back(Client(), admin_consent="True", state=state).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(days=30, seconds=1), tick=False):
        assert come_back(Client(), admin_consent="True", state=state).status_code == 400


def test_the_state_of_a_sign_in_under_the_name_of_an_approval_is_still_that_sign_in(account: Account) -> None:
    browser = Client()
    away = browser.post(f"/connect/{account.consent_key}/", {"mode": "admin"})["Location"]
    state = parse_qs(urlsplit(away).query)["state"][0]
    assert come_back(Client(), admin_consent="True", state=state).status_code == 400
    assert ConsentAttempt.objects.get().used_at is None
    assert come_back(browser, admin_consent="True", state=state).status_code == 400
    assert ConsentAttempt.objects.get().used_at is not None
    assert not AuditEntry.objects.filter(action="admin_approval").exists()


def test_a_code_brought_with_the_state_of_an_approval_is_worth_nothing(account: Account, microsoft: Sandbox) -> None:
    browser = Client()
    away = browser.post(f"/connect/{account.consent_key}/", {"mode": "service_account"})["Location"]
    code = parse_qs(urlsplit(sign_in(away, READER)).query)["code"][0]
    come_back(browser, admin_consent="True", code=code, state=approval_state(account))
    assert microsoft.counters["token_code"] == 0 and not TokenRecord.objects.exists()


def test_the_text_to_forward_fits_into_a_mail_address(account: Account, microsoft: Sandbox, consent: Any) -> None:
    html = refused(account, microsoft, consent).content.decode()
    (mail,) = re.findall(r'href="(mailto:[^"]*)"', html)
    assert len(unescape(mail)) < 2000
    assert "+" not in unquote(mail).replace("\r", "")


# --- an account that is connected already ----------------------------------------------------------------------------

CHECKED = "Last checked:"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, ["Yes.", CHECKED]),
        (
            {
                "health": "degraded",
                "bad_in_a_row": 1,
                "last_check_outcome": "throttled",
                "last_check_code": "throttled",
            },
            ["asked us to slow down"],
        ),
        ({"health": "degraded"}, ["Yes, but the last check met trouble."]),
        (
            {
                "health": "down",
                "bad_in_a_row": 2,
                "last_check_outcome": "refused",
                "last_check_code": "AADSTS7000222",
            },
            ["Our client secret has expired"],
        ),
        ({"last_check_at": None}, ["It was not checked lately."]),
        ({"state": "needs_consent", "reason_code": "AADSTS50173"}, ["No: a new", "The permission was revoked"]),
        ({"state": "disabled", "reason_code": "disconnected"}, ["No: the connection was ended"]),
    ],
)
def test_the_consent_page_says_by_whom_since_when_and_whether_it_works(
    contoso: Account, columns: dict[str, Any], words: list[str]
) -> None:
    Connection.objects.update(**columns)
    answer = Client().get(f"/connect/{contoso.consent_key}/")
    text = text_of(answer)
    since = Connection.objects.get().connected_at
    assert since is not None
    for expected in (f"Signed in {READER} (dedicated service account)", f"{since:%H:%M} UTC", "Reconnect", *words):
        assert expected in text
    assert (CHECKED in text) == (CHECKED in words)
    assert 'name="mode"' in answer.content.decode()


def test_the_consent_page_of_an_account_never_connected_shows_no_standing(account: Account) -> None:
    assert "Does it work?" not in text_of(Client().get(f"/connect/{account.consent_key}/"))
