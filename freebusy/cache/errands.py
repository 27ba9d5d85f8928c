"""Pure: what is left to ask Microsoft for, in as few calls as there can be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from math import ceil

from freebusy.core.intervals import HOUR, Interval, clip, coalesce, from_instant, to_instant
from microsoft.schedule_request import MAX_MAILBOXES, window_parts

_DAY = 24 * HOUR

Errand = tuple[Interval, tuple[str, ...]]  # a stretch of time, and the mailboxes to read over it


def widened(window: Interval) -> Interval:
    """To whole days of UTC, so that windows of the same days have the same answer; never at the price of a call."""
    first, last = window.start // _DAY * _DAY, -(-window.end // _DAY) * _DAY
    may = call_count(window)
    for wider in (Interval(first, last), Interval(first, window.end), Interval(window.start, last)):
        if call_count(wider) == may:
            return wider
    return window


def call_count(window: Interval) -> int:
    """How many calls Microsoft's limit on windows makes of it, for up to 20 mailboxes."""
    return len(_parts(window))


def stretches(window: Interval, missing: Sequence[Interval]) -> tuple[Interval, ...]:
    """What to read of a window of which this is missing: one stretch in each part that is a call of its own."""
    found: list[Interval] = []
    for part in _parts(window):
        inside = [piece for gap in missing if (piece := clip(gap, part)) is not None]
        if inside:
            found.append(widened(Interval(inside[0].start, inside[-1].end)))
    return coalesce(found)


def errands(wanted: Mapping[str, Iterable[Interval]]) -> list[Errand]:
    """Mailboxes that miss the same are read together. What is left of several such groups, each too small to fill its
    calls, goes together over the whole of their stretches if that saves a call.
    """
    groups: defaultdict[Interval, list[str]] = defaultdict(list)
    for mailbox, windows in wanted.items():
        for window in windows:
            groups[window].append(mailbox)
    if len(groups) > 1:
        full = {window: len(group) // MAX_MAILBOXES * MAX_MAILBOXES for window, group in groups.items()}
        rest = {window: group[full[window] :] for window, group in groups.items() if group[full[window] :]}
        together = tuple(dict.fromkeys(mailbox for group in rest.values() for mailbox in group))
        if rest:
            whole = Interval(min(window.start for window in rest), max(window.end for window in rest))
            if _calls(whole, together) < sum(_calls(window, group) for window, group in rest.items()):
                whole_groups = [(window, tuple(group[: full[window]])) for window, group in groups.items()]
                return [*((window, group) for window, group in whole_groups if group), (whole, together)]
    return [(window, tuple(group)) for window, group in groups.items()]


def _calls(window: Interval, mailboxes: Sequence[str]) -> int:
    return ceil(len(mailboxes) / MAX_MAILBOXES) * call_count(window)


def _parts(window: Interval) -> tuple[Interval, ...]:
    parts = window_parts(from_instant(window.start, UTC), from_instant(window.end, UTC))
    return tuple(Interval(to_instant(part.start), to_instant(part.end)) for part in parts)
