"""Which calendar entries are in the way: one entry, one policy → conflict or ignored, and by which rule.

Entries are judged one by one and as given, before anything is clipped or merged: two touching meetings of
four hours are two conflicts, not one ignored block of eight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from enum import StrEnum
from types import MappingProxyType

from freebusy.core.intervals import HOUR, MINUTE
from freebusy.core.schedule import FreeBusyStatus, Schedule, ScheduleItem
from freebusy.core.zones import is_whole_days


class Code(StrEnum):
    """Why a time is withheld, in the order in which candidates are counted; then why entries are ignored."""

    UNKNOWN_REQUIRED = "UNKNOWN_REQUIRED"
    OUTLOOK_BUSY = "OUTLOOK_BUSY"
    OUTLOOK_OOF = "OUTLOOK_OOF"
    OUTLOOK_UNKNOWN = "OUTLOOK_UNKNOWN"
    OUTLOOK_TENTATIVE = "OUTLOOK_TENTATIVE"
    OUTLOOK_ELSEWHERE = "OUTLOOK_ELSEWHERE"
    ROOM = "ROOM"
    IGNORED_FREE = "IGNORED_FREE"
    IGNORED_TENTATIVE = "IGNORED_TENTATIVE"
    IGNORED_ELSEWHERE = "IGNORED_ELSEWHERE"
    IGNORED_LONG = "IGNORED_LONG"
    IGNORED_ALL_DAY = "IGNORED_ALL_DAY"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says of one entry."""

    conflict: bool
    code: Code


@dataclass(frozen=True, slots=True)
class Block:
    """One entry with its own bounds (instants) and its verdict."""

    start: int
    end: int
    status: FreeBusyStatus
    conflict: bool
    code: Code


# The code of a conflict, by the status of the entry.
CODES: Mapping[FreeBusyStatus, Code] = {
    FreeBusyStatus.BUSY: Code.OUTLOOK_BUSY,
    FreeBusyStatus.OOF: Code.OUTLOOK_OOF,
    FreeBusyStatus.UNKNOWN: Code.OUTLOOK_UNKNOWN,
    FreeBusyStatus.TENTATIVE: Code.OUTLOOK_TENTATIVE,
    FreeBusyStatus.WORKING_ELSEWHERE: Code.OUTLOOK_ELSEWHERE,
}
_CONFLICT = {status: Verdict(True, code) for status, code in CODES.items()}
_IGNORED = {
    FreeBusyStatus.FREE: Verdict(False, Code.IGNORED_FREE),
    FreeBusyStatus.TENTATIVE: Verdict(False, Code.IGNORED_TENTATIVE),
    FreeBusyStatus.WORKING_ELSEWHERE: Verdict(False, Code.IGNORED_ELSEWHERE),
}
_LONG = Verdict(False, Code.IGNORED_LONG)
_ALL_DAY = Verdict(False, Code.IGNORED_ALL_DAY)
# The shortest day any zone has had is 22 hours (a clock put on by two); less cannot be a whole day.
_SHORTEST_DAY = 22 * HOUR
_ENDLESS = 1 << 62  # longer than any entry


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictPolicy:
    """Which entries count. Free never does; busy, oof and unknown always do, unless all day or long.

    `long_minutes`: elapsed minutes from which on (inclusive) an entry is long.
    """

    name: str
    version: int
    tentative_conflicts: bool
    elsewhere_conflicts: bool
    all_day_conflicts: bool = False
    long_conflicts: bool = False
    long_minutes: int = 360

    @property
    def statuses(self) -> Mapping[FreeBusyStatus, bool]:
        """Whether a status conflicts at all."""
        return _STATUSES[self.tentative_conflicts, self.elsewhere_conflicts]

    @property
    def room(self) -> ConflictPolicy:
        """The same policy for rooms, whose long and all-day bookings count: a room is not travelling."""
        return replace(self, all_day_conflicts=True, long_conflicts=True)

    def as_json(self) -> dict[str, object]:
        """The rules in force, for people and rooms, as the API shows them."""
        return {**self._rules(), "room": self.room._rules()}

    def _rules(self) -> dict[str, object]:
        return {
            "statuses": {status.value: conflicts for status, conflicts in self.statuses.items()},
            "all_day_conflicts": self.all_day_conflicts,
            "long_conflicts": self.long_conflicts,
            "long_minutes": self.long_minutes,
        }


