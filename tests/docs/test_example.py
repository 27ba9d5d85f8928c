"""The example client against the product on a real socket."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from sandbox import Sandbox
from sandbox.browser import sign_in
from sandbox.intercept import AUTHORITY, GRAPH, intercepted
from sandbox.options import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI
from tests.factories import make_account, make_api_key

CLIENT = Path(__file__).parents[2] / "docs" / "examples" / "client.py"

QUESTION: dict[str, Any] = {
    "attendees": [{"email": "ann@contoso.example"}, {"email": "bob@contoso.example"}],
    "start": "2027-03-16T00:00:00Z",
    "end": "2027-03-17T00:00:00Z",
}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(settings: Any, live_server: Any) -> Iterator[tuple[str, Sandbox]]:
    """The product on a socket, Microsoft behind `requests`; everything else on this machine passes."""
    settings.PUBLIC_URL = REDIRECT_URI.removesuffix("/connect/callback/")
    settings.ALLOWED_HOSTS = ["*"]
    settings.MICROSOFT_CLIENT_ID, settings.MICROSOFT_CLIENT_SECRET = CLIENT_ID, CLIENT_SECRET
    settings.MICROSOFT_CLIENT_CERTIFICATE = settings.MICROSOFT_CA_BUNDLE = ""
    settings.MICROSOFT_AUTHORITY_URL, settings.MICROSOFT_GRAPH_URL = AUTHORITY, GRAPH
    sandbox = Sandbox()
    with intercepted(sandbox, passthru=(live_server.url,)):
        yield live_server.url, sandbox


def run_client(url: str, key: str, account: str = "contoso") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CLIENT), url, key, account]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=CLIENT.parent, capture_output=True, text=True, timeout=60, check=False)


def connected_account() -> Any:
    account = make_account("contoso")
    browser = Client()
    answer = browser.post(f"/connect/{account.consent_key}/", {"mode": "service_account"})
    back = sign_in(answer["Location"], "cadence-service@contoso.example")
    assert browser.get(back.removeprefix("http://localhost:8000")).status_code == 200
    return account


def test_the_example_prints_conflicts_and_slots(server: tuple[str, Sandbox]) -> None:
    result = run_client(server[0], make_api_key(connected_account()))
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert any(line.startswith("ann@contoso.example 20") and line.endswith("Outlook Event") for line in lines)
    assert any(line.startswith("possible: 20") for line in lines)


def test_the_example_names_what_could_not_be_read(server: tuple[str, Sandbox]) -> None:
    url, microsoft = server
    key = make_api_key(connected_account())
    microsoft.control.set({"trouble": {"ann@contoso.example": "ErrorNoFreeBusyAccess"}})
    result = run_client(url, key)
    assert "ann@contoso.example unknown no_access" in result.stdout.splitlines()
    assert "possible:" not in result.stdout  # both are required


def test_the_example_waits_as_long_as_it_is_told_and_tries_again(settings: Any, server: tuple[str, Sandbox]) -> None:
    settings.API_RATE_PER_MINUTE, settings.API_RATE_BURST = 30, 1  # so that its second question comes too soon
    result = run_client(server[0], make_api_key(connected_account()))
    assert (result.returncode, result.stderr) == (0, "")
    assert "possible: 20" in result.stdout


def test_the_example_gives_up_when_waiting_does_not_help(settings: Any, server: tuple[str, Sandbox]) -> None:
    url, microsoft = server
    key = make_api_key(connected_account())
    both = (attendee["email"] for attendee in QUESTION["attendees"])
    microsoft.control.set({"trouble": dict.fromkeys(both, "ErrorServerBusy")})
    code = f"import client; client.ask({url!r}, {key!r}, 'contoso/availability', {QUESTION!r}, tries=1)"
    result = run_python(code)
    assert result.returncode == 1
    assert result.stderr.startswith("microsoft_unavailable: ")


@pytest.mark.parametrize(
    ("account", "key", "words"),
    [
        ("contoso", "", "pending: an administrator has to open http://localhost:8000/connect/"),
        ("contoso", "cadence_wrong_key", "unauthenticated: "),
        ("fabrikam", "", "not_found: "),
    ],
)
def test_the_example_says_who_has_to_do_what(server: tuple[str, Sandbox], account: str, key: str, words: str) -> None:
    mine = make_api_key(make_account("contoso"))
    result = run_client(server[0], key or mine, account)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(words)


def test_the_example_names_the_wrong_field(server: tuple[str, Sandbox]) -> None:
    key = make_api_key(connected_account())
    result = run_python(
        f"import client; client.ask({server[0]!r}, {key!r}, 'contoso/availability', {{'start': 'soon'}})"
    )
    assert result.returncode == 1
    assert result.stderr.startswith("invalid_request: ")
    assert "\n  start: " in result.stderr
