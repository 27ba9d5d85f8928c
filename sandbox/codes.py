"""Authorization codes: given out once, taken once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from threading import Lock

from sandbox.tokens import CODE_PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An authorization code that was given out; times in seconds."""

    oid: str
    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str
    method: str
    nonce: str
    issued: float
    mfa: bool = False


class Codes:
    """Codes in memory; each is taken at most once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._codes: dict[str, Code | None] = {}

    def issue(self, code: Code) -> str:
        """Return a new code's text."""
        text = CODE_PREFIX + secrets.token_urlsafe(48)
        with self._lock:
            self._codes[text] = code
        return text

    def peek(self, text: str) -> Code | None:
        """Return the code if it can still be taken, without taking it."""
        with self._lock:
            return self._codes.get(text)

    def take(self, text: str) -> Code | None:
        """Return the code, once; None when it was used before, KeyError when it was never issued."""
        with self._lock:
            code = self._codes[text]
            self._codes[text] = None
            return code
