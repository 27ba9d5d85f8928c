"""Log lines: one JSON object each, with the request's id, without a consent key."""

from __future__ import annotations

import json
import logging
import runpy
import sys
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from gunicorn.config import Config

from cadence_exchange.logs import ContextFilter, JsonFormatter, without_consent_key
from tenants.correlation import adopt_request_id
from tests.factories import make_account

CONFIGURED = runpy.run_path(str(Path(__file__).resolve().parents[2] / "gunicorn.conf.py"))
KEY = "Zk3y-Zk3y_Zk3yZk3yZk3yZk3yZk3yZk3yZk3yZk3yZk"


def line(message: str, *arguments: object, **extra: object) -> dict[str, Any]:
    """The line as it is written."""
    record = logging.getLogger("a.logger").makeRecord(
        "a.logger", logging.WARNING, "file", 1, message, arguments, None, extra=extra
    )
    ContextFilter().filter(record)
    written = JsonFormatter().format(record)
    assert "\n" not in written
    return dict(json.loads(written))


def test_a_line_has_time_level_logger_message_id_and_what_the_caller_added() -> None:
    request_id = adopt_request_id("an-id-of-the-caller")
    found = line("read %d of %d", 3, 4, account="contoso", code="AADSTS50173")
    when = datetime.fromisoformat(found.pop("time"))
    assert when.utcoffset() is not None
    assert found == {
        "level": "WARNING",
        "logger": "a.logger",
        "message": "read 3 of 4",
        "request_id": request_id,
        "account": "contoso",
        "code": "AADSTS50173",
    }


def test_a_message_of_several_lines_stays_one_line() -> None:
    assert line("one\ntwo")["message"] == "one\ntwo"


def test_what_json_does_not_know_is_written_as_text() -> None:
    assert line("x", when=datetime(2027, 3, 1), names={1})["names"] == "{1}"  # noqa: DTZ001


def test_a_traceback_is_part_of_the_line() -> None:
    try:
        raise ValueError("the cause")
    except ValueError:
        record = logging.getLogger("a").makeRecord("a", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    assert "the cause" in json.loads(JsonFormatter().format(record))["traceback"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"/connect/{KEY}/", "/connect/…/"),
        (f"/connect/{KEY}", "/connect/…"),
        (f"GET https://host.example/connect/{KEY}/?x=1 and more", "GET https://host.example/connect/…/?x=1 and more"),
        (f'Not Found: "/connect/{KEY}/" /connect/{KEY}', 'Not Found: "/connect/…/" /connect/…'),
        ("/connect/callback/?code=x", "/connect/callback/?code=x"),
        ("/api/v1/accounts/contoso/connection/", "/api/v1/accounts/contoso/connection/"),
    ],
)
def test_a_consent_key_is_left_out_wherever_it_stands(text: str, shown: str) -> None:
    assert without_consent_key(text) == shown


def test_a_consent_key_is_left_out_of_message_arguments_extras_and_tracebacks() -> None:
    found = line("at %s", f"/connect/{KEY}/", url=f"http://localhost:8000/connect/{KEY}/")
    assert KEY not in json.dumps(found)


@pytest.mark.django_db
def test_a_visit_of_a_consent_page_leaves_no_key_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    account = make_account()
    client = Client()
    client.get(f"/connect/{account.consent_key}/")
    client.post(f"/connect/{account.consent_key}/", {"mode": "neither"})
    client.put(f"/connect/{account.consent_key}/")
    assert caplog.records
    written = "\n".join(JsonFormatter().format(record) for record in caplog.records)
    assert account.consent_key not in written


@pytest.mark.parametrize(
    ("offered", "taken"),
    [("abc-123", True), ("A" * 64, True), ("A" * 65, False), ("two words", False), ("", False), ("x\ny", False)],
)
def test_a_harmless_request_id_is_taken_and_any_other_replaced(offered: str, taken: bool) -> None:
    given = Client().get("/", headers={"X-Request-ID": offered})["X-Request-ID"]
    assert (given == offered) is taken
    assert given


def test_an_access_line_has_neither_query_nor_referrer_nor_consent_key() -> None:
    request = SimpleNamespace(headers=[("REFERER", "https://login.example/?code=SECRET")])
    response = SimpleNamespace(status="200 OK", sent=12, headers=[])
    for path in (f"/connect/{KEY}/", "/connect/callback/"):
        environ = {
            "REMOTE_ADDR": "127.0.0.1",
            "REQUEST_METHOD": "GET",
            "RAW_URI": f"{path}?code=SECRET&state=SECRET",
            "PATH_INFO": path,
            "QUERY_STRING": "code=SECRET&state=SECRET",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_REFERER": "https://login.example/?code=SECRET",
        }
        took = SimpleNamespace(seconds=0, microseconds=1500)
        atoms = CONFIGURED["PathOnlyLogger"](Config()).atoms(response, request, environ, took)
        written = CONFIGURED["access_log_format"] % atoms
        assert path.replace(KEY, "…") in written
        assert "SECRET" not in written
        assert KEY not in written
