"""Masks of calendars, kept for the next search that asks the same of the same schedules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import partial
from threading import Lock
from typing import Generic, TypeVar

from freebusy.core.grid import SlotQuery, candidate_days
from freebusy.core.intervals import MINUTE
from freebusy.core.masks import Grid
from freebusy.core.rules import CODES, Code, ConflictPolicy, Judge, zones_of
from freebusy.core.schedule import External, Schedule, Unreadable

# What is kept at most, schedules included: they belong to whoever read them, but are kept alive from here too.
MOST_BYTES = 32 << 20
_BYTES_OF_ITEM, _BYTES_OF_CALENDAR, _BYTES_OF_VIEW = 120, 400, 1_000

Mask = TypeVar("Mask")
Withheld = dict[Code, int]


@dataclass(frozen=True, slots=True)
class Calendar:
    """One person or room. Rooms are given the policy's `room` variant."""

    address: str
    schedule: Schedule | Unreadable | External
    policy: ConflictPolicy
    account_zone: tzinfo


@dataclass(slots=True)
class Masks(Generic[Mask]):
    """What was read of the calendars asked for, in their order, and which could not be (address → code)."""

    names: list[str]
    masks: list[Mask]
    unknown: dict[str, str]


class _View(Generic[Mask]):
    """Of one grid, policy and zone: id of a schedule → its mask. The schedules are kept, so that ids stay theirs."""

    __slots__ = ("judge", "masks", "schedules")

    def __init__(self, policy: ConflictPolicy) -> None:
        self.judge = Judge(policy)
        self.masks: dict[int, Mask] = {}
        self.schedules: list[Schedule] = []

    def all_of(self, calendars: Sequence[Calendar]) -> Masks[Mask] | None:
        """The masks of all of them; None when one is not known, or has a policy or zone of its own."""
        masks, policy, zone = self.masks, calendars[0].policy, calendars[0].account_zone
        try:
            found = [masks[id(c.schedule)] for c in calendars if c.policy is policy and c.account_zone is zone]
        except KeyError:
            return None
        return Masks([c.address for c in calendars], found, {}) if len(found) == len(calendars) else None


_Views = dict[tuple[ConflictPolicy, tzinfo], _View[Mask]]


@dataclass(slots=True)
class _Kept:
    grid: Grid
    by_code: _Views[Withheld] = field(default_factory=dict)
    whole: _Views[bytes] = field(default_factory=dict)
    bytes: int = 0


class Ready:
    """What searches have made, up to so many bytes; what was not asked for longest goes first.

    A schedule is known by its identity, never by what it says: one that was read anew is looked at anew.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._lock = most_bytes, Lock()
        self._kept: OrderedDict[SlotQuery, _Kept] = OrderedDict()

    def on(self, query: SlotQuery) -> Marking:
        """The candidates of a query, and what conflicts with them."""
        with self._lock:
            kept = self._kept.get(query)
            if kept is not None:
                self._kept.move_to_end(query)
        if kept is None:
            kept = _Kept(Grid(candidate_days(query), query.duration_minutes * MINUTE))
            self._keep(query, kept, kept.grid.bytes)
        return Marking(kept, partial(self._keep, query, kept))

    def _keep(self, query: SlotQuery, kept: _Kept, more: int) -> None:
        """Notes that so many bytes were added, and makes room for them."""
        with self._lock:
            self._kept[query] = kept
            kept.bytes += more
            held = sum(other.bytes for other in self._kept.values())
            while held > self._most:
                _, dropped = self._kept.popitem(last=False)
                held -= dropped.bytes

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """About how much is kept."""
        return sum(kept.bytes for kept in self._kept.values())


class Marking:
    """One grid with the masks known on it."""

    __slots__ = ("_kept", "_note", "grid")

    def __init__(self, kept: _Kept, note: Callable[[int], None]) -> None:
        self.grid, self._kept, self._note = kept.grid, kept, note

    def by_code(self, calendars: Sequence[Calendar]) -> Masks[Withheld]:
        """For each calendar that was read: code → the candidates that entries of this code are in the way of."""
        return self._marked(calendars, self._kept.by_code, _by_code)

    def whole(self, calendars: Sequence[Calendar]) -> Masks[bytes]:
        """For each calendar that was read: the candidates in conflict for whatever reason, as bytes of a mask."""
        return self._marked(calendars, self._kept.whole, _whole)

    def _marked(
        self, calendars: Sequence[Calendar], views: _Views[Mask], make: Callable[[Grid, Schedule, Judge, tzinfo], Mask]
    ) -> Masks[Mask]:
        if not calendars:
            return Masks([], [], {})
        known = views.get((calendars[0].policy, calendars[0].account_zone))
        if known is not None and (all_of := known.all_of(calendars)) is not None:
            return all_of
        found: Masks[Mask] = Masks([], [], {})
        added = 0
        for calendar in calendars:
            schedule, of = calendar.schedule, (calendar.policy, calendar.account_zone)
            if isinstance(schedule, Schedule):
                if of not in views:
                    views[of] = _View(calendar.policy)
                    added += _BYTES_OF_VIEW
                view = views[of]
                mask = view.masks.get(id(schedule))
                if mask is None:
                    mask = make(self.grid, schedule, view.judge, calendar.account_zone)
                    view.schedules.append(schedule)
                    view.masks[id(schedule)] = mask
                    added += _BYTES_OF_CALENDAR + self.grid.width + _BYTES_OF_ITEM * len(schedule.items)
                found.names.append(calendar.address)
                found.masks.append(mask)
            elif isinstance(schedule, Unreadable):
                found.unknown[calendar.address] = schedule.code
        if added:
            self._note(added)
        return found


def _by_code(grid: Grid, schedule: Schedule, judge: Judge, account_zone: tzinfo) -> Withheld:
    conflicts = partial(judge.conflicts, zones=zones_of(schedule, account_zone))
    found: Withheld = {}
    for status in judge.counting:
        items = [item for item in schedule.items if item.status is status]
        if items and (mask := grid.mask(items, judge.short, conflicts)):
            found[CODES[status]] = mask
    return found


def _whole(grid: Grid, schedule: Schedule, judge: Judge, account_zone: tzinfo) -> bytes:
    conflicts, counting = partial(judge.conflicts, zones=zones_of(schedule, account_zone)), judge.counting
    items = [item for item in schedule.items if item.status in counting]
    return grid.mask(items, judge.short, conflicts).to_bytes(grid.width, "little")


READY = Ready()
