"""What calendars say of a window: from memory where that is fresh enough, and only the rest from Microsoft.

Whoever wants what another is reading already, in this process or in any, waits for that read. What was refused for good
is remembered like what was read; a failure that may pass is told to those who waited for it, and to nobody after them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from freebusy.cache.errands import Errand, errands, stretches
from freebusy.cache.fetching import Fetching, Item
from freebusy.cache.flights import Outcome, Trouble, flights
from freebusy.cache.leading import Leading
from freebusy.cache.segments import Calendar, Known
from freebusy.core.intervals import SECOND, Interval
from freebusy.core.schedule import Unreadable
from microsoft.schedule_report import failure
from tenants import measuring

_EMPTY = Calendar()


@dataclass(frozen=True, slots=True)
class Answered:
    """Every mailbox asked for. `trouble`: why asking had to stop, here or where this waited for it."""

    known: dict[str, Known]
    trouble: Trouble | None


def read(fetching: Fetching, window: Interval, max_age_seconds: float) -> Answered:
    """What each mailbox of `fetching` says; with age 0 all are read anew, and nobody else's read will do."""
    return _Reading(
        fetching, window, fetching.now - round(max_age_seconds * SECOND), alone=not max_age_seconds
    ).answer()


class _Reading:
    """One question on its way."""

    def __init__(self, fetching: Fetching, window: Interval, oldest: int, *, alone: bool) -> None:
        self._fetching, self._window, self._oldest, self._alone = fetching, window, oldest, alone
        self._calendars: dict[str, Calendar] = {}
        self._known: dict[str, Known] = {}
        self._trouble: Trouble | None = None

    def answer(self) -> Answered:
        mailboxes = self._fetching.spelled
        if not self._alone:
            self._calendars = self._fetching.calendars.look(mailboxes, self._window, self._oldest)
            self._note_known(mailboxes)
        # More than one round only where somebody else's read came to no end.
        while (left := self._left()) and not self._fetching.deadline.expired:
            plan = self._plan(left)
            for (mailbox, _), outcome in (self._read_alone(plan) if self._alone else self._read_for_all(plan)).items():
                self._note(mailbox, outcome)
            self._note_known(left)
        late = failure("timeout")
        unread = Known(Unreadable(late.code, late.message, late.retryable), self._fetching.now)
        return Answered(self._known | dict.fromkeys(left, unread), self._trouble)

    def _left(self) -> list[str]:
        return [mailbox for mailbox in self._fetching.spelled if mailbox not in self._known]

    def _note_known(self, mailboxes: Iterable[str]) -> None:
        for mailbox in mailboxes:
            said = self._calendars.get(mailbox, _EMPTY).known(self._window, self._oldest)
            if said is not None:
                self._known.setdefault(mailbox, said)

    def _note(self, mailbox: str, outcome: Outcome) -> None:
        self._trouble = self._trouble or outcome.trouble
        if outcome.problem is not None:
            self._known[mailbox] = outcome.problem
        elif outcome.calendar is not None:
            calendar, before = outcome.calendar, self._calendars.get(mailbox)
            if before is not None and calendar.known(self._window, self._oldest) is None:
                # What was at hand may have been forgotten meanwhile.
                calendar = before.and_then(calendar.segments, self._fetching.calendars.horizon)
            self._calendars[mailbox] = calendar

    def _plan(self, left: Sequence[str]) -> list[Errand]:
        missing = {mailbox: self._calendars.get(mailbox, _EMPTY).gaps(self._window, self._oldest) for mailbox in left}
        to_read = {gaps: stretches(self._window, gaps) for gaps in set(missing.values())}
        return errands({mailbox: to_read[gaps] for mailbox, gaps in missing.items()})

    def _read_alone(self, plan: Sequence[Errand]) -> dict[Item, Outcome]:
        found: dict[Item, Outcome] = {}
        for window, mailboxes in plan:
            found |= self._fetching.read(window, mailboxes)
        return found

    def _read_for_all(self, plan: Sequence[Errand]) -> Mapping[Item, Outcome]:
        """What this thread reads and what it waits for; nothing of what others did not bring to an end."""
        name_of = self._fetching.calendars.name_of_read
        items = {name_of(mailbox, window): (mailbox, window) for window, mailboxes in plan for mailbox in mailboxes}
        led, followed = flights.join(items, self._fetching.now, self._oldest)
        outcomes: dict[Item, Outcome] = {}
        if led:
            outcomes = Leading(self._fetching, self._oldest, {name: items[name] for name in led}, led).land_all()
        for name, flight in followed.items():
            if flight.over.wait(self._fetching.deadline.remaining()) and flight.outcome is not None:
                outcomes[items[name]] = flight.outcome
        if followed:
            measuring.count("calendars", len(followed), source="waited")
        return outcomes
