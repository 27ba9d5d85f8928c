"""The search: calendars, each with its policy, on a grid of candidates → what is offered, and why not more.

The offer, the counts and the explanation are read from the same masks (masks.py), so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import Literal

import msgspec

from freebusy.core.grid import ALWAYS, Hours, SlotQuery, candidate_starts, count_candidates
from freebusy.core.masks import Grid, Who, by_count, lowest, names_at, numbers
from freebusy.core.ready import READY, Calendar, Masks, Ready, Withheld
from freebusy.core.rules import Code

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


# A struct of msgspec rather than a dataclass: a search makes them by the hundred.
class Slot(msgspec.Struct, frozen=True, gc=False):
    """One offered time, [start, end) in instants. Addresses in the order given, required before optional."""

    start: int
    end: int
    verified: bool
    rooms: Who
    optional_conflicts: Who
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
    ready: Ready = READY,
) -> SlotResult:
    """The candidates at which no required calendar conflicts and, if rooms are given, one of them is free.

    A required calendar that could not be read withholds everything; with `include_unverified` it withholds
    nothing, and what is offered is not verified. No rooms and an empty list of rooms are the same.
    """
    marking = ready.on(query)
    grid = marking.grid
    needed, places = marking.by_code(required), marking.whole(rooms or ())
    unknown = needed.unknown
    withheld = _withheld(needed.masks)
    if unknown and not include_unverified:
        withheld[Code.UNKNOWN_REQUIRED] = grid.every
    if rooms:
        withheld[Code.ROOM] = _taken(grid, places.masks)
    offered, by_code = _count(withheld, grid.every)
    people = marking.whole(optional)
    page = _page(offered, people.masks if order == "fewest_conflicts" else (), limit)
    return SlotResult(
        slots=_rows(grid, page, rooms=places, people=people, unknown=unknown),
        truncated=offered.bit_count() > len(page),
        unknown=(*unknown.items(), *people.unknown.items(), *places.unknown.items()),
        candidates=len(grid.starts),
        offered=offered.bit_count(),
        by_code=by_code,
        explanation=_explanation(grid, needed, withheld, rooms or ()) if explain else None,
    )


def _withheld(masks: Iterable[Withheld]) -> Withheld:
    """What the calendars withhold together, by code."""
    found: Withheld = {}
    for mask in masks:
        for code, candidates in mask.items():
            found[code] = found.get(code, 0) | candidates
    return found


def _taken(grid: Grid, masks: Iterable[bytes]) -> int:
    """Where every readable room is taken; everywhere when none is readable."""
    taken = grid.every
    for mask in masks:
        taken &= int.from_bytes(mask, "little")
    return taken


def _count(withheld: Withheld, every: int) -> tuple[int, dict[Code, int]]:
    """What is left to offer, and how many candidates each code was the first to withhold."""
    left, by_code = every, dict[Code, int]()
    for code in _ORDER:
        if first := left & withheld.get(code, 0):
            by_code[code] = first.bit_count()
            left ^= first
    return left, by_code


def _page(offered: int, ranked_by: Sequence[bytes], limit: int) -> list[int]:
    """The numbers of the slots to return: the first ones, or those that the fewest of these masks hold."""
    if not ranked_by:
        return numbers(offered if offered.bit_count() <= limit else lowest(offered, limit))
    masks = (int.from_bytes(mask, "little") for mask in ranked_by)
    return list(islice(chain.from_iterable(map(numbers, by_count(masks, offered))), limit))


def _rows(
    grid: Grid, page: Sequence[int], *, rooms: Masks[bytes], people: Masks[bytes], unknown: Mapping[str, str]
) -> tuple[Slot, ...]:
    """The slots of one page; only here is anything made per slot."""
    starts, ends, nobody = grid.starts, grid.ends, repeat(())
    return tuple(
        map(
            Slot,
            [starts[k] for k in page],
            [ends[k] for k in page],
            repeat(not unknown),
            names_at(page, rooms.names, rooms.masks, grid.width, clear=True) if rooms.names else nobody,
            names_at(page, people.names, people.masks, grid.width) if people.names else nobody,
            repeat((*unknown, *people.unknown)),
        )
    )


def _explanation(
    grid: Grid, needed: Masks[Withheld], withheld: Withheld, rooms: Sequence[Calendar]
) -> tuple[Candidate, ...]:
    """Every candidate with the codes that withhold it, and whose they are."""
    reasons: list[list[tuple[Code, tuple[str, ...]]]] = [[] for _ in grid.starts]
    same = {Code.UNKNOWN_REQUIRED: tuple(needed.unknown), Code.ROOM: tuple(room.address for room in rooms)}
    for code in _ORDER:
        hit = numbers(withheld.get(code, 0))
        masks = [found.get(code, 0).to_bytes(grid.width, "little") for found in needed.masks]
        names = repeat(same[code]) if code in same else names_at(hit, needed.names, masks, grid.width)
        for k, found in zip(hit, names, strict=False):
            reasons[k].append((code, tuple(found)))
    return tuple(map(Candidate, grid.starts, grid.ends, map(tuple, reasons)))
