"""The way back from Microsoft: whose it is, what it brought, and what becomes of the connection."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.db import connection as database
from django.test import Client
from django.utils import timezone

from cadence_exchange.logs import JsonFormatter
from sandbox import Sandbox
from sandbox.browser import sign_in
from tenants.disconnecting import disconnect
from tenants.models import Account, ApiKey, AuditEntry, Connection, ConsentAttempt, TokenRecord
from tenants.signals import connection_established
from tests.factories import Api, make_account, make_api_key

SERVICE = "cadence-service@contoso.example"
FABRIKAM = "fay@fabrikam.example"

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(microsoft: Sandbox) -> Account:
    """One that never consented."""
    return make_account("contoso")


def leave(account: Account, browser: Client, mode: str = "service_account") -> str:
    """Posts the form of the consent page; the address at Microsoft that the browser is sent to."""
    answer = browser.post(f"/connect/{account.consent_key}/", {"mode": mode})
    assert answer.status_code == 302, answer.content
    return str(answer["Location"])


def arrive(browser: Client, back: str) -> Any:
    """The browser follows Microsoft's redirect."""
    return browser.get(back.removeprefix("http://localhost:8000"))


def back_with(authorize_url: str, **query: str) -> str:
    """A way back made by hand, with the state of a real departure."""
    state = parse_qs(urlsplit(authorize_url).query)["state"][0]
    return "/connect/callback/?" + urlencode({**query, "state": state})


def outcomes(account: Account) -> list[str]:
    """How the account's consents ended, oldest first, by the audit trail."""
    entries = AuditEntry.objects.filter(account=account, action="consent").order_by("pk")
    return list(entries.values_list("outcome", flat=True))


def state_of(account: Account) -> str:
    """As the API would say."""
    row = Connection.objects.filter(account=account).first()
    return row.state if row else "pending"


def nothing_stored(account: Account) -> bool:
    return not TokenRecord.objects.exists() and state_of(account) == "pending"


# --- leaving --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "prompt"), [("admin", "consent"), ("service_account", "select_account")])
def test_the_request_to_microsoft_asks_for_the_calendar_with_pkce_state_and_nonce(
    account: Account, mode: str, prompt: str
) -> None:
    query = {name: values[0] for name, values in parse_qs(urlsplit(leave(account, Client(), mode)).query).items()}
    assert set(query["scope"].split()) == {"openid", "profile", "offline_access", "Calendars.Read"}
    assert (query["prompt"], query["response_type"], query["response_mode"]) == (prompt, "code", "query")
    assert query["code_challenge_method"] == "S256"
    assert query["redirect_uri"] == "http://localhost:8000/connect/callback/"
    assert len(query["state"]) >= 43
    assert query["nonce"]


def test_an_attempt_keeps_state_and_browser_as_hashes_and_the_flow_encrypted(account: Account) -> None:
    browser = Client()
    state = parse_qs(urlsplit(leave(account, browser)).query)["state"][0]
    with database.cursor() as cursor:
        cursor.execute("SELECT * FROM tenants_consentattempt")
        row = " ".join(shown(value) for value in cursor.fetchone())
    assert state not in row
    assert browser.cookies["cadence_browser"].value not in row
    assert "code_verifier" not in row
    assert "code_verifier" in ConsentAttempt.objects.get().flow.reveal()


def test_without_a_registration_the_form_says_that_it_is_our_fault(account: Account, settings: Any) -> None:
    settings.MICROSOFT_CLIENT_ID = ""
    answer = Client().post(f"/connect/{account.consent_key}/", {"mode": "admin"})
    assert answer.status_code == 502
    assert "our fault" in answer.content.decode()
    assert outcomes(account) == ["registration_missing"]


# --- whose way back it is -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?code=x", "?state=", "?state=made-up&code=x", "?error=access_denied"])
def test_a_state_we_never_gave_is_refused(account: Account, query: str) -> None:
    answer = Client().get(f"/connect/callback/{query}")
    assert answer.status_code == 400
    assert account.consent_key not in answer.content.decode()


