"""One look at one connection: getSchedule for the reader and a sample, and what the answer amounts to.

Runs in threads of the pool: everything needed comes in a `Target`, and the database is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from freebusy.canary import Look, Memory, doubt
from microsoft.errors import HeldBack, IntegrationError, Misconfigured, Throttled, TokenRejected, Unavailable
from microsoft.graph import GraphClient, MailboxFailure, MailboxSchedule, ScheduleReport
from microsoft.http import Deadline
from microsoft.secret import Secret
from tenants.fields import unseal
from tenants.health import Outcome
from tenants.recording import CheckResult
from tenants.verification import raise_for_mailbox

WINDOW = timedelta(days=14)
PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom to ask and with what. `sealed`: the access token, encrypted; `failure`: why there is none to ask with.

    `refused`: a token that Graph would not take. `renewed`: a new one was asked for, so that there is no other to try.
    """

    connection_id: int
    account: str
    tenant_id: str
    reader: str
    graph: GraphClient
    graph_service: str
    entra_service: str
    in_use: bool
    began: datetime
    quota_key: str = ""
    sealed: bytes = b""
    refused: bytes = b""
    failure: IntegrationError | None = None
    renewed: bool = False
    sample: tuple[Memory, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look came to. `error`: what went wrong, None when the reader was read.

    `service`: which of Microsoft's services gave no usable answer, so that the trouble may be everybody's; else "".
    """

    result: CheckResult
    looks: tuple[Look, ...] = ()
    error: IntegrationError | None = None
    service: str = ""
    asked_to_wait: float | None = None
    report: ScheduleReport | None = None

    @property
    def held_back(self) -> bool:
        """Microsoft was not asked, since people needed the reader's calls."""
        return isinstance(self.error, HeldBack)

    @property
    def our_fault(self) -> bool:
        """Nothing is known of the connection then."""
        return isinstance(self.error, Misconfigured)

    @property
    def token_refused(self) -> bool:
        """Another token may do."""
        return isinstance(self.error, TokenRejected)

    @property
    def believed(self) -> bool:
        """Whether what was seen of the sample may be remembered."""
        return self.result.outcome is Outcome.OK


class _Handed:
    """A token that was read before; there is no other."""

    def __init__(self, sealed: bytes) -> None:
        self._sealed = sealed

    def bearer(self, rejected: Secret | None = None) -> Secret:
        if rejected is not None:
            raise TokenRejected(detail="Graph refused the stored token.")
        return unseal(self._sealed)


def look(target: Target, patience: float = PATIENCE_SECONDS) -> Finding:
    """Asks Microsoft, once, for at most `patience` seconds; failures are values."""
    if target.failure is not None:
        return without_token(target, target.failure)
    start = target.began.replace(second=0, microsecond=0)
    report = target.graph.get_schedule(
        [target.reader, *(memory.address for memory in target.sample)],
        start,
        start + WINDOW,
        token=_Handed(target.sealed),
        deadline=Deadline.after(patience),
        witness=target.reader,  # who decides: one of the sample may be why their call fails
        abandonable=False,  # the sweep leaves the whole thread behind
    )
    return _judge(target, report)


def late(target: Target) -> Finding:
    """What stands for a look that did not come back."""
    error = Unavailable("timeout", "The probe did not end in time.")
    result = CheckResult(Outcome.UNREACHABLE, code=error.code, began=target.began)
    return Finding(result, error=error, service=target.graph_service)


def without_token(target: Target, error: IntegrationError) -> Finding:
    """What it means for the connection that no access token could be had."""
    transient = isinstance(error, Unavailable | Throttled)
    return Finding(
        CheckResult(_outcome(error), code=error.code, request_id=error.request_id, began=target.began),
        error=error,
        service=target.entra_service if transient else "",
        asked_to_wait=error.retry_after if isinstance(error, Unavailable | Throttled) else None,
    )


def _judge(target: Target, report: ScheduleReport) -> Finding:
    """The reader decides; a sample that is hard to believe makes a good answer suspicious."""
    looks = _looks(target.sample, report)
    error = _error_of(report, target.reader)
    telling = [made for made in report.calls if error is not None or made.status == HTTPStatus.OK]
    call = telling[-1] if telling else None
    outcome, code = (_outcome(error), error.code) if error else (Outcome.OK, doubt(looks, target.began))
    result = CheckResult(
        Outcome.SUSPICIOUS if error is None and code else outcome,
        latency_ms=call.latency_ms if call else None,
        http_status=call.status if call else None,
        code=code,
        request_id=call.request_id if call else "",
        began=target.began,
    )
    transient = isinstance(error, Unavailable | Throttled)
    answered = any(made.status == HTTPStatus.OK for made in report.calls)
    held_back = isinstance(error, HeldBack)
    return Finding(
        result,
        looks=() if error else looks,
        error=error,
        service=target.graph_service if transient and not answered and not held_back else "",
        asked_to_wait=call.retry_after if call else None,
        report=report if report.poison else None,
    )


def _error_of(report: ScheduleReport, reader: str) -> IntegrationError | None:
    try:
        raise_for_mailbox(report, reader)
    except IntegrationError as error:
        result = report.results[reader.casefold()]
        # The error has Microsoft's own code, of which there are several for one and the same.
        if isinstance(error, HeldBack):
            return error
        if isinstance(result, MailboxFailure) and result.code == "throttled":
            return Throttled(error.code, error.detail, request_id=error.request_id)
        return error
    return None


def _outcome(error: IntegrationError) -> Outcome:
    if isinstance(error, Throttled):
        return Outcome.THROTTLED
    return Outcome.UNREACHABLE if isinstance(error, Unavailable) else Outcome.REFUSED


def _looks(sample: Sequence[Memory], report: ScheduleReport) -> tuple[Look, ...]:
    looks: list[Look] = []
    for memory in sample:
        result = report.results.get(memory.address.casefold())
        if isinstance(result, MailboxSchedule):
            looks.append(Look(memory, sum(len(entry.schedule_items or ()) for entry in result.entries)))
        else:
            looks.append(Look(memory, None, refused=result is not None and not result.retryable))
    return tuple(looks)
