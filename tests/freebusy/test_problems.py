"""Every failure of the API is a problem of the closed list, in one shape, with what the caller needs to go on."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from django.db import connection as database
from django.test import Client
from django.utils import timezone

from cadence_exchange.logs import JsonFormatter
from sandbox import Sandbox
from tenants.disconnecting import disconnect
from tenants.models import ApiKey, Connection, TokenRecord
from tests.factories import Api, make_account, make_api_key
from tests.freebusy.asking import mailbox, question

MEMBERS = {"type", "title", "status", "code", "detail", "errors"}
PATHS = ["connection", "availability", "slots"]
HOST = "/api/v1/accounts/contoso"


def problem(answer: Any, status: int, code: str, *, extra: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The problem document of an answer that must be one."""
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), answer.content
    body: dict[str, Any] = answer.json()
    assert set(body) == MEMBERS | extra
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    assert answer["X-Request-ID"]
    return body


def ask(api: Api, what: str = "availability", **more: Any) -> Any:
    """A good question of either kind."""
    if what == "connection":
        return api.get("contoso", **more)
    body = question("ann@contoso.example")
    return api.post("contoso", what, {**body, "duration_minutes": 30} if what == "slots" else body, **more)


@pytest.fixture
def unconnected(db: None) -> Api:
    """The key of an account that never connected."""
    return Api(make_api_key(make_account("contoso")))