def test_a_way_back_after_ten_minutes_is_refused(account: Account) -> None:
    browser = Client()
    back = sign_in(leave(account, browser), SERVICE)
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1), tick=False):
        assert arrive(browser, back).status_code == 400
    assert nothing_stored(account)
    assert outcomes(account) == ["state_expired"]


def test_a_way_back_shortly_before_ten_minutes_is_accepted(account: Account) -> None:
    browser = Client()
    back = sign_in(leave(account, browser), SERVICE)
    with time_machine.travel(timezone.now() + timedelta(minutes=9, seconds=50), tick=False):
        assert arrive(browser, back).status_code == 200


def test_a_second_delivery_is_refused_and_changes_nothing(account: Account) -> None:
    browser = Client()
    back = sign_in(leave(account, browser), SERVICE)
    assert arrive(browser, back).status_code == 200
    before = TokenRecord.objects.values().get()
    assert arrive(browser, back).status_code == 400
    assert TokenRecord.objects.values().get() == before
    assert outcomes(account) == ["enabled", "state_used"]


@pytest.mark.parametrize("stranger", ["no cookie", "a cookie of its own", "a made-up cookie"])
def test_another_browser_is_refused_and_does_not_burn_the_state(account: Account, stranger: str) -> None:
    browser, other = Client(), Client()
    back = sign_in(leave(account, browser), SERVICE)
    if stranger == "a cookie of its own":
        leave(account, other)
    elif stranger == "a made-up cookie":
        other.cookies["cadence_browser"] = "made-up"
    answer = arrive(other, back)
    assert answer.status_code == 400
    assert account.consent_key not in answer.content.decode()
    assert account.name not in answer.content.decode()
    assert nothing_stored(account)
    assert arrive(browser, back).status_code == 200
    assert outcomes(account) == ["other_browser", "enabled"]


@pytest.mark.parametrize(
    ("query", "status"),
    [({"error": "access_denied"}, 200), ({"error": "server_error"}, 502), ({}, 400), ({"code": "made-up"}, 502)],
)
def test_any_visit_by_the_right_browser_burns_the_state(account: Account, query: dict[str, str], status: int) -> None:
    browser = Client()
    away = leave(account, browser)
    good = sign_in(away, SERVICE)
    assert arrive(browser, back_with(away, **query)).status_code == status
    assert arrive(browser, good).status_code == 400
    assert nothing_stored(account)
    assert len(outcomes(account)) == 2


def test_one_browser_may_have_two_ways_out_and_finish_both(account: Account) -> None:
    browser = Client()
    first, second = leave(account, browser), leave(account, browser)
    assert arrive(browser, sign_in(second, SERVICE)).status_code == 200
    assert arrive(browser, sign_in(first, SERVICE)).status_code == 200


def test_a_preview_by_head_does_not_use_the_state_up(account: Account) -> None:
    browser = Client()
    back = sign_in(leave(account, browser), SERVICE)
    assert browser.head(back.removeprefix("http://localhost:8000")).status_code == 405
    assert arrive(browser, back).status_code == 200


# --- what Microsoft or the person said ------------------------------------------------------------------------------


def test_a_decline_is_a_page_that_says_so(account: Account, consent: Callable[..., Any]) -> None:
    answer = consent(account, accept=False)
    assert answer.status_code == 200
    assert "declined" in answer.content.decode()
    assert nothing_stored(account)
    assert outcomes(account) == ["AADSTS65004"]


