"""A reader's places at Graph: who may call now, over all processes and machines; people before background work.

Microsoft allows four calls at once and 10,000 in ten minutes for one app and mailbox, and counts what it refuses:
https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from uuid import uuid4
from weakref import WeakValueDictionary

import msgspec
from django.conf import settings

from microsoft.errors import CutOff, HeldBack
from microsoft.http import Deadline
from tenants import measuring
from tenants.coordination import coordinator, going_on_without_the_store
from tenants.coordination.terms import MARK_SECONDS, Refusal, Terms

PLACES = 4
BACKGROUND_PATIENCE_SECONDS = 5.0  # after that the last place may be taken too, if no person waits for it
AHEAD_SECONDS = 2.0  # how long before its call a place may be taken
_LEASE_MARGIN_SECONDS = 2.0
_LOOK_SECONDS = (0.01, 0.03)  # between two looks at places that other processes may have given back
_TRY_LATER_SECONDS = 5.0


class Urgency(IntEnum):
    """For whom a call is made. The lower comes first."""

    PERSON = 0
    BACKGROUND = 1


class ReaderGate:
    """The places of one reader. Entering raises HeldBack or TimeoutError when none can be had by the deadline.

    Threads of one process wait in a line of which only the first asks the store, and is told when one of them gives a
    place back; processes wait for each other by marks in the store. So places go to people first and in the order of
    their coming, and nobody has to wait while a place is free.
    """

    def __init__(self, reader: str, urgency: Urgency = Urgency.PERSON, *, places: int = PLACES) -> None:
        self._name = f"graph:{reader}"
        self._urgency = urgency
        self._places = places
        self._ahead: _Ahead | None = None

    @contextmanager
    def acquire(self, deadline: Deadline) -> Iterator[None]:
        """Holds one place; it returns by itself soon after the deadline should this process die.

        A call that was cut off leaves its place so, as long as another one is left. While the store cannot be reached
        every call goes ahead.
        """
        ahead = self._ahead if self._ahead is not None and self._ahead.serves() else None
        holder, slot = (ahead.holder, ahead.slot) if ahead else (str(uuid4()), None)
        if ahead is None:
            with going_on_without_the_store():
                slot = self._take(holder, deadline)
        try:
            yield
        except CutOff:
            if slot is not None and self._leaves_place(deadline):
                slot = None
            self._ahead = ahead = None
            raise
        finally:
            if slot is not None and ahead is None:  # those taken ahead are given back together
                with going_on_without_the_store():
                    coordinator().free_slot(self._name, holder, slot)
                _wake(self._name)

    def _leaves_place(self, deadline: Deadline) -> bool:
        """Whether a call that Microsoft may still be at keeps its place: not the last one to be had."""
        now, left, spare = time.time(), False, 1 + self._urgency

        def one_more(value: bytes | None) -> bytes:
            nonlocal left
            ends = [end for end in msgspec.json.decode(value or b"[]", type=list[float]) if end > now]
            left = len(ends) < self._places - spare
            return msgspec.json.encode([*ends, now + seconds] if left else ends)

        seconds = deadline.remaining() + _LEASE_MARGIN_SECONDS
        with going_on_without_the_store():
            coordinator().modify(f"{self._name}:cut-off", one_more, 2 * seconds)
        return left

    def _take(self, holder: str, deadline: Deadline) -> int:
        began = time.monotonic()
        while True:
            with _line(self._name).turn(self._urgency) as turn:
                found = self._wait_for_place(holder, deadline, turn, began)
            if isinstance(found, int):
                return found
            self._sit_out(found.seconds, deadline)

    def _wait_for_place(self, holder: str, deadline: Deadline, turn: _Turn, began: float) -> int | Refusal:
        """A place, or the refusal of one more call in these ten minutes."""
        waits = False
        try:
            while True:
                if turn.first:
                    waited = time.monotonic() - began if waits else 0.0
                    found = self._ask(holder, deadline, waited)
                    if isinstance(found, int) or found.seconds:
                        if waits:
                            measuring.observe("graph_wait_seconds", waited, urgency=self._urgency.name.lower())
                            waits = isinstance(found, Refusal)
                        return found
                    waits = True
                if deadline.expired:
                    raise self._in_vain()
                look = random.uniform(*_LOOK_SECONDS) if turn.first else MARK_SECONDS
                turn.wait(min(look, deadline.remaining()))
        finally:
            if waits:
                coordinator().stop_waiting(self._name, holder)

    def _ask(self, holder: str, deadline: Deadline, waited: float) -> int | Refusal:
        seconds = deadline.remaining() + _LEASE_MARGIN_SECONDS
        terms = _terms(self._urgency, self._places, waited)
        return coordinator().take_slot(self._name, holder, terms, seconds=seconds, waited=waited)

    def _sit_out(self, seconds: float, deadline: Deadline) -> None:
        """Waits until the count of ten minutes allows another call; raises when that is too late."""
        if seconds >= deadline.remaining():
            measuring.count("graph_calls_held_back", urgency=self._urgency.name.lower())
            raise HeldBack(detail="the reader's calls of ten minutes are spent", retry_after=seconds)
        time.sleep(seconds)

    def _in_vain(self) -> Exception:
        """Background work that found no place learnt nothing of Microsoft."""
        measuring.count("graph_calls_held_back", urgency=self._urgency.name.lower())
        if self._urgency is Urgency.BACKGROUND:
            return HeldBack(detail="the reader's places are needed for people", retry_after=_TRY_LATER_SECONDS)
        return TimeoutError(self._name)


def _terms(urgency: Urgency, places: int = PLACES, waited: float = 0.0) -> Terms:
    background = urgency is Urgency.BACKGROUND
    return Terms(
        places=places,
        calls=settings.GRAPH_CALLS - (settings.GRAPH_CALLS_FOR_PEOPLE if background else 0),
        spare=int(background and places > 1 and waited < BACKGROUND_PATIENCE_SECONDS),
        rank=int(urgency),  # Redis would be sent the name
    )


@dataclass(slots=True)
class _Ahead:
    """A place that was taken before its call; good for one that begins by `begin_by` on the monotonic clock."""

    name: str
    holder: str
    slot: int
    begin_by: float
    used: bool = False

    def serves(self) -> bool:
        """True once, for the call that it was taken for."""
        if self.used or time.monotonic() > self.begin_by:
            return False
        self.used = True
        return True


class PlacesAhead:
    """Places for many calls about to be made by one sweep, asked for all at once: a call apiece costs ten times that.

    Nobody waits for them, and each reader gives one: whoever got none, or comes to its call too late, asks for itself.
    """

    def __init__(self, urgency: Urgency, patience: float) -> None:
        """`patience`: how long a call may last."""
        self._urgency = urgency
        self._patience = patience
        self._holder = str(uuid4())

    def take(self, gates: Collection[ReaderGate]) -> None:
        """For the first call through each of these gates."""
        by_name: dict[str, ReaderGate] = {}
        for gate in gates:
            by_name.setdefault(gate._name, gate)
        begin_by = time.monotonic() + AHEAD_SECONDS
        seconds = AHEAD_SECONDS + self._patience + _LEASE_MARGIN_SECONDS
        taken: dict[str, int] = {}
        with going_on_without_the_store():
            taken = coordinator().take_slots(list(by_name), self._holder, _terms(self._urgency), seconds=seconds)
        for name, slot in taken.items():
            by_name[name]._ahead = _Ahead(name, self._holder, slot, begin_by)

    def give_back(self, gates: Collection[ReaderGate]) -> None:
        """Those that these gates still hold, now that their calls are over."""
        held = {gate._ahead.name: gate._ahead.slot for gate in gates if gate._ahead is not None}
        if not held:
            return
        for gate in gates:
            gate._ahead = None
        with going_on_without_the_store():
            coordinator().free_slots(held, self._holder)
        for name in held:
            _wake(name)


class _Turn:
    """One waiting thread."""

    def __init__(self, before: list[deque[_Turn]], line: deque[_Turn]) -> None:
        self._before = before
        self._line = line
        self._told = threading.Event()

    @property
    def first(self) -> bool:
        """Of those with its urgency, while nobody waits for whom it matters more."""
        return not any(self._before) and bool(self._line) and self._line[0] is self

    def wait(self, seconds: float) -> None:
        """Until told to look, for so long at most."""
        self._told.wait(seconds)
        self._told.clear()

    def tell(self) -> None:
        self._told.set()


class _Line:
    """The threads of this process that wait for places of one reader, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[Urgency, deque[_Turn]] = {urgency: deque() for urgency in Urgency}

    @contextmanager
    def turn(self, urgency: Urgency) -> Iterator[_Turn]:
        """A place at the end of the line while entered."""
        line = self._waiting[urgency]
        turn = _Turn([self._waiting[other] for other in Urgency if other < urgency], line)
        with self._lock:
            line.append(turn)
        try:
            yield turn
        finally:
            with self._lock:
                line.remove(turn)
            self.wake()

    def wake(self) -> None:
        """Tells the first of each urgency to look."""
        with self._lock:
            for line in self._waiting.values():
                if line:
                    line[0].tell()


_lines: WeakValueDictionary[str, _Line] = WeakValueDictionary()
_lines_lock = threading.Lock()


def _line(name: str) -> _Line:
    """There is one as long as anybody stands in it."""
    with _lines_lock:
        line = _lines.get(name)
        if line is None:
            line = _lines[name] = _Line()
        return line


def _wake(name: str) -> None:
    line = _lines.get(name)
    if line is not None:
        line.wake()
