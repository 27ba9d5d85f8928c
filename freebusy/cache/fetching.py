"""The way to Microsoft: mailboxes are asked for, and what they said is remembered for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from django.utils import timezone

from freebusy.asking import schedule_of
from freebusy.cache.calendars import Calendars
from freebusy.cache.flights import Outcome, Trouble
from freebusy.cache.segments import Known, Segment
from freebusy.core.intervals import Interval, to_instant
from freebusy.core.schedule import Schedule, Unreadable
from microsoft.errors import IntegrationError, Throttled, may_pass
from microsoft.graph import CallRecord, MailboxFailure, ScheduleReport
from microsoft.http import Deadline
from microsoft.schedule_report import failure
from tenants import measuring

# Somebody must do something about these before another answer can come; a search need not ask again each time.
LASTING = frozenset({"not_found", "no_access", "not_on_exchange_online"})

Ask = Callable[[Sequence[str], Interval], ScheduleReport]  # raises IntegrationError while a breaker is open
Item = tuple[str, Interval]  # a mailbox, by its name in lower case, and a stretch to read of it


@dataclass(slots=True)
class Fetching:
    """One question's reads. `spelled`: how the caller writes a mailbox; `now`: when the question came."""

    calendars: Calendars
    ask: Ask
    spelled: Mapping[str, str]
    deadline: Deadline
    now: int
    calls: list[CallRecord] = field(default_factory=list)

    def read(self, window: Interval, mailboxes: Sequence[str]) -> dict[Item, Outcome]:
        """What became of each mailbox; never an error."""
        at = max(to_instant(timezone.now()), self.now)
        report, trouble = self._asked(window, mailboxes)
        self.calls.extend(report.calls)
        said = {mailbox: schedule_of(report.results[mailbox], window) for mailbox in mailboxes}
        # A call that was refused as a whole says nothing about the mailboxes in it.
        lasting = LASTING if all(call.status == HTTPStatus.OK for call in report.calls) else frozenset()
        kept = {
            mailbox: Segment(window, at, answer)
            for mailbox, answer in said.items()
            if isinstance(answer, Schedule) or answer.code in lasting
        }
        calendars = self.calendars.keep(kept)
        measuring.count("calendars", len(said), source="microsoft")
        return {
            (mailbox, window): Outcome(calendars[mailbox], trouble=trouble)
            if mailbox in calendars
            else Outcome(problem=Known(answer, at), trouble=trouble)
            for mailbox, answer in said.items()
        }

    def ran_out_of_time(self, outcome: Outcome) -> bool:
        """Whether it says more of this question than of the mailbox: one with more time may fare better.

        Where Microsoft itself says that it took too long, its code is beside ours.
        """
        said = None if outcome.problem is None else outcome.problem.said
        return isinstance(said, Unreadable) and said.code == "timeout" and said.raw is None

    def _asked(self, window: Interval, mailboxes: Sequence[str]) -> tuple[ScheduleReport, Trouble | None]:
        try:
            report = self.ask([self.spelled[mailbox] for mailbox in mailboxes], window)
        except IntegrationError as error:
            return ScheduleReport(dict.fromkeys(mailboxes, _not_asked(error)), ()), Trouble(error, held_back=True)
        return report, None if report.error is None else Trouble(report.error)


def _not_asked(error: IntegrationError) -> MailboxFailure:
    code = "throttled" if isinstance(error, Throttled) else "unavailable"
    return failure(code, raw=error.code, retryable=may_pass(error))
