"""Half-open intervals of instants. An instant is whole microseconds since 1970-01-01T00:00Z, as an int."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_instant(when: datetime) -> int:
    """Exact, for every aware datetime. A naive one is a ValueError: it names no instant."""
    if when.utcoffset() is None:
        raise ValueError("a datetime without offset names no instant")
    return (when - _EPOCH) // _MICROSECOND


def from_instant(instant: int, zone: tzinfo) -> datetime:
    """The aware datetime that clocks in `zone` show at this instant."""
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(zone)


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """[start, end): holds its start, does not hold its end, is never empty."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError("an interval ends after it starts")


def overlaps(one: Interval, other: Interval) -> bool:
    """Whether they share an instant. Back to back they share none."""
    return one.start < other.end and other.start < one.end


def clip(interval: Interval, window: Interval) -> Interval | None:
    """The part of `interval` inside `window`, None when there is none."""
    start, end = max(interval.start, window.start), min(interval.end, window.end)
    return Interval(start, end) if start < end else None


def coalesce(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The same instants as the fewest intervals: sorted, none touching the next."""
    out: list[Interval] = []
    for interval in sorted(intervals):
        if out and interval.start <= out[-1].end:
            if interval.end > out[-1].end:
                out[-1] = Interval(out[-1].start, interval.end)
        else:
            out.append(interval)
    return tuple(out)


def subtract(intervals: Iterable[Interval], holes: Iterable[Interval]) -> tuple[Interval, ...]:
    """The instants of `intervals` that are in none of `holes`, coalesced."""
    out: list[Interval] = []
    cuts = coalesce(holes)
    first = 0
    for interval in coalesce(intervals):
        while first < len(cuts) and cuts[first].end <= interval.start:
            first += 1
        start = interval.start
        for cut in cuts[first:]:
            if cut.start >= interval.end:
                break
            if start < cut.start:
                out.append(Interval(start, cut.start))
            start = max(start, cut.end)
        if start < interval.end:
            out.append(Interval(start, interval.end))
    return tuple(out)


def gaps(window: Interval, busy: Iterable[Interval]) -> tuple[Interval, ...]:
    """What `busy` leaves of `window`."""
    return subtract([window], busy)
