"""Worker threads that do nothing but one HTTP exchange at a time, so that one which hangs can be left behind."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from microsoft.errors import CutOff, IntegrationError, Unavailable
from microsoft.http import Answer, Deadline, DoorSession, exchange, without_frames
from microsoft.schedule_request import Part, ScheduleCall, request_body
from microsoft.secret import Secret
from microsoft.suspicion import Role, share
from microsoft.watching import watched

_GRACE = 1.05  # of the time for an answer; then one that the socket does not end is left behind


class _Gate(Protocol):
    def acquire(self, deadline: Deadline) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Where and how to ask: what all questions of one client share."""

    url: str
    session: DoorSession
    gate: _Gate
    sleep: Callable[[float], None]
    jitter: Callable[[], float]
    wall_clock: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt of a call: not before `ready_at`; `renewed` once a 401 has cost its one retry.

    `since`: when the first attempt began, None before it.
    """

    call: ScheduleCall
    ready_at: float
    role: Role = Role.PLANNED
    attempt: int = 1
    renewed: bool = False
    client_request_id: str = ""
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a worker brings back: an answer, an error of ours, or a fault in our own code."""

    attempt: Try
    token: Secret
    began: float
    ended: float
    answer: Answer | BaseException


@dataclass(slots=True, eq=False)
class _Flight:
    """An attempt under way. `left`: nobody waits for it any more. `give_up_at`: None while it waits for a place."""

    attempt: Try
    token: Secret
    began: float
    give_up_at: float | None = None
    left: bool = False


class Crew:
    """Up to so many attempts under way; results come to the one thread that sends them.

    `abandonable` False: no threads, each attempt is made by the one that sends it.
    """

    def __init__(self, asking: Asking, parts: Sequence[Part], deadline: Deadline, *, abandonable: bool) -> None:
        self._asking = asking
        self._parts = parts
        self._deadline = deadline
        self.abandonable = abandonable
        self._flights: list[_Flight] = []
        self._workers = self._lost = 0
        self._jobs: queue.SimpleQueue[_Flight | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[_Flight, Result]] = queue.SimpleQueue()

    @property
    def under_way(self) -> list[ScheduleCall]:
        """The calls that are waited for."""
        return [flight.attempt.call for flight in self._flights]

    def send(self, attempt: Try, token: Secret) -> None:
        """Begins an attempt."""
        flight = _Flight(attempt, token, self._deadline.clock())
        self._flights.append(flight)
        if not self.abandonable:
            self._results.put((flight, self._ask(flight)))
            return
        self._jobs.put(flight)
        if self._workers - self._lost < len(self._flights):
            self._workers += 1
            threading.Thread(target=self._work, daemon=True, name="graph-call").start()

    def result(self, wait: float) -> Result | None:
        """The next one, a timeout for an attempt that outlived its time; None when `wait` seconds brought none."""
        until = self._deadline.clock() + wait
        while True:
            now = self._deadline.clock()
            try:
                flight, result = self._results.get(timeout=max(0.0, min(until, self._next_end(now)) - now))
            except queue.Empty:
                now = self._deadline.clock()
                overdue = next((flight for flight in self._flights if (flight.give_up_at or now + 1.0) <= now), None)
                if overdue is not None:
                    return self._leave(overdue, now)
                if now >= until:
                    return None
                continue
            if not flight.left:
                self._flights.remove(flight)
                return result
            self._lost -= 1

    def dismiss(self) -> None:
        """Nobody waits any more; workers end after what they are at."""
        for _ in range(self._workers):
            self._jobs.put(None)

    def _next_end(self, now: float) -> float:
        """When to look for one that is overdue; whoever waits for a place has its time before it."""
        left = self._deadline.remaining()
        ends = [flight.give_up_at or now + left * _share(flight.attempt) for flight in self._flights]
        return min(ends, default=now + left)

    def _leave(self, flight: _Flight, now: float) -> Result:
        flight.left = True
        self._flights.remove(flight)
        self._lost += 1
        return Result(flight.attempt, flight.token, flight.began, now, Unavailable("timeout", "no answer in time"))

    def _work(self) -> None:
        while (flight := self._jobs.get()) is not None:
            self._results.put((flight, self._ask(flight)))

    def _ask(self, flight: _Flight) -> Result:
        """One exchange, in a worker thread."""
        answer: Answer | BaseException
        try:
            with self._asking.gate.acquire(self._deadline):
                flight.began = self._deadline.clock()
                seconds = self._deadline.remaining() * _share(flight.attempt)
                flight.give_up_at = flight.began + seconds * _GRACE
                answer = self._ask_in_time(flight, self._deadline.at_most(seconds))
        except IntegrationError as error:
            answer = without_frames(error)
        except BaseException as error:  # noqa: BLE001 - judged, or raised again, by the thread that waits for it
            answer = error
        return Result(flight.attempt, flight.token, flight.began, self._deadline.clock(), answer)

    def _ask_in_time(self, flight: _Flight, deadline: Deadline) -> Answer:
        try:
            return watched("graph", lambda: self._exchange(flight, deadline))
        except Unavailable as error:
            if error.code != "timeout":
                raise
            raise CutOff(error.code, error.detail) from None

    def _exchange(self, flight: _Flight, deadline: Deadline) -> Answer:
        call = flight.attempt.call
        return exchange(
            self._asking.session,
            "POST",
            self._asking.url,
            headers={
                "Authorization": f"Bearer {flight.token.reveal()}",
                "Accept": "application/json",
                "Content-Type": "application/json",
                "Prefer": 'outlook.timezone="UTC"',
                "client-request-id": flight.attempt.client_request_id,
            },
            body=request_body(call.mailboxes, call.over(self._parts)),
            deadline=deadline,
        )


def _share(attempt: Try) -> float:
    return share(attempt.role, len(attempt.call.mailboxes))
