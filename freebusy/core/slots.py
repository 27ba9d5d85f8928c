"""The search: calendars, each with its policy, on a grid of candidates → what is offered, and why not more.

The offer, the counts and the explanation are read from the same masks (masks.py), so they cannot disagree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import reduce
from itertools import chain, islice
from operator import and_, or_
from typing import Literal

from freebusy.core.grid import ALWAYS, Hours, SlotQuery, candidate_starts, count_candidates
from freebusy.core.intervals import MINUTE
from freebusy.core.masks import by_count, mask_of, positions
from freebusy.core.rules import Code, ConflictPolicy, verdicts
from freebusy.core.schedule import External, Schedule, Unreadable

__all__ = [
    "ALWAYS",
    "Calendar",
    "Candidate",
    "Hours",
    "Order",
    "Slot",
    "SlotQuery",
    "SlotResult",
    "candidate_starts",
    "count_candidates",
    "find_slots",
]

Order = Literal["time", "fewest_conflicts"]

# Each withheld candidate is counted under the first of these that withholds it.
_ORDER = (
    Code.UNKNOWN_REQUIRED,
    Code.OUTLOOK_BUSY,
    Code.OUTLOOK_OOF,
    Code.OUTLOOK_UNKNOWN,
    Code.OUTLOOK_TENTATIVE,
    Code.OUTLOOK_ELSEWHERE,
    Code.ROOM,
)


@dataclass(frozen=True, slots=True)
class Calendar:
    """One person or room. Rooms are given the policy's `room` variant."""

    address: str
    schedule: Schedule | Unreadable | External
    policy: ConflictPolicy
    account_zone: tzinfo


