"""Tells whoever wants to know what passes between us and Microsoft; this package itself counts nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from microsoft.errors import IntegrationError
from microsoft.http import Answer, retry_after_seconds


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request with its answer, every attempt by itself.

    `service`: entra or graph. `status`: None without a usable answer. `retry_after`: seconds, when Microsoft asked for
    some.
    """

    service: str
    status: int | None
    seconds: float
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class DetailsSent:
    """An answer of Graph held more bytes than times and statuses can need."""


Event = Exchange | DetailsSent
_watchers: list[Callable[[Event], None]] = []


def watch(watcher: Callable[[Event], None]) -> None:
    """Calls `watcher` with each event from now on, in the thread where it happens; it must be quick and not raise."""
    if watcher not in _watchers:
        _watchers.append(watcher)


def tell(event: Event) -> None:
    """Called by the doors of this package."""
    for watcher in _watchers:
        watcher(event)


def watched(service: str, ask: Callable[[], Answer]) -> Answer:
    """What `ask` gives or raises, and tells how it went."""
    began = time.perf_counter()
    try:
        answer = ask()
    except IntegrationError:
        tell(Exchange(service, None, time.perf_counter() - began))
        raise
    wait = retry_after_seconds(answer.headers.get("Retry-After"))
    tell(Exchange(service, answer.status, time.perf_counter() - began, wait))
    return answer