_STATUSES: Mapping[tuple[bool, bool], Mapping[FreeBusyStatus, bool]] = {
    (tentative, elsewhere): MappingProxyType(
        {
            FreeBusyStatus.FREE: False,
            FreeBusyStatus.TENTATIVE: tentative,
            FreeBusyStatus.BUSY: True,
            FreeBusyStatus.OOF: True,
            FreeBusyStatus.WORKING_ELSEWHERE: elsewhere,
            FreeBusyStatus.UNKNOWN: True,
        }
    )
    for tentative in (False, True)
    for elsewhere in (False, True)
}

# A change of meaning is a new version, so that answers kept by callers say by which rules they were made.
TECHNICAL = ConflictPolicy(name="technical", version=1, tentative_conflicts=False, elsewhere_conflicts=False)
CAUTIOUS = ConflictPolicy(name="cautious", version=1, tentative_conflicts=True, elsewhere_conflicts=True)
PRESETS: Mapping[str, ConflictPolicy] = {policy.name: policy for policy in (TECHNICAL, CAUTIOUS)}


def classify(item: ScheduleItem, policy: ConflictPolicy, zones: Sequence[tzinfo]) -> Verdict:
    """The status decides first, then whether it is all day (in any of `zones`), then whether it is long."""
    if not policy.statuses[item.status]:
        return _IGNORED[item.status]
    if is_all_day(item, zones):
        return _CONFLICT[item.status] if policy.all_day_conflicts else _ALL_DAY
    if item.end - item.start >= policy.long_minutes * MINUTE and not policy.long_conflicts:
        return _LONG
    return _CONFLICT[item.status]


class Judge:
    """A policy made ready for many entries: mostly one comparison says what `classify` would.

    Of the entries whose status is `counting`, those shorter than `short` conflict and those of `long` and more do not;
    only between the two does it matter whether an entry is all day.
    """

    __slots__ = ("counting", "long", "policy", "short")

    def __init__(self, policy: ConflictPolicy) -> None:
        limit = _ENDLESS if policy.long_conflicts else policy.long_minutes * MINUTE
        self.policy = policy
        self.counting = frozenset(status for status, conflicts in policy.statuses.items() if conflicts)
        self.short = limit if policy.all_day_conflicts else min(limit, _SHORTEST_DAY)
        self.long = _ENDLESS if policy.all_day_conflicts else limit

    def conflicts(self, item: ScheduleItem, zones: Sequence[tzinfo]) -> bool:
        """Whether an entry whose status is `counting` conflicts."""
        length = item.end - item.start
        if length < self.short:
            return True
        return length < self.long and classify(item, self.policy, zones).conflict


def is_all_day(item: ScheduleItem, zones: Sequence[tzinfo]) -> bool:
    """From midnight to midnight over whole days, of 23 to 25 hours at clock changes, in at least one zone.

    Graph sends no flag for it: https://learn.microsoft.com/graph/api/resources/scheduleitem
    """
    if item.end - item.start < _SHORTEST_DAY:
        return False
    return any(is_whole_days(item.start, item.end, zone) for zone in zones)


def zones_of(schedule: Schedule, account_zone: tzinfo) -> tuple[tzinfo, ...]:
    """Where an all-day entry may begin at midnight: the mailbox's zone, the account's, UTC."""
    return (account_zone, UTC) if schedule.zone is None else (schedule.zone, account_zone, UTC)


def blocks(schedule: Schedule, policy: ConflictPolicy, account_zone: tzinfo) -> tuple[Block, ...]:
    """Every entry with its verdict, in the schedule's order."""
    return tuple(
        Block(item.start, item.end, item.status, verdict.conflict, verdict.code)
        for item, verdict in verdicts(schedule, policy, account_zone)
    )


def verdicts(
    schedule: Schedule, policy: ConflictPolicy, account_zone: tzinfo
) -> Iterator[tuple[ScheduleItem, Verdict]]:
    """The one place where a calendar meets its policy: answers, slots and pages all read from here."""
    zones = zones_of(schedule, account_zone)
    for item in schedule.items:
        yield item, classify(item, policy, zones)