def test_a_person_who_may_not_consent_learns_who_can(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    microsoft.control.set({"user_consent": False})
    answer = consent(account)
    assert answer.status_code == 200
    assert "dministrator" in answer.content.decode()
    assert nothing_stored(account)
    assert outcomes(account) == ["AADSTS90094"]
    assert consent(account, "ada@contoso.example", mode="admin", admin_tick=True).status_code == 200


def test_after_an_administrators_tick_the_service_account_may_sign_in(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    microsoft.control.set({"user_consent": False})
    consent(account, "ada@contoso.example", mode="admin", admin_tick=True)
    assert consent(account, SERVICE).status_code == 200
    row = Connection.objects.get()
    assert (row.mode, row.reader) == ("service_account", SERVICE)


def test_a_personal_account_is_refused(account: Account, microsoft: Sandbox, consent: Callable[..., Any]) -> None:
    microsoft.control.set({"allow_personal": True})
    answer = consent(account, "casey@outlook.example")
    assert answer.status_code == 200
    assert "personal" in answer.content.decode()
    assert nothing_stored(account)
    assert outcomes(account) == ["personal_account"]


def test_a_missing_calendar_scope_is_refused(account: Account, microsoft: Sandbox, consent: Callable[..., Any]) -> None:
    microsoft.control.set({"missing_scopes": ["Calendars.Read"]})
    assert consent(account).status_code == 200
    assert nothing_stored(account)
    assert outcomes(account) == ["scope_missing"]


def test_extra_scopes_are_kept_and_flagged(account: Account, microsoft: Sandbox, consent: Callable[..., Any]) -> None:
    microsoft.control.set({"extra_scopes": ["Mail.Read"]})
    answer = consent(account)
    row = Connection.objects.get()
    assert answer.status_code == 200
    assert [scope.rpartition("/")[2] for scope in row.extra_scopes] == ["Mail.Read"]
    assert set(row.extra_scopes) < set(row.scopes)
    assert "Mail.Read" in answer.content.decode()


@pytest.mark.parametrize("form", ["short", "uri"])
def test_scopes_are_recognised_however_microsoft_spells_them(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any], form: str
) -> None:
    microsoft.control.set({"scope_form": form})
    assert consent(account).status_code == 200
    assert Connection.objects.get().extra_scopes == []


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-app"},
        {"aud": None},
        {"tid": "no-guid"},
        {"tid": None},
        {"tid": "11111111-2222-4333-8444-555555555555"},  # then iss does not fit
        {"iss": "https://login.sandbox.test/another/v2.0"},
        {"iss": None},
        {"exp": 1},
        {"exp": None},
        {"nonce": "another"},
        {"nonce": None},
        {"oid": None},
        {"preferred_username": None},
    ],
)
def test_an_id_token_that_was_not_made_for_this_request_stores_nothing(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any], claims: dict[str, object]
) -> None:
    microsoft.control.set({"id_token_claims": claims})
    assert consent(account).status_code == 502
    assert nothing_stored(account)
    assert outcomes(account) == ["id_token_invalid"]


def test_no_refresh_token_means_no_connection(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    microsoft.control.set({"omit_refresh_token": True})
    consent(account)
    assert nothing_stored(account)
    assert outcomes(account) == ["refresh_token_missing"]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"status": 503}, "microsoft_unavailable"),
        ({"status": 500}, "microsoft_unavailable"),
        ({"status": 429}, "throttled"),
        ({"kind": "html"}, "microsoft_unavailable"),
        ({"kind": "truncated"}, "microsoft_unavailable"),
        ({"kind": "dropped"}, "microsoft_unavailable"),
        ({"aadsts": 90033}, "microsoft_unavailable"),
        ({"aadsts": 7000215}, "AADSTS7000215"),
    ],
)
def test_trouble_at_the_exchange_is_a_502_that_stores_nothing(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any], fault: dict[str, Any], outcome: str
) -> None:
    microsoft.control.set({"faults": [{"path": "/token", "times": None, **fault}]})
    assert consent(account).status_code == 502
    assert nothing_stored(account)
    assert outcomes(account) == [outcome]


