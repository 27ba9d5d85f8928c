"""Who is to blame that calls failed: the service, or one of the mailboxes they asked for.

A call that failed while others were answered is asked again in pieces, down to single mailboxes. Where nothing has been
answered since, a mailbox that is known to answer is the witness; when that fails too, nobody is blamed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from microsoft.graph_answer import Verdict
from microsoft.schedule_report import MailboxFailure, failure
from microsoft.schedule_request import ScheduleCall
from microsoft.suspicion import pieces


@dataclass(frozen=True, slots=True)
class Suspect:
    """A call that failed for good; `since`: when it was first asked."""

    call: ScheduleCall
    since: float
    outcome: MailboxFailure


@dataclass(frozen=True, slots=True)
class _Case:
    """People among whom one is looked for over one part; `held`: the same people's other calls, for as long."""

    call: ScheduleCall
    held: list[ScheduleCall] = field(default_factory=list)

    def is_open(self, calls: Iterable[ScheduleCall]) -> bool:
        people = set(self.call.mailboxes)
        return any(
            call.part == self.call.part and call not in self.held and people.issuperset(call.mailboxes)
            for call in calls
        )


class Search:
    """What one question has found out so far. `poison`: mailboxes, by `str.casefold`, at which calls fail."""

    def __init__(self, witness: str | None) -> None:
        self.suspects: dict[ScheduleCall, Suspect] = {}
        self.poison: dict[str, MailboxFailure] = {}
        self._witness = witness
        self._witness_asked = False
        self._answered_at: float | None = None
        self._cases: list[_Case] = []

    @property
    def idle(self) -> bool:
        """Nobody is suspected, nothing held back."""
        return not self.suspects and not self._cases

    def note_answer(self, at: float) -> None:
        """The service answered."""
        self._answered_at = at

    def service_works(self, since: float | None) -> bool:
        """Whether anything was answered since then."""
        return since is not None and self._answered_at is not None and self._answered_at >= since

    def suspect(self, call: ScheduleCall, since: float, verdict: Verdict) -> None:
        """This call failed, and there is nothing more to be learnt from asking the same again."""
        outcome = verdict.outcome if isinstance(verdict.outcome, MailboxFailure) else failure("unavailable")
        self.suspects[call] = Suspect(call, since, outcome)

    def convicted(self) -> list[Suspect]:
        """Those that failed though the service works; no longer suspects then."""
        found = [suspect for suspect in self.suspects.values() if self.service_works(suspect.since)]
        for suspect in found:
            del self.suspects[suspect.call]
        return found

    def call_witness(self) -> ScheduleCall | None:
        """The call that shows whether the service works, where nothing else has shown it; one at a time."""
        alone = any(suspect.call.mailboxes == (self._witness,) for suspect in self.suspects.values())
        if not self.suspects or self._witness is None or self._witness_asked or alone:
            return None
        self._witness_asked = True
        return ScheduleCall(0, (self._witness,))

    def hear_witness(self, *, answered: bool) -> None:
        """One that failed is not asked again: the service does not work, or the witness was none."""
        self._witness_asked = False
        if not answered:
            self._witness = None

    def blame(self, suspect: Suspect, same: Sequence[ScheduleCall]) -> tuple[ScheduleCall, ...]:
        """The calls that find out which mailbox it was; none when there is but one, or when they are under way.

        `same`: other calls for the same mailboxes, which would fail likewise. They wait until the culprit is found.
        """
        call = suspect.call
        if len(call.mailboxes) == 1:
            self.poison[call.mailboxes[0].casefold()] = suspect.outcome
            return ()
        case = next((case for case in self._cases if case.call.mailboxes == call.mailboxes), None)
        if case is not None:
            case.held.append(call)
            return ()
        self._cases.append(_Case(call, list(same)))
        return pieces(call)

    def holds(self, call: ScheduleCall) -> bool:
        """Whether a call waits for what is found."""
        return any(call in case.held for case in self._cases)

    def released(self, still_open: Collection[ScheduleCall]) -> list[ScheduleCall]:
        """What was held back by cases that are over."""
        over = [case for case in self._cases if not case.is_open(still_open)]
        self._cases = [case for case in self._cases if case not in over]
        return [call for case in over for call in case.held]
