"""What all tests share: a simulated Microsoft 365 behind `requests`, and the cast of accounts and keys."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from sandbox import Sandbox
from sandbox.browser import sign_in
from sandbox.intercept import AUTHORITY, GRAPH, intercepted
from sandbox.options import CLIENT_ID, CLIENT_SECRET
from tenants import measuring
from tests.factories import Api, make_account, make_api_key

READER = "cadence-service@contoso.example"


@pytest.fixture(autouse=True)
def _own_limits_and_cache(settings: Any, tmp_path: Path) -> None:
    """Both are shared by all processes of an installation, but not by tests."""
    measuring.forget()
    settings.COORDINATION_FILE = tmp_path / "coordination.sqlite3"
    settings.REDIS_NAMESPACE = f"test-{uuid4()}"
    if settings.REDIS_URL:
        settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": settings.REDIS_NAMESPACE}}


@pytest.fixture
def on_sockets() -> tuple[str, ...]:
    """Addresses that are asked over real sockets all the same."""
    return ()


@pytest.fixture
def microsoft(settings: Any, on_sockets: tuple[str, ...]) -> Iterator[Sandbox]:
    """Entra ID and Graph for the product under test; the sandbox's own behaviour, without a socket."""
    settings.PUBLIC_URL = "http://localhost:8000"
    settings.ALLOWED_HOSTS = ["*"]
    settings.MICROSOFT_CLIENT_ID = CLIENT_ID
    settings.MICROSOFT_CLIENT_SECRET = CLIENT_SECRET
    settings.MICROSOFT_CLIENT_CERTIFICATE = ""
    settings.MICROSOFT_AUTHORITY_URL = AUTHORITY
    settings.MICROSOFT_GRAPH_URL = GRAPH
    settings.MICROSOFT_CA_BUNDLE = ""
    sandbox = Sandbox()
    with intercepted(sandbox, passthru=on_sockets):
        yield sandbox


@pytest.fixture
def consent(microsoft: Sandbox) -> Callable[..., Any]:
    """Walks an account's consent pages as a browser would; returns the page at the end."""

    def walk(
        account: Any,
        upn: str = READER,
        *,
        mode: str = "service_account",
        browser: Client | None = None,
        accept: bool = True,
        admin_tick: bool = False,
    ) -> Any:
        browser = browser or Client()
        answer = browser.post(f"/connect/{account.consent_key}/", {"mode": mode})
        assert answer.status_code == 302, answer.content
        back = sign_in(answer["Location"], upn, consent=accept, admin_tick=admin_tick)
        return browser.get(back.removeprefix("http://localhost:8000"))

    return walk


@pytest.fixture
def contoso(db: None, consent: Callable[..., Any]) -> Any:
    """An account connected through the pages."""
    account = make_account("contoso")
    assert consent(account).status_code == 200
    account.refresh_from_db()
    return account


@pytest.fixture
def api(contoso: Any) -> Api:
    """The API as contoso's own key sees it."""
    return Api(make_api_key(contoso))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """On a machine that says CI everything is installed, so a skipped test there is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped"):
        reporter.write_line("Skipped tests fail under CI.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