def test_our_expired_secret_is_called_our_fault(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    microsoft.control.set({"secret_expired": True})
    answer = consent(account)
    assert answer.status_code == 502
    assert "our fault" in answer.content.decode()
    assert outcomes(account) == ["AADSTS7000222"]


def test_a_flow_that_no_key_opens_any_more_is_our_failure_and_no_traceback(account: Account, settings: Any) -> None:
    browser = Client()
    back = sign_in(leave(account, browser), SERVICE)
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    assert arrive(browser, back).status_code == 502
    assert outcomes(account) == ["encryption_key_missing"]


# --- the verifying read ---------------------------------------------------------------------------------------------


def test_an_administrator_without_a_mailbox_is_not_connected(account: Account, consent: Callable[..., Any]) -> None:
    answer = consent(account, "admin@contoso.example", mode="admin")
    assert answer.status_code == 502
    assert nothing_stored(account)
    assert outcomes(account) == ["MailboxNotEnabledForRESTAPI"]
    assert "mailbox" in answer.content.decode()


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"status": 403}, "ErrorAccessDenied"),
        ({"status": 500}, None),
        ({"status": 503}, None),
        ({"status": 429, "retry_after": "30"}, None),
        ({"status": 401}, None),
        ({"kind": "html"}, None),
    ],
)
def test_a_verifying_read_that_fails_enables_nothing(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any], fault: dict[str, Any], outcome: str | None
) -> None:
    microsoft.control.set({"faults": [{"path": "getSchedule", "times": None, **fault}]})
    assert consent(account).status_code == 502
    assert nothing_stored(account)
    (ended,) = outcomes(account)
    assert ended != "enabled"
    assert outcome in (None, ended)


@pytest.mark.parametrize("code", ["ErrorNoFreeBusyAccess", "5006", "5009"])
def test_a_mailbox_that_microsoft_does_not_open_is_no_proof(
    account: Account, microsoft: Sandbox, consent: Callable[..., Any], code: str
) -> None:
    microsoft.control.set({"trouble": {SERVICE: code}})
    assert consent(account).status_code == 502
    assert nothing_stored(account)


def test_the_result_shows_the_proof_and_the_row_keeps_it(account: Account, consent: Callable[..., Any]) -> None:
    answer = consent(account)
    assert SERVICE in answer.content.decode()
    row = Connection.objects.get()
    assert (row.state, row.health, row.reader, row.last_check_outcome) == ("enabled", "healthy", SERVICE, "ok")
    check = row.checks.get()
    assert (check.outcome, check.http_status) == ("ok", 200)
    assert check.microsoft_request_id
    assert row.tenant_id
    assert row.reader_oid
    assert row.connected_at is not None


# --- reconnecting ---------------------------------------------------------------------------------------------------


def rows() -> tuple[Any, Any]:
    """All of the connection and its tokens, but for the note of a refused tenant."""
    connection = Connection.objects.values().get()
    del connection["refused_tenant_id"]
    return connection, TokenRecord.objects.values().get()


@pytest.mark.parametrize(
    ("settings_of_sandbox", "how"),
    [
        ({}, {"accept": False, "mode": "admin", "upn": "ada@contoso.example"}),
        ({}, {"upn": FABRIKAM}),
        ({}, {"upn": "admin@contoso.example", "mode": "admin"}),
        ({"allow_personal": True}, {"upn": "casey@outlook.example"}),
        ({"missing_scopes": ["Calendars.Read"]}, {}),
        ({"id_token_claims": {"aud": "another"}}, {}),
        ({"faults": [{"path": "/token", "status": 503, "times": 1}]}, {}),
        ({"faults": [{"path": "getSchedule", "status": 403, "times": 1}]}, {}),
    ],
)
def test_a_refused_or_failed_reconnect_leaves_the_working_connection_as_it_was(
    contoso: Account,
    microsoft: Sandbox,
    consent: Callable[..., Any],
    settings_of_sandbox: dict[str, Any],
    how: dict[str, Any],
) -> None:
    before = rows()
    microsoft.control.set(settings_of_sandbox)
    consent(contoso, **how)
    assert outcomes(contoso)[-1] != "enabled"
    assert rows() == before
    assert reading_works(contoso)


