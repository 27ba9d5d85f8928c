"""The calls of one get_schedule: up to four at a time, retried as Microsoft asks, over by the deadline.

The calling thread decides everything and is the only one to ask for tokens; what is under way is its crew's.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from microsoft.errors import HeldBack, IntegrationError, Throttled, TokenRejected, may_pass
from microsoft.graph_answer import Next, Verdict, broken, judge_answer
from microsoft.graph_crew import Asking, Crew, Result, Try
from microsoft.graph_search import Search, Suspect
from microsoft.http import Answer, Deadline
from microsoft.schedule_report import (
    CallOutcome,
    CallRecord,
    MailboxFailure,
    ScheduleReport,
    crowded,
    failure,
    join,
    plain,
)
from microsoft.schedule_request import Part, ScheduleCall, plan_calls
from microsoft.secret import Secret
from microsoft.suspicion import Role
from microsoft.watching import DetailsSent, tell

MAX_IN_FLIGHT = 4
MAX_ATTEMPTS = 4
WAIT_CAP_SECONDS = 60.0  # a longer Retry-After than anybody here would wait for
_BACK_OFF_SECONDS = 0.5


class _Tokens(Protocol):
    def bearer(self, rejected: Secret | None = None) -> Secret: ...


class Run:
    """One question."""

    def __init__(
        self,
        asking: Asking,
        parts: Sequence[Part],
        token: _Tokens,
        deadline: Deadline,
        *,
        alone: Collection[str] = (),
        witness: str | None = None,
        abandonable: bool = True,
    ) -> None:
        self._asking = asking
        self._parts = parts
        self._source = token
        self._token: Secret | None = None
        self._deadline = deadline
        self._alone = alone
        self._crew = Crew(asking, parts, deadline, abandonable=abandonable)
        self._search = Search(witness)
        self._records: list[CallRecord] = []
        self._error: IntegrationError | None = None
        self._asked: set[str] = set()
        self._open: set[ScheduleCall] = set()
        self._settled: dict[ScheduleCall, CallOutcome] = {}
        self._waiting: list[Try] = []
        self._paused_until = deadline.clock()

    def report(self, mailboxes: Sequence[str]) -> ScheduleReport:
        """What became of every mailbox; one whose calls are not over by the deadline has timed out."""
        self._asked = {mailbox.casefold() for mailbox in mailboxes}
        calls = plan_calls(mailboxes, self._parts, self._alone)
        for call in calls:
            trial = call.mailboxes[0].casefold() in self._alone
            self._enqueue([call], Role.TRIAL if trial else Role.PLANNED)
        if calls:
            self._renew_token(None)
        try:
            while self._open and self._may_go_on():
                self._dispatch()
                result = self._next_result()
                if result is not None:
                    self._settle(result)
                self._look_for_culprits()
        finally:
            self._crew.dismiss()
        return self._report(calls)

    def _report(self, calls: Sequence[ScheduleCall]) -> ScheduleReport:
        unasked: dict[ScheduleCall, CallOutcome] = dict.fromkeys([*calls, *self._open], self._unasked())
        suspected: dict[ScheduleCall, CallOutcome] = {
            call: suspect.outcome for call, suspect in self._search.suspects.items()
        }
        failed: dict[ScheduleCall, CallOutcome] = {
            call: outcome for call, outcome in self._settled.items() if isinstance(outcome, MailboxFailure)
        }
        answered = {call: outcome for call, outcome in self._settled.items() if call not in failed}
        # Whoever was asked for in more than one call is what the last of these says.
        said = {call: outcome for call, outcome in unasked.items() if call not in self._settled}
        found = join(said | suspected | failed | answered, len(self._parts))
        found.update(self._search.poison)
        return ScheduleReport(found, tuple(self._records), self._error, frozenset(self._search.poison))

    def _may_go_on(self) -> bool:
        asks = bool(self._crew.under_way) or (bool(self._waiting) and not self._error)
        return asks and not self._deadline.expired

    def _enqueue(self, calls: Iterable[ScheduleCall], role: Role) -> None:
        for call in calls:
            self._open.add(call)
            self._waiting.append(Try(call, self._deadline.clock(), role))

    def _unasked(self) -> MailboxFailure:
        """What stands for calls that never came to an end."""
        if self._error is None:
            return failure("timeout")
        code = "throttled" if isinstance(self._error, Throttled) else "unavailable"
        return failure(code, raw=self._error.code, retryable=may_pass(self._error))

    def _renew_token(self, rejected: Secret | None) -> None:
        """Gets a token; without one nothing more is asked, but what is under way may still end well."""
        try:
            self._token = self._source.bearer(rejected)
        except IntegrationError as error:
            self._error = error

    def _dispatch(self) -> None:
        """Hands over as many calls as may start now."""
        now = self._deadline.clock()
        while self._token is not None and not self._error and self._has_room() and now >= self._paused_until:
            due = next((waiting for waiting in self._waiting if waiting.ready_at <= now), None)
            if due is None:
                return
            self._waiting.remove(due)
            self._crew.send(replace(due, client_request_id=str(uuid.uuid4())), self._token)
            if not self._crew.abandonable:
                return

    def _has_room(self) -> bool:
        """One at a time as long as nobody knows whether the service works."""
        return len(self._crew.under_way) < (1 if self._search.suspects else MAX_IN_FLIGHT)

    def _next_result(self) -> Result | None:
        """The next answer, or None when it is time to look again."""
        wait = self._deadline.remaining()
        if self._waiting and not self._error and self._has_room():
            ready = max(min(waiting.ready_at for waiting in self._waiting), self._paused_until)
            wait = min(wait, max(0.0, ready - self._deadline.clock()))
        if not self._crew.under_way:
            self._asking.sleep(wait)
            return None
        return self._crew.result(wait)

    def _settle(self, result: Result) -> None:
        """Books one answer: the call goes once more, goes in pieces, or is over."""
        verdict = self._verdict(result)
        attempt = result.attempt if result.attempt.since is not None else replace(result.attempt, since=result.began)
        if verdict.answered:
            self._search.note_answer(result.ended)
        if verdict.next is Next.NEW_TOKEN and self._try_with_new_token(attempt, result.token):
            return
        if attempt.role is not Role.WITNESS and attempt.call in self._open and self._put_off(attempt, verdict):
            return
        if not isinstance(result.answer, HeldBack):  # which was no call at all
            self._record(result, verdict)
        if verdict.next is Next.NEW_TOKEN:
            request_id = self._records[-1].request_id
            self._error = self._error or TokenRejected(verdict.code, claims=verdict.claims, request_id=request_id)
        elif attempt.role is Role.WITNESS:
            self._search.hear_witness(answered=verdict.answered)
            if attempt.call.mailboxes[0].casefold() in self._asked and verdict.answered:
                self._settled[attempt.call] = verdict.outcome
        elif attempt.call in self._open:
            self._end(attempt, verdict)

    def _end(self, attempt: Try, verdict: Verdict) -> None:
        """The last word about a call, unless somebody else than its mailboxes may be to blame."""
        call = attempt.call
        if self._may_be_searched(attempt, verdict) and attempt.since is not None:
            self._search.suspect(call, attempt.since, verdict)
            return
        self._open.discard(call)
        if verdict.next is Next.SPLIT and len(call.mailboxes) > 1:
            self._enqueue(call.halves(), Role.PLANNED)
            return
        self._settled[call] = verdict.outcome
        if not isinstance(verdict.outcome, MailboxFailure):
            for mailbox in crowded(call, verdict.outcome):
                self._ask_for_less(call, mailbox)

    def _may_be_searched(self, attempt: Try, verdict: Verdict) -> bool:
        """Whether it may be one mailbox's doing; not when Microsoft wants to be left alone beyond the deadline."""
        if verdict.next is Next.SEARCH and attempt.role is Role.PLANNED and len(attempt.call.mailboxes) == 1:
            return False  # it was refused, which is as plain as can be
        return verdict.suspicious and not self._error and (verdict.wait or 0.0) < self._deadline.remaining()

    def _ask_for_less(self, call: ScheduleCall, mailbox: str) -> None:
        """A mailbox with too many entries, over each half of the time; where that is too short it stays unreadable."""
        halves = call.for_halves_of_time(mailbox, self._parts)
        if halves and call.stretch is not None:
            del self._settled[call]
        for half in halves:  # before all others: where even a short time holds too much, that is found out soon
            self._open.add(half)
            self._waiting.insert(0, Try(half, self._deadline.clock()))
        if not halves and call.stretch is not None:
            self._forget(other for other in self._open if other.mailboxes == (mailbox,) and other.part == call.part)

    def _forget(self, calls: Iterable[ScheduleCall]) -> None:
        gone = set(calls)
        self._open -= gone
        self._waiting = [waiting for waiting in self._waiting if waiting.call not in gone]

    def _verdict(self, result: Result) -> Verdict:
        if isinstance(result.answer, Answer):
            return judge_answer(result.answer, wall_clock=self._asking.wall_clock)
        if isinstance(result.answer, TimeoutError):
            return Verdict(Next.DONE, failure("timeout"), "timeout")  # the gate did not open in time
        if not isinstance(result.answer, IntegrationError):
            raise result.answer
        if result.answer.permanent or isinstance(result.answer, Throttled):
            # Our settings are unusable, or the reader's calls are spent; it is so for every call.
            self._error = self._error or result.answer
            return Verdict(Next.DONE, self._unasked(), result.answer.code)
        return broken(result.answer.code)

    def _try_with_new_token(self, attempt: Try, token: Secret) -> bool:
        """401: one new token for all calls, and one more try for each call that was refused."""
        if attempt.renewed or self._error:
            return False
        if self._token == token:
            self._renew_token(token)
        if self._error:
            return False
        self._waiting.insert(0, replace(attempt, attempt=attempt.attempt + 1, renewed=True))
        return True

    def _put_off(self, attempt: Try, verdict: Verdict) -> bool:
        """Queues the call once more; False when that is of no use, or the wait would not leave time for it."""
        again = verdict.next is Next.RETRY and attempt.attempt < MAX_ATTEMPTS
        again = again or (verdict.next is Next.RETRY_ONCE and attempt.attempt == 1)
        if not again or self._error:
            return False
        if verdict.suspicious and (attempt.role is not Role.PLANNED or self._has_been_heard(attempt, verdict)):
            return False
        wait = verdict.wait
        if wait is None:
            wait = _BACK_OFF_SECONDS * 2 ** (attempt.attempt - 1) * (0.5 + self._asking.jitter())
        wait = min(wait, WAIT_CAP_SECONDS)
        if wait >= self._deadline.remaining():
            return False
        ready_at = self._deadline.clock() + wait
        if isinstance(verdict.outcome, MailboxFailure) and verdict.outcome.code == "throttled":
            # The quota belongs to the reader: its other calls would be refused too, and refused calls count.
            self._paused_until = max(self._paused_until, ready_at)
        self._waiting.append(replace(attempt, attempt=attempt.attempt + 1, ready_at=ready_at))
        return True

    def _has_been_heard(self, attempt: Try, verdict: Verdict) -> bool:
        """Whether the same call once more would say nothing new: its mailboxes are better asked in pieces.

        One that hung has had its time. One that was answered with a fault has had its retry, and others were answered.
        """
        if verdict.code == "timeout":
            return True
        if verdict.wait is not None:
            return False
        return attempt.attempt > 1 and len(attempt.call.mailboxes) > 1 and self._search.service_works(attempt.since)

    # --- who is to blame ------------------------------------------------------------------------------------------
    def _look_for_culprits(self) -> None:
        """Calls that failed though others were answered go in pieces, or are the fault of their only mailbox."""
        search = self._search
        if search.idle:
            return
        for suspect in search.convicted():
            self._blame(suspect)
        if (witness := search.call_witness()) is not None:
            self._waiting.insert(0, Try(witness, self._deadline.clock(), Role.WITNESS))
        elif not self._crew.under_way and not self._waiting:
            self._acquit()
        self._resume()

    def _blame(self, suspect: Suspect) -> None:
        people = suspect.call.mailboxes
        same = [waiting.call for waiting in self._waiting if waiting.call.mailboxes == people]
        self._waiting = [waiting for waiting in self._waiting if waiting.call.mailboxes != people]
        self._enqueue(self._search.blame(suspect, same), Role.PIECE)
        if self._search.holds(suspect.call):
            return
        self._open.discard(suspect.call)
        if len(people) == 1:
            self._settled[suspect.call] = suspect.outcome
            self._open.difference_update(same)

    def _acquit(self) -> None:
        """Nothing shows that the service works: the calls have failed, and nobody is to blame."""
        for call, suspect in self._search.suspects.items():
            self._open.discard(call)
            self._settled[call] = suspect.outcome
        self._search.suspects.clear()

    def _resume(self) -> None:
        """What was held back is asked for, without those who were found."""
        for held in self._search.released(self._open):
            self._open.discard(held)
            well = [mailbox for mailbox in held.mailboxes if mailbox.casefold() not in self._search.poison]
            if well:
                self._enqueue([held.only(well)], Role.PLANNED)

    def _record(self, result: Result, verdict: Verdict) -> None:
        answer = result.answer if isinstance(result.answer, Answer) else None
        if verdict.details:
            tell(DetailsSent())
        self._records.append(
            CallRecord(
                status=answer.status if answer else None,
                code=verdict.code,
                latency_ms=round((result.ended - result.began) * 1000),
                request_id=plain(answer.headers.get("request-id", "")) if answer else "",
                client_request_id=result.attempt.client_request_id,
                attempts=result.attempt.attempt,
                retry_after=verdict.wait,
                body_bytes=len(answer.body) if answer else 0,
                details=verdict.details,
            )
        )
