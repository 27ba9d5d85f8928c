"""The id that ties an answer, its log lines, audit entries and calls to Microsoft together."""

from __future__ import annotations

import re
from contextvars import ContextVar
from uuid import uuid4

_request_id: ContextVar[str] = ContextVar("request_id", default="")
_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def current_request_id() -> str:
    """The id of the request or task being served; empty outside one."""
    return _request_id.get()


def adopt_request_id(offered: str = "") -> str:
    """Takes the caller's id if it is harmless in logs and headers, else makes one."""
    chosen = offered if _ACCEPTED.fullmatch(offered) else str(uuid4())
    _request_id.set(chosen)
    return chosen
