"""Subjects, locations, tokens and codes are found nowhere after a life with everything that goes wrong in it.

The simulated Microsoft marks each of them, so one search finds whatever was kept, logged or shown.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cadence_exchange.logs import JsonFormatter
from sandbox import Sandbox
from sandbox.calendars import POISON
from sandbox.messages import Request, Response
from sandbox.tokens import ACCESS_PREFIX, CODE_PREFIX, REFRESH_PREFIX
from tenants.models import Account, TokenRecord
from tests.factories import Api, make_account, make_api_key

NEEDLES = (POISON, ACCESS_PREFIX, REFRESH_PREFIX, CODE_PREFIX)
PEOPLE = ["ann", "bob", "gil", "hal", "ivy", "joe", "nobody"]
CHATTY = ("django.db.backends", "urllib3", "msal", "requests", "freebusy", "microsoft", "tenants")


def found(text: str | bytes) -> list[str]:
    """Which of the marks are in a text."""
    data = text.encode() if isinstance(text, str) else text
    return [needle for needle in NEEDLES if needle.encode() in data]


@dataclass
class Life:
    """What an installation left behind: its answers, its log lines, and the traffic that could have poisoned it."""

    answers: list[bytes] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    traffic: bytes = b""


class Lines(logging.Handler):
    """Keeps every record as the product's own formatter and as the plainest one write it."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines += [JsonFormatter().format(record), logging.Formatter("%(name)s %(message)s").format(record)]


@pytest.fixture
def listening(caplog: pytest.LogCaptureFixture) -> Iterator[Life]:
    """Every logger at its loudest, SQL with its parameters too."""
    life = Life()
    handler = Lines(life.lines)
    logging.getLogger().addHandler(handler)
    for name in (None, *CHATTY):
        caplog.set_level(logging.DEBUG, logger=name)
    connection.force_debug_cursor = True
    yield life
    connection.force_debug_cursor = False
    logging.getLogger().removeHandler(handler)


class Wire:
    """Hands on every request to the simulated Microsoft, remembers what went by, and spoils an answer on demand."""

    def __init__(self, microsoft: Sandbox, life: Life) -> None:
        self.spoil: Callable[[bytes], bytes] | None = None
        self._handle, self._life = microsoft.handle, life
        microsoft.handle = self.handle  # type: ignore[method-assign]  # the simulator, not the product

    def handle(self, request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name != "accept-encoding"}
        response = self._handle(replace(request, headers=headers))
        self._life.traffic += b"".join((request.body, repr(request.headers).encode(), response.body))
        self._life.traffic += response.header("Location").encode()
        if self.spoil and request.path.endswith("getSchedule"):
            return replace(response, body=self.spoil(response.body))
        return response


# Each spoils an answer in a way that a decoder may complain about with a quotation.
SPOILERS: list[Callable[[bytes], bytes]] = [
    lambda body: body[: body.index(POISON.encode()) + 20],
    lambda body: body.replace(b'"dateTime":"', f'"dateTime":"{POISON} '.encode()),
    lambda body: body.replace(b'"status":"', f'"status":"{POISON}'.encode()),
    lambda body: body.replace(b'"scheduleItems":[', f'"scheduleItems":["{POISON}",'.encode()),
    lambda body: body.replace(b'"scheduleItems":[', f'"scheduleItems":"{POISON}","x":['.encode()),
    lambda body: body.replace(b'"scheduleId":"', f'"scheduleId":"{POISON}'.encode()),
    lambda body: body.replace(b'"workingHours":{', f'"workingHours":{{"startTime":["{POISON}"],'.encode()),
    lambda body: body.replace(b'"timeZone":"UTC"', f'"timeZone":"{POISON}"'.encode()),
    lambda body: body.replace(b'{"scheduleId"', f'{{"error":{{"message":"{POISON}"}},"scheduleId"'.encode()),
    lambda body: f'{{"error":{{"code":"X","message":"{POISON}"}}}}'.encode(),
    lambda body: f"<html>{POISON}</html>".encode(),
    lambda body: b"\xff" + body,
]

BROKEN = [
    {"path": "getSchedule", "status": 403},
    {"path": "getSchedule", "status": 503, "retry_after": "60"},
    {"path": "getSchedule", "status": 429, "retry_after": "60"},
    {"path": "getSchedule", "kind": "dropped"},
    {"path": "getSchedule", "kind": "truncated"},
    {"path": "getSchedule", "status": 401, "times": 2},
]


