"""The HTTP client MSAL is given: it passes good answers on and raises our errors for all others.

So MSAL never sees a failure it could remember, repeat in telemetry headers or write to a log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from microsoft.errors import IntegrationError, Throttled, Unavailable, error_for
from microsoft.http import Answer, Deadline, DoorSession, exchange, retry_after_seconds
from microsoft.id_token import decode_claims
from microsoft.reasons import aadsts_codes, from_token_error
from microsoft.watching import watched

_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEFAULT_RETRY_AFTER = 5.0
_deadline: ContextVar[Deadline] = ContextVar("deadline of the call that MSAL makes for us")


@dataclass(frozen=True, slots=True)
class MsalResponse:
    """What MSAL reads of a response (msal/oauth2cli/http.py)."""

    status_code: int
    text: str
    headers: Mapping[str, str]

    def raise_for_status(self) -> None:
        """Nothing to raise: only good answers come this far."""


class EntraDoor:
    """`get` and `post` as MSAL calls them. `issuer` is the discovery document's, "" before discovery."""

    def __init__(self, session: DoorSession) -> None:
        self._session = session
        self.issuer = ""

    @contextmanager
    def until(self, deadline: Deadline) -> Iterator[None]:
        """MSAL passes no deadline through; calls made inside this block keep to it."""
        token = _deadline.set(deadline)
        try:
            yield
        finally:
            _deadline.reset(token)

    def get(self, url: str, params: Any = None, headers: Mapping[str, str] | None = None, **_: Any) -> MsalResponse:
        """The discovery document, the only thing MSAL gets for us."""
        answer = self._exchange("GET", url, params=params, headers=headers, body=None)
        document = _good(answer)
        issuer, sign_in, tokens = (
            document.get(name) for name in ("issuer", "authorization_endpoint", "token_endpoint")
        )
        if not (isinstance(issuer, str) and isinstance(sign_in, str) and isinstance(tokens, str)):
            raise Unavailable("microsoft_unavailable", "the discovery document is incomplete")
        self.issuer = issuer
        return MsalResponse(answer.status, answer.body.decode(), answer.headers)

    def post(
        self,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> MsalResponse:
        """A token request; only an answer that really holds tokens is passed on."""
        body = data if isinstance(data, str) else urlencode(data or {})
        form = {**(headers or {}), "Content-Type": "application/x-www-form-urlencoded"}
        answer = self._exchange("POST", url, params=params, headers=form, body=body)
        tokens = _good(answer)
        if "id_token" in tokens:
            decode_claims(tokens["id_token"])  # MSAL decodes it without a guard
        return MsalResponse(answer.status, answer.body.decode(), answer.headers)

    def close(self) -> None:
        self._session.close()

    def _exchange(
        self, method: str, url: str, *, params: Any, headers: Mapping[str, str] | None, body: str | None
    ) -> Answer:
        if params:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}"
        return watched(
            "entra",
            lambda: exchange(self._session, method, url, headers=headers or {}, body=body, deadline=_deadline.get()),
        )


def _good(answer: Answer) -> dict[str, Any]:
    """The JSON object of a 200; raises the error that anything else stands for."""
    wait = retry_after_seconds(answer.headers.get("Retry-After"))
    if answer.status == 429:
        raise Throttled("throttled", "Entra ID: HTTP 429", retry_after=_DEFAULT_RETRY_AFTER if wait is None else wait)
    if answer.status >= 500:
        raise Unavailable("microsoft_unavailable", f"Entra ID: HTTP {answer.status}", retry_after=wait)
    try:
        body = json.loads(answer.body)
        answer.body.decode()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Unavailable("microsoft_unavailable", f"Entra ID: HTTP {answer.status} without a JSON object")
    if isinstance(body.get("error"), str):
        raise refusal(body)
    if answer.status != 200 or "error" in body:
        raise Unavailable("microsoft_unavailable", f"Entra ID: HTTP {answer.status}")
    return body


def refusal(body: Mapping[str, object]) -> IntegrationError:
    """The error an OAuth error body stands for; of its texts only plain words and numbers are kept."""
    words = [str(body.get(name) or "") for name in ("error", "suberror")]
    numbers = aadsts_codes(str(body.get("error_description") or ""))
    trace = str(body.get("trace_id") or "")
    detail = " ".join(word for word in (*words, *numbers) if _WORD.fullmatch(word))
    return error_for(from_token_error(body), f"Entra ID: {detail}", request_id=trace if _WORD.fullmatch(trace) else "")
