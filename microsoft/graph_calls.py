"""The calls of one get_schedule: up to four at a time, retried as Microsoft asks, over by the deadline.

The calling thread decides everything and is the only one to ask for tokens; worker threads do nothing but one
HTTP exchange at a time, so that one which hangs can be left behind.
"""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from microsoft.errors import IntegrationError, TokenRejected, may_pass
from microsoft.graph_answer import Next, Verdict, broken, judge_answer
from microsoft.http import Answer, Deadline, DoorSession, exchange, without_frames
from microsoft.schedule_report import CallOutcome, CallRecord, MailboxFailure, failure, plain
from microsoft.schedule_request import Part, ScheduleCall, request_body
from microsoft.secret import Secret
from microsoft.watching import DetailsSent, tell, watched

MAX_IN_FLIGHT = 4
MAX_ATTEMPTS = 4
WAIT_CAP_SECONDS = 60.0  # a longer Retry-After than anybody here would wait for
_BACK_OFF_SECONDS = 0.5


class _Tokens(Protocol):
    def bearer(self, rejected: Secret | None = None) -> Secret: ...


class _Gate(Protocol):
    def acquire(self, deadline: Deadline) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Where and how to ask: what all questions of one client share."""

    url: str
    session: DoorSession
    gate: _Gate
    sleep: Callable[[float], None]
    jitter: Callable[[], float]
    wall_clock: Callable[[], float]


@dataclass(frozen=True, slots=True)
class _Try:
    """One attempt of a call: not before `ready_at`; `renewed` once a 401 has cost its one retry."""

    call: ScheduleCall
    ready_at: float
    attempt: int = 1
    renewed: bool = False
    client_request_id: str = ""


@dataclass(frozen=True, slots=True)
class _Result:
    """What a worker brings back: an answer, an error of ours, or a fault in our own code."""

    attempt: _Try
    token: Secret
    began: float
    ended: float
    answer: Answer | BaseException


class Run:
    """One question. `records` and `error` are complete once `outcomes` has returned."""

    def __init__(
        self, asking: Asking, parts: Sequence[Part], token: _Tokens, deadline: Deadline, *, abandonable: bool = True
    ) -> None:
        self.records: list[CallRecord] = []
        self.error: IntegrationError | None = None
        self._asking = asking
        self._parts = parts
        self._source = token
        self._token: Secret | None = None
        self._deadline = deadline
        self._abandonable = abandonable
        self._open: set[ScheduleCall] = set()
        self._settled: dict[ScheduleCall, CallOutcome] = {}
        self._waiting: list[_Try] = []
        self._in_flight = 0
        self._paused_until = deadline.clock()
        self._jobs: queue.SimpleQueue[tuple[_Try, Secret] | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[_Result] = queue.SimpleQueue()
        self._workers = 0

    def outcomes(self, calls: Sequence[ScheduleCall]) -> dict[ScheduleCall, CallOutcome]:
        """The outcome of every call; one that is not over by the deadline has timed out."""
        self._enqueue(calls)
        if calls:
            self._renew_token(None)
        try:
            while (self._in_flight or (self._waiting and not self.error)) and not self._deadline.expired:
                self._dispatch()
                result = self._next_result()
                if result is not None:
                    self._settle(result)
        finally:
            for _ in range(self._workers):
                self._jobs.put(None)
        return self._settled | dict.fromkeys(self._open, self._unasked())

    def _enqueue(self, calls: Iterable[ScheduleCall]) -> None:
        for call in calls:
            self._open.add(call)
            self._waiting.append(_Try(call, self._deadline.clock()))

    def _unasked(self) -> MailboxFailure:
        """What stands for calls that never came to an end."""
        if self.error is None:
            return failure("timeout")
        code = "throttled" if self.error.code == "throttled" else "unavailable"
        return failure(code, raw=self.error.code, retryable=may_pass(self.error))

    def _renew_token(self, rejected: Secret | None) -> None:
        """Gets a token; without one nothing more is asked, but what is under way may still end well."""
        try:
            self._token = self._source.bearer(rejected)
        except IntegrationError as error:
            self.error = error

    def _dispatch(self) -> None:
        """Hands over as many calls as may start now."""
        now = self._deadline.clock()
        while (
            self._token is not None and not self.error and self._in_flight < MAX_IN_FLIGHT and now >= self._paused_until
        ):
            due = next((waiting for waiting in self._waiting if waiting.ready_at <= now), None)
            if due is None:
                return
            self._waiting.remove(due)
            self._in_flight += 1
            attempt = replace(due, client_request_id=str(uuid.uuid4()))
            if not self._abandonable:
                self._results.put(self._ask(attempt, self._token))
                return
            self._jobs.put((attempt, self._token))
            if self._workers < self._in_flight:
                self._workers += 1
                threading.Thread(target=self._work, daemon=True, name="graph-call").start()

    def _next_result(self) -> _Result | None:
        """The next answer, or None when it is time to look again."""
        wait = self._deadline.remaining()
        if self._waiting and not self.error and self._in_flight < MAX_IN_FLIGHT:
            ready = max(min(waiting.ready_at for waiting in self._waiting), self._paused_until)
            wait = min(wait, max(0.0, ready - self._deadline.clock()))
        if not self._in_flight:
            self._asking.sleep(wait)
            return None
        try:
            result = self._results.get(timeout=wait)
        except queue.Empty:
            return None
        self._in_flight -= 1
        return result

    def _settle(self, result: _Result) -> None:
        """Books one answer: the call goes once more, goes in two halves, or is over."""
        verdict, attempt = self._verdict(result), result.attempt
        again = verdict.next is Next.RETRY and attempt.attempt < MAX_ATTEMPTS
        again = again or (verdict.next is Next.RETRY_ONCE and attempt.attempt == 1)
        if again and self._try_again(attempt, verdict):
            return
        if verdict.next is Next.NEW_TOKEN and self._try_with_new_token(result):
            return
        self._record(result, verdict)
        if verdict.next is Next.NEW_TOKEN:
            request_id = self.records[-1].request_id
            self.error = self.error or TokenRejected(verdict.code, claims=verdict.claims, request_id=request_id)
            return
        self._open.discard(attempt.call)
        if verdict.next is Next.SPLIT and len(attempt.call.mailboxes) > 1:
            self._enqueue(attempt.call.halves())
        else:
            self._settled[attempt.call] = verdict.outcome

    def _verdict(self, result: _Result) -> Verdict:
        if isinstance(result.answer, Answer):
            return judge_answer(result.answer, wall_clock=self._asking.wall_clock)
        if isinstance(result.answer, TimeoutError):
            return Verdict(Next.DONE, failure("timeout"), "timeout")  # the gate did not open in time
        if not isinstance(result.answer, IntegrationError):
            raise result.answer
        if result.answer.permanent:  # our settings are unusable, and they are so for every call
            self.error = self.error or result.answer
            return Verdict(Next.DONE, self._unasked(), result.answer.code)
        return broken(result.answer.code)

    def _try_with_new_token(self, result: _Result) -> bool:
        """401: one new token for all calls, and one more try for each call that was refused."""
        if result.attempt.renewed or self.error:
            return False
        if self._token == result.token:
            self._renew_token(result.token)
        if self.error:
            return False
        again = replace(result.attempt, attempt=result.attempt.attempt + 1, renewed=True)
        self._waiting.insert(0, again)
        return True

    def _try_again(self, attempt: _Try, verdict: Verdict) -> bool:
        """Queues the call once more; False when the wait would not leave time for it."""
        wait = verdict.wait
        if wait is None:
            wait = _BACK_OFF_SECONDS * 2 ** (attempt.attempt - 1) * (0.5 + self._asking.jitter())
        wait = min(wait, WAIT_CAP_SECONDS)
        if wait >= self._deadline.remaining() or self.error:
            return False
        ready_at = self._deadline.clock() + wait
        if isinstance(verdict.outcome, MailboxFailure) and verdict.outcome.code == "throttled":
            # The quota belongs to the reader: its other calls would be refused too, and refused calls count.
            self._paused_until = max(self._paused_until, ready_at)
        self._waiting.append(replace(attempt, attempt=attempt.attempt + 1, ready_at=ready_at))
        return True

    def _record(self, result: _Result, verdict: Verdict) -> None:
        answer = result.answer if isinstance(result.answer, Answer) else None
        if verdict.details:
            tell(DetailsSent())
        self.records.append(
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

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._results.put(self._ask(*job))

    def _ask(self, attempt: _Try, token: Secret) -> _Result:
        """One exchange, in a worker thread."""
        began = self._deadline.clock()
        answer: Answer | BaseException
        try:
            with self._asking.gate.acquire(self._deadline):
                began = self._deadline.clock()
                answer = watched("graph", lambda: self._exchange(attempt, token))
        except IntegrationError as error:
            answer = without_frames(error)
        except BaseException as error:  # noqa: BLE001 - judged, or raised again, by the thread that waits for it
            answer = error
        return _Result(attempt, token, began, self._deadline.clock(), answer)

    def _exchange(self, attempt: _Try, token: Secret) -> Answer:
        return exchange(
            self._asking.session,
            "POST",
            self._asking.url,
            headers={
                "Authorization": f"Bearer {token.reveal()}",
                "Accept": "application/json",
                "Content-Type": "application/json",
                "Prefer": 'outlook.timezone="UTC"',
                "client-request-id": attempt.client_request_id,
            },
            body=request_body(attempt.call.mailboxes, self._parts[attempt.call.part]),
            deadline=self._deadline,
        )
