"""A sandbox with a still clock, and MSAL in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msal
import pytest
import requests

from sandbox import Sandbox
from sandbox.browser import sign_in
from sandbox.clock import Clock
from sandbox.intercept import AUTHORITY, GRAPH, intercepted
from sandbox.options import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI

MONDAY = datetime(2027, 3, 15, 8, 0, tzinfo=UTC)


class Client:
    """What an application does: sign a user in through MSAL and the pages, then ask Graph."""

    def __init__(self, authority: str, graph: str, session: requests.Session) -> None:
        self.authority, self.graph, self.session = authority, graph, session
        self.credential: Any = CLIENT_SECRET
        self.redirect_uri = REDIRECT_URI

    def app(self, tenant: str = "organizations", **more: Any) -> Any:
        """A fresh MSAL application, so that its memory of failed calls never answers for the sandbox."""
        return msal.ConfidentialClientApplication(
            CLIENT_ID,
            client_credential=self.credential,
            authority=f"{self.authority}/{tenant}",
            instance_discovery=False,
            http_client=self.session,
            **more,
        )

    def flow(
        self,
        tenant: str = "organizations",
        scopes: tuple[str, ...] = ("Calendars.Read",),
        prompt: str = "select_account",
    ) -> Any:
        return self.app(tenant).initiate_auth_code_flow(
            list(scopes), redirect_uri=REDIRECT_URI, prompt=prompt, response_mode="query"
        )

    def back(self, flow: Any, upn: str, **pressed: bool) -> dict[str, str]:
        url = sign_in(flow["auth_uri"], upn, session=self.session, **pressed)
        assert url.startswith(REDIRECT_URI)
        return dict(parse_qsl(urlsplit(url).query))

    def tokens(
        self, upn: str = "ada@contoso.example", scopes: tuple[str, ...] = ("Calendars.Read",), **pressed: bool
    ) -> Any:
        flow = self.flow(scopes=scopes)
        return self.app().acquire_token_by_auth_code_flow(flow, self.back(flow, upn, **pressed))

    def refresh(self, refresh_token: str, scopes: tuple[str, ...] = ("Calendars.Read",)) -> Any:
        return self.app().acquire_token_by_refresh_token(refresh_token, list(scopes))

    def ask(
        self, token: str, addresses: list[str], *, path: str = "me", prefer: str = "UTC", **fields: Any
    ) -> requests.Response:
        body = {
            "schedules": addresses,
            "startTime": {"dateTime": "2027-03-15T00:00:00", "timeZone": "UTC"},
            "endTime": {"dateTime": "2027-03-20T00:00:00", "timeZone": "UTC"},
            **fields,
        }
        headers = {"Authorization": f"Bearer {token}", "Prefer": f'outlook.timezone="{prefer}"'}
        url = f"{self.graph}/{path}/calendar/getSchedule"
        return self.session.post(url, json=body, headers=headers, timeout=30)


@pytest.fixture
def clock() -> Clock:
    return Clock(MONDAY)


@pytest.fixture
def sandbox(clock: Clock) -> Sandbox:
    return Sandbox(clock=clock)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False
        yield opened


@pytest.fixture
def client(sandbox: Sandbox, session: requests.Session) -> Iterator[Client]:
    with intercepted(sandbox):
        yield Client(AUTHORITY, GRAPH, session)


@pytest.fixture
def make_client() -> type[Client]:
    return Client


@pytest.fixture
def connect() -> Iterator[Callable[[str, str, Path], Client]]:
    with ExitStack() as opened:

        def _connect(authority: str, graph: str, ca_path: Path) -> Client:
            session = opened.enter_context(requests.Session())
            session.trust_env = False
            session.verify = str(ca_path)
            return Client(authority, graph, session)

        yield _connect
