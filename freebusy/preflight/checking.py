"""Works off runs, twenty addresses a call: driven by rows, so that killed workers and doubled messages do no harm.

Background work must not starve people: one call at a time, with the reader's gate and the breakers as for the API.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, timedelta
from uuid import uuid4

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from freebusy import asking, lookup
from freebusy.core.intervals import Interval, to_instant
from freebusy.core.schedule import Unreadable
from freebusy.models import Preflight, PreflightAddress
from freebusy.preflight.findings import FOREIGN_DOMAIN, READABLE, UNASKED
from freebusy.problems import NotConnected
from microsoft.errors import HeldBack, IntegrationError, Refused, Throttled, Unavailable
from microsoft.graph import MailboxSchedule, ScheduleReport
from microsoft.http import Deadline
from microsoft.schedule_report import plain
from tenants import breakers, microsoft365
from tenants.batches import update_each
from tenants.models import Connection
from tenants.places import Urgency

log = logging.getLogger(__name__)

CHUNK = 20  # one call of getSchedule
WINDOW = timedelta(days=28)  # as far ahead as appointments are planned; one part of a window for Graph
PATIENCE_SECONDS = 15.0
LEASE = timedelta(seconds=2 * PATIENCE_SECONDS)
TRIES = 4  # for the same addresses; one fewer than open the tenant's breaker, which would stop the API too
FIRST_WAIT_SECONDS = 15.0  # doubled each time; a breaker lets a call through as often
OUTAGE = timedelta(minutes=15)  # so long after its start a run still waits for breakers to close


class _HeldUp(Exception):
    """No answer for anybody. `error`: why; `asked`: False when a breaker or our own limits kept the question back."""

    def __init__(self, error: IntegrationError, *, asked: bool = True) -> None:
        super().__init__(error.code)
        self.error = error
        self.asked = asked

    @property
    def code(self) -> str:
        """What stands for the addresses if it stays so."""
        if isinstance(self.error, Throttled):
            return "throttled"
        return "timeout" if self.error.code == "timeout" else "unavailable"


Result = tuple[str, str]  # code of an address, and Microsoft's own


def check_due(*, stop: Callable[[], bool] = lambda: False) -> int:
    """Asks for what is due, the run that waited longest first; returns how many chunks were settled or put off."""
    done = 0
    while not stop() and (run := _claim()) is not None:
        _check(run)
        done += 1
    return done


def _claim() -> Preflight | None:
    """A run that is due, now this process's: its due time is moved to when the lease ends."""
    now, holder = timezone.now(), str(uuid4())
    due = Preflight.objects.filter(next_try_at__lte=now)
    with transaction.atomic():
        chosen = due.select_for_update(skip_locked=True).order_by("next_try_at").values_list("pk", flat=True).first()
        if chosen is None or not due.filter(pk=chosen).update(
            holder=holder, next_try_at=now + LEASE, tries=F("tries") + 1
        ):
            return None
    run = Preflight.objects.select_related("account__connection__token").filter(pk=chosen, holder=holder)
    return run.first()


def _check(run: Preflight) -> None:
    """The next addresses of a claimed run: asked and written, or put off."""
    rows = list(run.addresses.filter(code="").order_by("pk")[:CHUNK])
    try:
        if run.tries > TRIES:  # whoever claimed it died each time
            _write(run, rows, [(UNASKED, "")] * len(rows), tries=TRIES - 1)
        else:
            _write(run, rows, _ask(run, [row.address for row in rows]))
    except _HeldUp as held_up:
        _put_off(run, rows, held_up)
    except NotConnected:
        _change(run, next_try_at=None, ended_at=timezone.now(), outcome=Preflight.Outcome.NOT_CONNECTED)


def _ask(run: Preflight, addresses: Sequence[str]) -> list[Result]:
    """What became of each address; raises _HeldUp or NotConnected."""
    account = run.account
    own = [address for address in addresses if account.owns(address)]  # domains may change while a run lasts
    if not own:
        return [(FOREIGN_DOMAIN, "")] * len(addresses)
    connection = lookup.connection_of(account)
    try:
        breakers.permit(microsoft365.graph_service(account), connection.tenant_id)
    except IntegrationError as error:
        raise _HeldUp(error, asked=False) from None
    start = timezone.now().astimezone(UTC).replace(second=0, microsecond=0)
    window = Interval(to_instant(start), to_instant(start + WINDOW))
    deadline = Deadline.after(PATIENCE_SECONDS)
    report = asking.ask(account, connection, own, window, deadline, Urgency.BACKGROUND)
    if not any(isinstance(result, MailboxSchedule) for result in report.results.values()):
        _raise_if_held_up(report, connection)
    found = {address: asking.schedule_of(result, window) for address, result in report.results.items()}

    def result(address: str) -> Result:
        said = found.get(address.casefold())
        if said is None:
            return FOREIGN_DOMAIN, ""
        return (said.code, said.raw or "") if isinstance(said, Unreadable) else (READABLE, "")

    return [result(address) for address in addresses]


def _raise_if_held_up(report: ScheduleReport, connection: Connection) -> None:
    """When nobody could be read, and the reason is not that Microsoft refused these mailboxes."""
    failure = report.error or asking.graph_failure(report)
    if failure is None or isinstance(failure, Refused):
        return
    connection.refresh_from_db(fields=["state"])
    if not connection.enabled:
        raise NotConnected(connection.account, connection)
    asked = report.calls[-1].retry_after if report.calls else None
    if isinstance(failure, Unavailable | Throttled) and asked is not None:
        failure.retry_after = asked
    raise _HeldUp(failure, asked=not isinstance(failure, HeldBack))


def _put_off(run: Preflight, rows: Sequence[PreflightAddress], held_up: _HeldUp) -> None:
    """Later once more; when that has been tried often enough, it is the result, and the next addresses get one try."""
    error, now = held_up.error, timezone.now()
    log.info("preflight held up", extra={"preflight": run.pk, "tries": run.tries, "error": error.code})
    free = not held_up.asked and now - run.started_at < OUTAGE
    if run.tries >= TRIES and not free:
        results = [(held_up.code, plain(error.code))] * len(rows)
        _write(run, rows, results, tries=TRIES - 1, held_up=plain(error.code))
        return
    asked = error.retry_after if isinstance(error, Unavailable | Throttled) else None
    wait = FIRST_WAIT_SECONDS if free else FIRST_WAIT_SECONDS * 2.0 ** (run.tries - 1)
    later = now + timedelta(seconds=max(asked or 0.0, wait))
    _change(run, next_try_at=later, held_up=plain(error.code), tries=run.tries - free)


def _write(
    run: Preflight, rows: Sequence[PreflightAddress], results: Sequence[Result], *, tries: int = 0, held_up: str = ""
) -> None:
    """Stores results and frees the run for its next addresses, unless it was canceled or taken over in the meantime."""
    now = timezone.now()
    with transaction.atomic():
        if not _change(run, next_try_at=now, tries=tries, held_up=held_up):
            return
        update_each(
            PreflightAddress,
            [
                ({"id": row.pk}, {"code": code, "raw": raw, "checked_at": now})
                for row, (code, raw) in zip(rows, results, strict=True)
            ],
        )
        if not run.addresses.filter(code="").exists():
            ended = {"next_try_at": None, "ended_at": now, "outcome": Preflight.Outcome.DONE}
            Preflight.objects.filter(pk=run.pk).update(**ended)


def _change(run: Preflight, **values: object) -> bool:
    """Writes to a run that is still this process's, and lets it go."""
    return bool(Preflight.objects.filter(pk=run.pk, holder=run.holder).update(holder="", **values))