@pytest.fixture
def life(
    transactional_db: None, listening: Life, microsoft: Sandbox, consent: Callable[..., Any], settings: Any
) -> Life:
    """Consents good and bad, refreshes, answers good, spoiled and missing, probes, a disconnect, the admin."""
    clean()
    wire = Wire(microsoft, listening)
    settings.ANSWER_DEADLINE_SECONDS = 2.0
    account = make_account("contoso")
    pages = [consent(account, accept=False), consent(account, "admin@contoso.example", mode="admin")]
    pages += [
        consent(account),
        consent(account, "ada@contoso.example", mode="admin", admin_tick=True),
        consent(account),
    ]
    pages.append(Client().get("/connect/callback/", {"code": f"{CODE_PREFIX}stolen", "state": "unknown"}))
    settings.ANSWER_DEADLINE_SECONDS = 0.3  # what fails need not be tried again here
    api = Api(make_api_key(account))
    answers = ask_everything(api)
    for spoil in SPOILERS:
        wire.spoil = spoil
        answers += ask_everything(api)
    wire.spoil = None
    for broken in BROKEN:
        microsoft.control.set({"clear_faults": True, "faults": [{"times": None, **broken}]})
        answers += ask_everything(api)
    microsoft.control.set({"clear_faults": True})
    answers += [*refreshes(microsoft, account, api), *pages, *admin_pages()]
    listening.answers += [answer.content + repr(answer.headers).encode() for answer in answers]
    return listening


def clean() -> None:
    """What other tests left in the pages of the database file must not be found here."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def ask_everything(api: Api) -> list[Any]:
    now = timezone.now()
    body = {
        "attendees": [{"email": f"{name}@contoso.example"} for name in PEOPLE],
        "rooms": ["room1@contoso.example"],
        "start": now.isoformat(),
        "end": (now + timezone.timedelta(days=5)).isoformat(),
    }
    return [
        api.post("contoso", "availability", {**body, "include_ignored": True}),
        api.post("contoso", "slots", {**body, "duration_minutes": 30, "include_unverified": True, "explain": True}),
    ]


def refreshes(microsoft: Sandbox, account: Account, api: Api) -> Iterator[Any]:
    """Good and bad ones, until access is lost and then given up."""
    say = {"stdout": io.StringIO(), "stderr": io.StringIO()}
    call_command("refresh_tokens", "--all", **say)
    call_command("probe", **say)
    call_command("rotate_encryption_keys", **say)
    for broken in ({"secret_expired": True}, {"secret_expired": False, "revoke_refresh_tokens": "*"}):
        TokenRecord.objects.update(access_expires_at=timezone.now(), last_failure_at=None)
        microsoft.control.set(broken)
        yield from ask_everything(api)
        call_command("refresh_tokens", "--all", **say)
        call_command("probe", **say)
    dump = io.StringIO()
    call_command("dumpdata", stdout=dump)
    assert found(dump.getvalue() + say["stdout"].getvalue() + say["stderr"].getvalue()) == []
    yield api.get("contoso")
    yield Client().get(f"/connect/{account.consent_key}/")


def admin_pages() -> Iterator[Any]:
    """The list of every model and the page of every object, as a superuser sees them."""
    browser = Client()
    browser.force_login(User.objects.create_superuser("root"))
    yield browser.get("/admin/")
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield browser.get(reverse(f"{name}_changelist"))
        for key in model._default_manager.values_list("pk", flat=True):
            page = browser.get(reverse(f"{name}_change", args=[key]))
            assert page.status_code == 200
            yield page


def tables() -> Iterator[tuple[str, str]]:
    """Every table of the database, as text."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - names of our own tables
            yield table, repr([[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in cursor])


def files(settings: Any) -> Iterator[Path]:
    """The database, its log, and the files beside it."""
    for name in (connection.settings_dict["NAME"], settings.COORDINATION_FILE):
        for suffix in ("", "-wal", "-shm", "-journal"):
            if (file := Path(f"{name}{suffix}")).is_file():
                yield file


def test_nothing_that_is_secret_is_found_anywhere(life: Life, settings: Any) -> None:
    assert found(life.traffic) == list(NEEDLES), "the search would prove nothing"
    assert TokenRecord.objects.exists()
    kept = {model._meta.db_table for model in apps.get_models() if model._meta.managed}
    assert {table for table, _ in tables()} >= kept
    assert [table for table, text in tables() if found(text)] == []
    if connection.vendor == "sqlite":
        looked_at = list(files(settings))
        assert {file.name.rpartition("-")[2] for file in looked_at} >= {"wal"}
        assert [file.name for file in looked_at if found(file.read_bytes())] == []
    assert len(life.answers) > 60
    assert [answer[:80] for answer in life.answers if found(answer)] == []
    assert any("INSERT INTO" in line for line in life.lines), "SQL was listened to"
    assert [line[:300] for line in life.lines if found(line)] == []