def test_our_expired_secret_leaves_a_working_connection_working(
    contoso: Account, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    before = rows()
    microsoft.control.set({"secret_expired": True})
    assert consent(contoso).status_code == 502
    assert rows() == before
    assert reading_works(contoso)


def reading_works(account: Account) -> bool:
    start = timezone.now().replace(microsecond=0)
    question = {
        "attendees": [{"email": "ann@contoso.example"}],
        "start": start.isoformat(),
        "end": (start + timedelta(days=1)).isoformat(),
    }
    answer = Api(make_api_key(account)).post(account.slug, "availability", question)
    return bool(answer.status_code == 200 and answer.json()["attendees"][0]["state"] == "known")


def test_a_reconnect_keeps_ids_settings_keys_and_history(contoso: Account, consent: Callable[..., Any]) -> None:
    key = make_api_key(contoso)
    Account.objects.filter(pk=contoso.pk).update(policy="cautious")
    old_row, old_token = Connection.objects.get(), TokenRecord.objects.get()
    checks, entries = old_row.checks.count(), AuditEntry.objects.count()
    assert consent(contoso, "ada@contoso.example", mode="admin").status_code == 200
    row, token = Connection.objects.get(), TokenRecord.objects.get()
    assert (row.pk, token.pk) == (old_row.pk, old_token.pk)
    assert (row.reader, row.mode) == ("ada@contoso.example", "admin")
    assert token.version == old_token.version + 1
    assert token.refresh_token != old_token.refresh_token
    assert Account.objects.get().policy == "cautious"
    assert Account.objects.get().consent_key == contoso.consent_key
    assert ApiKey.objects.get().revoked_at is None
    assert Api(key).get("contoso").status_code == 200
    assert row.checks.count() == checks + 1
    assert AuditEntry.objects.count() == entries + 2


def test_a_consent_leads_out_of_needs_consent_and_clears_the_reason(
    contoso: Account, consent: Callable[..., Any]
) -> None:
    Connection.objects.update(state="needs_consent", reason_code="AADSTS50173", reason_at=timezone.now())
    assert consent(contoso).status_code == 200
    row = Connection.objects.get()
    assert (row.state, row.reason_code, row.reason_at) == ("enabled", "", None)


def test_another_tenant_is_refused_until_exactly_it_is_allowed(contoso: Account, consent: Callable[..., Any]) -> None:
    bound = Connection.objects.get().tenant_id
    answer = consent(contoso, FABRIKAM)
    row = Connection.objects.get()
    assert answer.status_code == 200
    assert "another organisation" in answer.content.decode()
    assert (row.tenant_id, row.reader, row.state) == (bound, SERVICE, "enabled")
    refused = row.refused_tenant_id
    assert refused not in ("", bound)
    assert outcomes(contoso)[-1] == "other_tenant"

    Connection.objects.update(allowed_tenant_id="11111111-2222-4333-8444-555555555555")
    assert "another organisation" in consent(contoso, FABRIKAM).content.decode()

    Connection.objects.update(allowed_tenant_id=refused)
    consent(contoso, FABRIKAM)
    row = Connection.objects.get()
    assert (row.tenant_id, row.reader) == (refused, FABRIKAM)
    assert (row.allowed_tenant_id, row.refused_tenant_id) == ("", "")  # allowed for this once


def test_a_disconnect_clears_the_binding_and_deletes_the_tokens(contoso: Account, consent: Callable[..., Any]) -> None:
    row = disconnect(contoso, why="moved", actor="a test")
    assert (row.state, row.tenant_id) == ("disabled", "")
    assert not TokenRecord.objects.exists()
    assert consent(contoso, FABRIKAM).status_code == 200
    row = Connection.objects.get()
    assert (row.state, row.reader) == ("enabled", FABRIKAM)


# --- what is told, and what is not ----------------------------------------------------------------------------------


@pytest.fixture
def told() -> Iterator[list[tuple[int, bool]]]:
    """What the signal said, and whether a transaction was open at that moment."""
    heard: list[tuple[int, bool]] = []

    def receive(sender: Any, connection_id: int, **_: Any) -> None:
        heard.append((connection_id, database.in_atomic_block))

    connection_established.connect(receive)
    yield heard
    connection_established.disconnect(receive)


@pytest.mark.django_db(transaction=True)
def test_the_signal_comes_after_the_commit_and_once(
    account: Account, consent: Callable[..., Any], told: list[tuple[int, bool]]
) -> None:
    consent(account)
    assert told == [(Connection.objects.get().pk, False)]


@pytest.mark.django_db(transaction=True)
def test_no_signal_comes_from_a_consent_that_failed(
    account: Account, consent: Callable[..., Any], told: list[tuple[int, bool]]
) -> None:
    consent(account, accept=False)
    consent(account, "admin@contoso.example", mode="admin")
    assert told == []


@pytest.mark.parametrize(
    "words",
    [
        {"error": "access_denied", "error_description": "<script>alert('shown')</script> call 555-SHOWN"},
        {"error": "<b>shown</b>", "error_description": "AADSTS65004: shown"},
        {"error": "shown_word", "error_description": "shown"},
        {"error": "", "error_description": "shown"},
        {"error": "access_denied", "error_subcode": "shown", "error_uri": "https://shown.example"},
    ],
)
def test_no_word_of_the_query_string_is_shown_or_stored(account: Account, words: dict[str, str]) -> None:
    browser = Client()
    answer = arrive(browser, back_with(leave(account, browser), **words))
    assert "shown" not in answer.content.decode().lower().replace("code shown here", "")
    assert "shown" not in " ".join(str(entry) for entry in AuditEntry.objects.values_list())


def test_the_audit_entry_says_who_from_where_and_what_was_granted(
    account: Account, consent: Callable[..., Any]
) -> None:
    consent(account)
    entry = AuditEntry.objects.get(action="consent")
    assert (entry.outcome, entry.actor, entry.address) == ("enabled", SERVICE, "127.0.0.1")
    assert entry.account_slug == "contoso"
    assert entry.details["mode"] == "service_account"
    assert entry.details["tenant_id"] == Connection.objects.get().tenant_id
    assert entry.request_id


def every_stored_value() -> str:
    """All rows of all tables, sessions and cache included, as the database holds them."""
    with database.cursor() as cursor:
        texts = []
        for table in database.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            texts += [shown(value) for row in cursor.fetchall() for value in row]
    return "\n".join(texts)


def shown(value: object) -> str:
    """Bytes by their content, whatever the database hands them out as."""
    return str(bytes(value)) if isinstance(value, memoryview) else str(value)


def test_code_state_and_tokens_are_in_no_log_line_table_session_or_page(
    account: Account, microsoft: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = Client()
    pages = []
    for upn, kept_out in ((SERVICE, {}), (SERVICE, {"secret_expired": True}), (FABRIKAM, {})):
        microsoft.control.set({"secret_expired": False, **kept_out})
        away = leave(account, browser)
        back = sign_in(away, upn)
        pages.append(arrive(browser, back).content.decode())
    assert outcomes(account) == ["enabled", "AADSTS7000222", "other_tenant"]

    query = {name: values[0] for url in (away, back) for name, values in parse_qs(urlsplit(url).query).items()}
    record = TokenRecord.objects.get()
    secrets = [
        *("SBXAT-", "SBXRT-", "SBXCODE-"),
        *("eyJhbGciOi", "eyJ0eXAiOi"),  # how a JWT begins; shorter words turn up in ciphertext by chance
        *(query["state"], query["code"], query["nonce"]),
        browser.cookies["cadence_browser"].value,
        record.refresh_token.reveal(),
        microsoft.registration.client_secret,
    ]
    ours = [line for line in caplog.records if not line.name.startswith(("urllib3", "sandbox"))]
    logged = "\n".join(JsonFormatter().format(line) for line in ours)
    assert "AADSTS7000222" in logged
    for place in (logged, every_stored_value(), *pages):
        assert [secret for secret in secrets if secret in place] == []
