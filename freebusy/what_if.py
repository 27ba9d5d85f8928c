"""Pure: which entries start or stop counting under another policy, by the rules that the API judges with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo

from freebusy.core.rules import Code, ConflictPolicy, blocks
from freebusy.core.schedule import External, FreeBusyStatus, Schedule, Unreadable


@dataclass(frozen=True, slots=True)
class Calendar:
    """One person or room as it was read."""

    address: str
    schedule: Schedule | Unreadable | External
    is_room: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry (bounds in instants) that counts under one of two policies only, and its code under each."""

    address: str
    is_room: bool
    start: int
    end: int
    status: FreeBusyStatus
    starts_counting: bool
    before: Code
    after: Code


def differences(
    calendars: Iterable[Calendar], before: ConflictPolicy, after: ConflictPolicy, account_zone: tzinfo
) -> tuple[Difference, ...]:
    """In the order given, each calendar's by time. What could not be read has none: nothing is known of it."""
    return tuple(difference for calendar in calendars for difference in _of_one(calendar, before, after, account_zone))


def _of_one(
    calendar: Calendar, before: ConflictPolicy, after: ConflictPolicy, account_zone: tzinfo
) -> Iterator[Difference]:
    if not isinstance(calendar.schedule, Schedule):
        return
    old, new = (
        blocks(calendar.schedule, policy.room if calendar.is_room else policy, account_zone)
        for policy in (before, after)
    )
    for was, will in zip(old, new, strict=True):
        if was.conflict != will.conflict:
            yield Difference(
                address=calendar.address,
                is_room=calendar.is_room,
                start=was.start,
                end=was.end,
                status=was.status,
                starts_counting=will.conflict,
                before=was.code,
                after=will.code,
            )