@dataclass(frozen=True, slots=True)
class Slot:
    """One offered time, [start, end) in instants. Addresses in the order given, required before optional."""

    start: int
    end: int
    verified: bool
    rooms: tuple[str, ...]
    optional_conflicts: tuple[str, ...]
    unverified: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate and everything that withholds it; offered exactly when nothing does."""

    start: int
    end: int
    blocked_by: tuple[tuple[Code, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class SlotResult:
    """A page of slots, and the sums over all candidates: `candidates` = `offered` + the sum of `by_code`.

    `by_code` holds the codes that withheld something, in the order of counting. `unknown`: the unreadable
    mailboxes, required, then optional, then rooms, with the code of the failure.
    """

    slots: tuple[Slot, ...]
    truncated: bool
    unknown: tuple[tuple[str, str], ...]
    candidates: int
    offered: int
    by_code: Mapping[Code, int]
    explanation: tuple[Candidate, ...] | None


# Per code: which candidates are withheld, and because of whom.
_Blockers = dict[Code, list[tuple[int, tuple[str, ...]]]]
_Spans = list[tuple[int, int]]


def find_slots(
    query: SlotQuery,
    *,
    required: Sequence[Calendar],
    optional: Sequence[Calendar] = (),
    rooms: Sequence[Calendar] | None = None,
    order: Order = "time",
    limit: int = 500,
    include_unverified: bool = False,
    explain: bool = False,
) -> SlotResult:
    """The candidates at which no required calendar conflicts and, if rooms are given, one of them is free.

    A required calendar that could not be read withholds everything; with `include_unverified` it withholds
    nothing, and what is offered is not verified. No rooms and an empty list of rooms are the same.
    """
    starts, duration = candidate_starts(query), query.duration_minutes * MINUTE
    every = (1 << len(starts)) - 1
    unknown, unsure = _unreadable(required), _unreadable(optional)
    readable_rooms = _spans(rooms or ())
    blockers = _blockers(starts, duration, required)
    if unknown and not include_unverified:
        blockers[Code.UNKNOWN_REQUIRED].append((every, tuple(unknown)))
    if rooms:
        # Withheld where every readable room is taken; everywhere when none is readable.
        taken = reduce(and_, (mask_of(spans, starts, duration) for spans in readable_rooms.values()), every)
        blockers[Code.ROOM].append((taken, tuple(room.address for room in rooms)))
    offered, by_code = _count(blockers, every)
    people = _spans(optional) if offered else {}
    page = _page(starts, offered, people=people.values(), duration=duration, order=order, limit=limit)
    names, verified = (*unknown, *unsure), not unknown
    slots = _rows(page, duration, rooms=readable_rooms, people=people, unverified=names, verified=verified)
    if order == "fewest_conflicts":
        slots.sort(key=lambda slot: len(slot.optional_conflicts))  # stable: then by time
    return SlotResult(
        slots=tuple(slots),
        truncated=offered.bit_count() > len(slots),
        unknown=(*unknown.items(), *unsure.items(), *_unreadable(rooms or ()).items()),
        candidates=len(starts),
        offered=offered.bit_count(),
        by_code=by_code,
        explanation=_explanation(starts, duration, blockers) if explain else None,
    )


def _unreadable(calendars: Sequence[Calendar]) -> dict[str, str]:
    """Address → code of the mailboxes that could not be read, in their order."""
    return {c.address: c.schedule.code for c in calendars if isinstance(c.schedule, Unreadable)}


def _conflicts(calendar: Calendar) -> dict[Code, _Spans]:
    """The bounds of what conflicts, by code. A calendar without a schedule has no conflicts."""
    found: dict[Code, _Spans] = {}
    if isinstance(calendar.schedule, Schedule):
        for item, verdict in verdicts(calendar.schedule, calendar.policy, calendar.account_zone):
            if verdict.conflict:
                found.setdefault(verdict.code, []).append((item.start, item.end))
    return found


def _spans(calendars: Sequence[Calendar]) -> dict[str, _Spans]:
    """Address → the bounds of what conflicts, for whatever reason; only of calendars that were read."""
    return {
        calendar.address: list(chain.from_iterable(_conflicts(calendar).values()))
        for calendar in calendars
        if isinstance(calendar.schedule, Schedule)
    }


def _blockers(starts: Sequence[int], duration: int, required: Sequence[Calendar]) -> _Blockers:
    """What the required calendars withhold, with a place for every code in the order of counting."""
    found: _Blockers = {code: [] for code in _ORDER}
    for calendar in required:
        for code, spans in _conflicts(calendar).items():
            found[code].append((mask_of(spans, starts, duration), (calendar.address,)))
    return found


def _count(blockers: _Blockers, every: int) -> tuple[int, dict[Code, int]]:
    """What is left to offer, and how many candidates each code was the first to withhold."""
    left, by_code = every, dict[Code, int]()
    for code, entries in blockers.items():
        withheld = left & reduce(or_, (mask for mask, _ in entries), 0)
        if withheld:
            by_code[code] = withheld.bit_count()
            left ^= withheld
    return left, by_code


def _page(
    starts: Sequence[int], offered: int, *, people: Iterable[_Spans], duration: int, order: Order, limit: int
) -> list[int]:
    """The starts of the slots to return, ascending: the first ones, or those with the fewest conflicts."""
    if order == "time":
        return [starts[k] for k in islice(positions(offered), limit)]
    every = [starts[k] for k in positions(offered)]
    masks = (mask_of(spans, every, duration) for spans in people)
    ranked = chain.from_iterable(positions(group) for group in by_count(masks, (1 << len(every)) - 1))
    return [every[k] for k in sorted(islice(ranked, limit))]


def _rows(
    page: Sequence[int],
    duration: int,
    *,
    rooms: Mapping[str, _Spans],
    people: Mapping[str, _Spans],
    unverified: tuple[str, ...],
    verified: bool,
) -> list[Slot]:
    """The slots of one page; only here is anything made per slot."""
    every = (1 << len(page)) - 1
    free: list[list[str]] = [[] for _ in page]
    conflicts: list[list[str]] = [[] for _ in page]
    for address, spans in rooms.items():
        for k in positions(every ^ mask_of(spans, page, duration)):
            free[k].append(address)
    for address, spans in people.items():
        for k in positions(mask_of(spans, page, duration)):
            conflicts[k].append(address)
    return [
        Slot(
            start=start,
            end=start + duration,
            verified=verified,
            rooms=tuple(free[k]),
            optional_conflicts=tuple(conflicts[k]),
            unverified=unverified,
        )
        for k, start in enumerate(page)
    ]


def _explanation(starts: Sequence[int], duration: int, blockers: _Blockers) -> tuple[Candidate, ...]:
    reasons: list[list[tuple[Code, tuple[str, ...]]]] = [[] for _ in starts]
    for code, entries in blockers.items():
        names: defaultdict[int, list[str]] = defaultdict(list)
        for mask, addresses in entries:
            for k in positions(mask):
                names[k].extend(addresses)
        for k, found in names.items():
            reasons[k].append((code, tuple(found)))
    return tuple(Candidate(start, start + duration, tuple(reasons[k])) for k, start in enumerate(starts))
