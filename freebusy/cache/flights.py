"""What threads of this process are reading at this moment, so that the others wait for it instead of asking too."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from freebusy.cache.segments import Calendar, Known
from microsoft.errors import IntegrationError


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why asking had to stop for all. `held_back`: it never began, since a breaker is open."""

    error: IntegrationError
    held_back: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mailbox over one stretch: its calendar as it is now, or why it could not be read."""

    calendar: Calendar | None = None
    problem: Known | None = None
    trouble: Trouble | None = None


@dataclass(slots=True, eq=False)
class Flight:
    """One mailbox over one stretch on its way. `outcome` is None once `over` when whoever led it came to no end."""

    began: int
    over: threading.Event = field(default_factory=threading.Event)
    outcome: Outcome | None = None


class Flights:
    """Those of this process, by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}

    def join(self, names: Iterable[str], now: int, oldest: int) -> tuple[dict[str, Flight], dict[str, Flight]]:
        """New flights that the caller has to land, and others' to wait for: none that began before `oldest`."""
        led: dict[str, Flight] = {}
        followed: dict[str, Flight] = {}
        with self._lock:
            for name in names:
                flight = self._flights.get(name)
                if flight is not None and flight.began >= oldest:
                    followed[name] = flight
                else:
                    led[name] = self._flights[name] = Flight(now)
        return led, followed

    def land(self, name: str, flight: Flight, outcome: Outcome | None) -> None:
        """Tells those who wait; only the first word on a flight counts."""
        with self._lock:
            if flight.over.is_set():
                return
            flight.outcome = outcome
            if self._flights.get(name) is flight:
                del self._flights[name]
        flight.over.set()


flights = Flights()


def _start_anew() -> None:
    """The threads that would land them are not in the child."""
    flights.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_start_anew)
