"""Pure: what is remembered of one mailbox, as stretches of time that were read, of which none lies over another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from freebusy.core.intervals import Interval, gaps, overlaps, subtract
from freebusy.core.schedule import Schedule, ScheduleItem, Unreadable

MOST_SEGMENTS = 32  # of one mailbox; the ones read last stay
_MOST_VIEWS = 8  # windows of one mailbox whose answer is kept ready


@dataclass(frozen=True, slots=True)
class Segment:
    """What one read said of a stretch: every item that overlaps it, whole, or why it could not be read.

    `read_at`: the instant before Microsoft was asked.
    """

    window: Interval
    read_at: int
    said: Schedule | Unreadable


@dataclass(frozen=True, slots=True)
class Known:
    """What the mailbox says of one window, and when the oldest part of it was read."""

    said: Schedule | Unreadable
    read_at: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """One mailbox's segments, by time. The same window gives the same object for as long as the calendar lives."""

    segments: tuple[Segment, ...] = ()
    _views: dict[Interval, Known] = field(default_factory=dict, compare=False, repr=False)

    @property
    def size(self) -> int:
        """How many items are held; a segment counts as one more."""
        return sum(
            1 + (len(segment.said.items) if isinstance(segment.said, Schedule) else 0) for segment in self.segments
        )

    @property
    def oldest(self) -> int:
        """When the part of it was read that was read the longest ago."""
        return min((segment.read_at for segment in self.segments), default=0)

    def gaps(self, window: Interval, oldest: int) -> tuple[Interval, ...]:
        """What of the window was not read since `oldest`."""
        return gaps(window, (segment.window for segment in self.segments if segment.read_at >= oldest))

    def known(self, window: Interval, oldest: int) -> Known | None:
        """What was read of the window since `oldest`, as one read would have it; None unless that is all of it."""
        view = self._views.get(window)
        if view is None:
            parts = tuple(segment for segment in self.segments if overlaps(segment.window, window))
            if not parts or gaps(window, (segment.window for segment in parts)):
                return None
            view = Known(_joined(parts, window), min(segment.read_at for segment in parts))
            while len(self._views) >= _MOST_VIEWS:
                self._views.pop(next(iter(self._views)), None)
            view = self._views.setdefault(window, view)
        return view if view.read_at >= oldest else None

    def and_then(self, later: Iterable[Segment], oldest: int) -> Calendar:
        """Joined with other segments: of each instant the newest word stays, theirs if both are of the same moment.

        What is older than `oldest` goes.
        """
        every = (segment for segment in (*later, *self.segments) if segment.read_at >= oldest)
        newest_first = sorted(every, key=lambda segment: segment.read_at, reverse=True)[:MOST_SEGMENTS]
        kept: list[Segment] = []
        for segment in newest_first:
            free = subtract([segment.window], [newer.window for newer in kept])
            kept.extend(_cut(segment, part) for part in free)
        kept.sort(key=lambda segment: segment.window)
        segments = tuple(kept)
        return self if segments == self.segments else Calendar(segments)


def narrowed(said: Schedule | Unreadable, window: Interval) -> Schedule | Unreadable:
    """The same without items that lie outside the window; itself when there are none."""
    if isinstance(said, Unreadable):
        return said
    items = _inside(said.items, window)
    return said if len(items) == len(said.items) else msgspec.structs.replace(said, items=items)


def _inside(items: Sequence[ScheduleItem], window: Interval) -> tuple[ScheduleItem, ...]:
    start, end = window.start, window.end
    return tuple([item for item in items if item.start < end and item.end > start])


def _cut(segment: Segment, part: Interval) -> Segment:
    if part == segment.window:
        return segment
    return replace(segment, window=part, said=narrowed(segment.said, part))


def _joined(parts: Sequence[Segment], window: Interval) -> Schedule | Unreadable:
    """Hours and zone are those of the newest read; an item over a seam, which several tell of, is told once."""
    schedules: list[Schedule] = []
    for segment in parts:
        if isinstance(segment.said, Unreadable):
            return segment.said
        schedules.append(segment.said)
    newest = max(zip(parts, schedules, strict=True), key=lambda pair: pair[0].read_at)[1]
    if len(schedules) == 1:
        return narrowed(newest, window)
    items = sorted({item for schedule in schedules for item in _inside(schedule.items, window)})
    return msgspec.structs.replace(newest, items=tuple(items))