# --- 401 ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", PATHS)
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer cadence",
        "Bearer cadence_00000000_wrong",
        "Bearer {prefix}x",
        "Basic {key}",
        "{key}",
        "Token {key}",
        "Bearer {key} {key}",
        "Bearer ünïcödé",
    ],
)
def test_without_a_valid_key_nothing_is_said(unconnected: Api, what: str, header: str | None) -> None:
    given = (header or "").format(key=unconnected.key, prefix=unconnected.key[:20])
    headers = {} if header is None else {"Authorization": given}
    client = Client()
    path = f"{HOST}/{what}/"
    answer = client.get(path, headers=headers) if what == "connection" else client.post(path, headers=headers)
    problem(answer, 401, "unauthenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_key_is_refused(unconnected: Api) -> None:
    ApiKey.objects.update(revoked_at=timezone.now())
    problem(ask(unconnected), 401, "unauthenticated")


def test_the_scheme_may_be_written_in_any_case(unconnected: Api) -> None:
    answer = Client().get(f"{HOST}/connection/", headers={"Authorization": f"bEARER {unconnected.key}"})
    assert answer.status_code == 200


def test_a_key_in_the_address_or_the_body_is_no_key(unconnected: Api) -> None:
    problem(Client().get(f"{HOST}/connection/?key={unconnected.key}"), 401, "unauthenticated")


# --- 404, 405, 415 --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", PATHS)
@pytest.mark.parametrize("slug", ["fabrikam", "nowhere", "CONTOSO", "contoso-2"])
def test_an_account_of_others_looks_like_one_that_does_not_exist(unconnected: Api, what: str, slug: str) -> None:
    make_account("fabrikam")
    answer = unconnected.get(slug) if what == "connection" else unconnected.post(slug, what, question("a@b.example"))
    body = problem(answer, 404, "not_found")
    assert slug not in body["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/v1",
        "/api/v2/accounts/contoso/connection/",
        "/api/v1/accounts/",
        "/api/v1/accounts/contoso/",
        "/api/v1/accounts/contoso/calendar/",
        "/api/v1/accounts//connection/",
        "/api/v1/accounts/con%2Ftoso/connection/",
        "/api/v1/accounts/contoso/connection",
        "/api/v1/accounts/contoso/availability",
        "/api/v1/accounts/contoso/slots",
        "/api/v1/accounts/contoso/slots/x/",
        "/api/v1/accounts/k%C3%B6ln/slots/",
        "/api/v1/accounts/%00/slots/",
        "/api/v1/schema/x",
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_unknown_address_under_api_is_a_problem_too(unconnected: Api, path: str, method: str) -> None:
    headers = {"Authorization": f"Bearer {unconnected.key}"}
    problem(getattr(unconnected.client, method)(path, headers=headers), 404, "not_found")


def test_an_unknown_address_elsewhere_is_a_page(db: None) -> None:
    answer = Client().get("/apis/v1/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


RIGHT = {"connection": "get", "availability": "post", "slots": "post"}
METHODS = ["get", "post", "put", "patch", "delete", "options", "trace"]


@pytest.mark.parametrize(
    ("what", "method"), [(what, method) for what in PATHS for method in METHODS if method != RIGHT[what]]
)
def test_another_method_is_refused_and_the_right_one_named(unconnected: Api, what: str, method: str) -> None:
    headers = {"Authorization": f"Bearer {unconnected.key}"}
    answer = getattr(unconnected.client, method)(f"{HOST}/{what}/", headers=headers)
    problem(answer, 405, "method_not_allowed")
    assert answer["Allow"] == ("GET, HEAD" if what == "connection" else "POST")


@pytest.mark.parametrize("method", ["options", "put"])
def test_the_method_is_judged_only_for_those_with_a_key(db: None, method: str) -> None:
    make_account("contoso")
    problem(getattr(Client(), method)(f"{HOST}/slots/"), 401, "unauthenticated")


@pytest.mark.parametrize("what", ["availability", "slots"])
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/problem+json",
        "application/jsonp",
        "application/*",
        "*/*",
        "json",
    ],
)
def test_only_json_is_understood(unconnected: Api, what: str, content_type: str) -> None:
    headers = {"Authorization": f"Bearer {unconnected.key}"}
    answer = unconnected.client.post(f"{HOST}/{what}/", b"{}", content_type=content_type, headers=headers)
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", "application/json;"])
def test_json_may_be_named_with_parameters(unconnected: Api, content_type: str) -> None:
    headers = {"Authorization": f"Bearer {unconnected.key}"}
    answer = unconnected.client.post(f"{HOST}/slots/", b"{}", content_type=content_type, headers=headers)
    problem(answer, 400, "invalid_request")


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/*", "", "nonsense"])
def test_whatever_is_accepted_json_is_given(unconnected: Api, accept: str) -> None:
    headers = {"Authorization": f"Bearer {unconnected.key}", "Accept": accept}
    answer = unconnected.client.get(f"{HOST}/connection/", headers=headers)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


def test_a_host_that_is_not_ours_is_refused_as_a_problem_and_one_plain_line(
    unconnected: Api, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    problem(unconnected.client.get(f"{HOST}/connection/", headers={"Host": "evil.example"}), 400, "invalid_request")
    [line] = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert (line["logger"], "evil.example" in line["message"]) == ("django.security.DisallowedHost", True)
    assert "traceback" not in line


class BrokenOff(BytesIO):
    """A body whose sender goes away."""

    def read(self, *_: Any) -> bytes:
        raise OSError("the client is gone")


def test_a_body_broken_off_is_no_fault_of_ours(unconnected: Api, caplog: pytest.LogCaptureFixture) -> None:
    headers = {"Authorization": f"Bearer {unconnected.key}"}
    extra = {"wsgi.input": BrokenOff(), "CONTENT_LENGTH": "100"}
    answer = unconnected.client.post(f"{HOST}/slots/", {}, content_type="application/json", headers=headers, **extra)
    assert problem(answer, 400, "invalid_request")["detail"] == "The body ended before it was complete."
    assert [record for record in caplog.records if record.exc_info] == []


# --- 429 ----------------------------------------------------------------------------------------------------------
def test_after_a_burst_of_300_a_key_has_to_wait(unconnected: Api, settings: Any) -> None:
    settings.API_RATE_PER_MINUTE = 1  # so that nothing comes back while the test runs
    assert {ask(unconnected, "connection").status_code for _ in range(300)} == {200}
    answer = ask(unconnected, "connection")
    problem(answer, 429, "rate_limited")
    assert 1 <= int(answer["Retry-After"]) <= 60
    problem(ask(unconnected, "slots"), 429, "rate_limited")
    another = Api(make_api_key(*ApiKey.objects.get().accounts.all(), all_accounts=True))
    assert ask(another, "connection").status_code == 200


def test_a_key_may_go_on_as_time_passes(unconnected: Api, settings: Any) -> None:
    settings.API_RATE_PER_MINUTE, settings.API_RATE_BURST = 60_000, 1  # a request each millisecond
    answers = []
    for _ in range(10):
        time.sleep(0.002)
        answers.append(ask(unconnected, "connection").status_code)
    assert answers == [200] * 10


# --- 409 ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["availability", "slots"])
@pytest.mark.parametrize("state", ["none", "pending", "verifying", "needs_consent", "disabled"])
def test_an_account_that_is_not_enabled_says_how_to_connect_it(contoso: Any, api: Api, what: str, state: str) -> None:
    if state == "none":
        Connection.objects.all().delete()
    else:
        Connection.objects.update(state=state)
    answer = ask(api, what)
    body = problem(answer, 409, "not_connected", extra=frozenset({"consent_url", "state"}))
    assert body["consent_url"] == f"http://localhost:8000/connect/{contoso.consent_key}/"
    assert body["state"] == ("pending" if state == "none" else state)


@pytest.mark.parametrize("what", ["availability", "slots"])
def test_after_disconnect_the_state_is_disabled(contoso: Any, api: Api, what: str) -> None:
    disconnect(contoso, why="the contract ended", actor="test")
    assert ask(api, what).json()["state"] == "disabled"


def test_external_mailboxes_alone_still_need_a_connection(unconnected: Api) -> None:
    answer = unconnected.post("contoso", "availability", question("guest@elsewhere.example"))
    assert answer.status_code == 409


@pytest.mark.parametrize("what", ["availability", "slots"])
def test_a_bad_request_is_told_before_a_missing_connection(unconnected: Api, what: str) -> None:
    problem(unconnected.post("contoso", what, {}), 400, "invalid_request")


@pytest.mark.parametrize("what", ["availability", "slots"])
def test_a_refresh_token_revoked_at_microsoft_is_told_at_once(
    contoso: Any, api: Api, microsoft: Sandbox, what: str
) -> None:
    TokenRecord.objects.update(access_expires_at=timezone.now())
    microsoft.control.set({"revoke_refresh_tokens": "cadence-service@contoso.example"})
    body = problem(ask(api, what), 409, "not_connected", extra=frozenset({"consent_url", "state"}))
    assert body["state"] == "needs_consent"
    assert Connection.objects.get().state == "needs_consent"


# --- 503 ----------------------------------------------------------------------------------------------------------
Breaks = Callable[[Sandbox], None]


def expire() -> None:
    TokenRecord.objects.update(access_expires_at=timezone.now())


def test_503_when_not_one_could_be_read_and_for_one_it_may_pass(api: Api, microsoft: Sandbox) -> None:
    busy = mailbox(microsoft, "busy", trouble="ErrorServerBusy")
    for asked in (
        question(busy),
        question(busy, "nobody@contoso.example"),
        question(busy, "guest@elsewhere.example"),
        question("hal@contoso.example", rooms=(busy,)),
    ):
        for what in ("availability", "slots"):
            answer = api.post("contoso", what, {**asked, "duration_minutes": 30} if what == "slots" else asked)
            problem(answer, 503, "microsoft_unavailable")
            assert int(answer["Retry-After"]) >= 1


@pytest.mark.parametrize("people", [["nobody@contoso.example"], ["nobody@contoso.example", "hal@contoso.example"]])
def test_no_503_when_waiting_would_not_help(api: Api, people: list[str]) -> None:
    answer = api.post("contoso", "availability", question(*people))
    assert answer.status_code == 200
    assert {person["state"] for person in answer.json()["attendees"]} == {"unknown"}


def test_no_503_when_one_could_be_read(api: Api, microsoft: Sandbox) -> None:
    busy = mailbox(microsoft, "busy", trouble="ErrorServerBusy")
    assert api.post("contoso", "availability", question(busy, "ann@contoso.example")).status_code == 200


def test_no_503_when_nobody_was_asked(api: Api, microsoft: Sandbox) -> None:
    microsoft.control.set({"faults": [{"path": "getSchedule", "status": 503, "times": None}]})
    assert api.post("contoso", "availability", question("guest@elsewhere.example")).status_code == 200


# That somebody asked is noted all the same.
STANDING = ["state", "state_changed_at", "reason_code", "health", "health_since", "bad_in_a_row", "last_check_at"]


@pytest.mark.parametrize("trouble", [{"secret_expired": True}, "wrong secret", "no secret", "unknown app"])
def test_our_own_credentials_refused_is_503_and_leaves_the_connection_alone(
    api: Api, microsoft: Sandbox, settings: Any, trouble: Any
) -> None:
    expire()
    if isinstance(trouble, dict):
        microsoft.control.set(trouble)
    elif trouble == "unknown app":
        settings.MICROSOFT_CLIENT_ID = "00000000-0000-4000-8000-000000000000"
    else:
        settings.MICROSOFT_CLIENT_SECRET = "" if trouble == "no secret" else "wrong"
    before = Connection.objects.values(*STANDING).get()
    answer = ask(api)
    if trouble == "unknown app":
        # AADSTS700016 may as well mean that the customer removed the app, and then a new consent is the remedy.
        assert answer.status_code in (409, 503)
        return
    problem(answer, 503, "microsoft_unavailable")
    assert int(answer["Retry-After"]) >= 1
    assert Connection.objects.values(*STANDING).get() == before


def test_entra_down_with_an_expired_token_is_503(api: Api, microsoft: Sandbox) -> None:
    expire()
    microsoft.control.set({"faults": [{"path": "/token", "status": 503, "times": None, "retry_after": "7"}]})
    answer = ask(api)
    problem(answer, 503, "microsoft_unavailable")
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert Connection.objects.get().state == "enabled"


def test_entra_down_with_a_token_that_still_lives_is_no_trouble(api: Api, microsoft: Sandbox) -> None:
    TokenRecord.objects.update(access_expires_at=timezone.now() + timedelta(minutes=2))
    microsoft.control.set({"faults": [{"path": "/token", "status": 503, "times": None}]})
    assert ask(api).status_code == 200


def test_a_token_microsoft_refuses_twice_is_503_after_one_renewal(api: Api, microsoft: Sandbox) -> None:
    microsoft.control.set({"faults": [{"path": "getSchedule", "status": 401, "times": None}]})
    microsoft.counters.reset()
    problem(ask(api), 503, "microsoft_unavailable")
    assert microsoft.counters["token_refresh"] == 1
    assert Connection.objects.get().state == "enabled"


def test_an_expected_failure_leaves_no_traceback(
    api: Api, microsoft: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    expire()
    microsoft.control.set({"secret_expired": True})
    with caplog.at_level(logging.DEBUG):
        assert ask(api).status_code == 503
    assert [record for record in caplog.records if record.exc_info] == []
    # The failed refresh, and that nobody is asked again for now: each is said once.
    said = [record.name for record in caplog.records if record.levelno >= logging.ERROR]
    assert said == ["tenants.breakers", "tenants.vault"] or said == ["tenants.vault", "tenants.breakers"]


# --- 500 ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def another_key(settings: Any) -> Iterator[None]:
    """The operator lost the encryption key: nothing stored can be opened."""
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    yield


@pytest.mark.parametrize("what", ["availability", "slots"])
def test_a_lost_encryption_key_is_our_fault_and_says_nothing_but_the_request_id(
    api: Api, another_key: None, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(api, what, HTTP_X_REQUEST_ID="caller-17")
    body = problem(answer, 500, "internal_error", extra=frozenset({"request_id"}))
    assert (body["request_id"], body["detail"], body["errors"]) == ("caller-17", "", [])
    [line] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert (line.__dict__["code"], line.exc_info) == ("encryption_key_missing", None)


def test_a_lost_encryption_key_does_not_hide_how_the_account_is_connected(api: Api, another_key: None) -> None:
    answer = api.get("contoso")
    assert (answer.status_code, answer.json()["state"]) == (200, "enabled")


def test_a_missing_table_is_our_fault_and_says_nothing_but_the_request_id(
    unconnected: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with database.cursor() as cursor:
        cursor.execute("ALTER TABLE tenants_connection RENAME TO tenants_elsewhere")
    answer = ask(unconnected, "connection")
    body = problem(answer, 500, "internal_error", extra=frozenset({"request_id"}))
    assert UUID(body["request_id"]) and body["request_id"] == answer["X-Request-ID"]
    assert "tenants_connection" not in answer.content.decode()
    assert sum(bool(record.exc_info) for record in caplog.records) == 1


# --- X-Request-ID -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("offered", ["a", "A-b_c.d:9", "x" * 64, "2f1c6c1e-7a53-4f7e-9f4e-1c9a54d5a8d1"])
def test_a_request_id_is_taken_over_and_returned(unconnected: Api, offered: str) -> None:
    headers = {"Authorization": f"Bearer {unconnected.key}", "X-Request-ID": offered}
    assert unconnected.client.get(f"{HOST}/connection/", headers=headers)["X-Request-ID"] == offered


@pytest.mark.parametrize("offered", ["", "x" * 65, "a b", "a\tb", "ü", '"', "<script>", "a,b", "a;b"])
def test_a_request_id_unfit_for_logs_is_replaced(unconnected: Api, offered: str) -> None:
    headers = {"Authorization": f"Bearer {unconnected.key}", "X-Request-ID": offered}
    assert UUID(unconnected.client.get(f"{HOST}/connection/", headers=headers)["X-Request-ID"])


def test_every_request_without_an_id_gets_one_of_its_own(unconnected: Api) -> None:
    made = {ask(unconnected, "connection")["X-Request-ID"] for _ in range(3)}
    assert len({UUID(one) for one in made}) == 3


def test_the_request_id_is_on_every_log_line(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        ask(api, HTTP_X_REQUEST_ID="find-me-42")
    assert {record.__dict__["request_id"] for record in caplog.records} == {"find-me-42"}


# --- caching ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", PATHS)
def test_nobody_may_keep_an_answer(api: Api, what: str) -> None:
    assert ask(api, what)["Cache-Control"] == "no-store"


def test_retry_after_follows_microsofts_own_wish(api: Api, microsoft: Sandbox) -> None:
    expire()
    until = (datetime.now(UTC) + timedelta(seconds=40)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    microsoft.control.set({"faults": [{"path": "/token", "status": 429, "times": None, "retry_after": until}]})
    answer = ask(api)
    problem(answer, 503, "microsoft_unavailable")
    assert 1 <= int(answer["Retry-After"]) <= 40
