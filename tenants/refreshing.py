"""Refreshes many tokens: those that are due, all, or one account's.

A process claims rows by a lease, asks Entra for many of them at a time, and stores by compare-and-set on each row's
version, as `tenants.vault` does for one row: whoever reconnects or disconnects meanwhile wins. What is due while a
circuit breaker is open is put off by minutes at random, so that a recovery is not met by all at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, partial
from uuid import uuid4

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import BinaryField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet
from django.utils import timezone

from microsoft.entra import Entra, TokenSet
from microsoft.errors import IntegrationError, Unavailable
from microsoft.http import Deadline, without_frames
from tenants import breakers, measuring, microsoft365, sweeping, token_times, vault
from tenants.batches import Values, update_each
from tenants.fields import unseal
from tenants.lifecycle import State
from tenants.models import Account, Connection, TokenRecord
from tenants.pace import pace
from tenants.vault import REFRESH_SECONDS

log = logging.getLogger(__name__)

PATIENCE_SECONDS = REFRESH_SECONDS + 2.0  # after that a call is left behind
LEASE_SECONDS = sweeping.lease_seconds(PATIENCE_SECONDS)
POLL_SECONDS = 0.25  # how often rows that other processes hold are looked at again


@dataclass(slots=True)
class Tally:
    """How a run went; `needs_consent` counts those refused for good in this run.

    `skipped`: not asked for, because the connection is not enabled, a breaker is open, or it changed meanwhile.
    """

    refreshed: int = 0
    skipped: int = 0
    failed: int = 0
    needs_consent: int = 0

    def as_json(self) -> dict[str, int]:
        """As the command prints it."""
        return asdict(self)


def refresh_due(stop: Callable[[], bool] = lambda: False) -> Tally:
    """Enabled connections whose tokens are due; `stop()` ends it early, the rest stays due."""
    due = _enabled().filter(refresh_due_at__lte=timezone.now()).order_by("refresh_due_at")
    run = _Run()
    run.sweep(lambda limit: _claim(due, limit), stop=stop)
    return run.tally


def refresh_all(slug: str | None = None, *, wait: float = LEASE_SECONDS + PATIENCE_SECONDS) -> Tally:
    """Every enabled connection, or one account's, whatever its due time, back-off and breakers; others are skipped.

    `wait`: seconds for what other processes hold; what they have not decided by then counts as failed.
    """
    accounts = Account.objects.filter(slug=slug) if slug else Account.objects.all()
    rows = (_enabled(account__slug=slug) if slug else _enabled()).order_by("pk")
    run = _Run(override=True)
    run.tally.skipped = accounts.count() - rows.count()
    pages = _Pages(rows)
    run.sweep(pages.claim)
    # What other processes held: theirs counts, as soon as it is there.
    end = time.monotonic() + wait
    while pages.held and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
        pages.count_decided(run.tally)
        run.sweep(pages.claim_held)
    run.tally.failed += len(pages.held)
    return run.tally


def refresh_these(connection_ids: Collection[int]) -> Tally:
    """These connections' tokens, if enabled, however fresh they are; breakers count, and what others hold is theirs."""
    run = _Run()
    run.sweep(_Pages(_enabled().filter(connection__in=connection_ids).order_by("pk")).claim)
    return run.tally


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A token row as it was claimed; `sealed` is its refresh token, encrypted."""

    pk: int
    connection_id: int
    version: int
    failures: int
    failure_before: str
    sealed: bytes
    cloud: str
    tenant: str
    in_use: bool
    holder: str
    begin_by: float  # on the monotonic clock: later the lease might end before the answer is there


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of a claimed row: tokens, an error, or neither because no call was made."""

    tokens: TokenSet | None = None
    error: IntegrationError | None = None
    seconds: float = 0.0


_NOT_ASKED = _Answer()


def _enabled(**account: str) -> QuerySet[TokenRecord]:
    # Not by a join: FOR UPDATE would lock the connections' rows too.
    enabled = Connection.objects.filter(pk=OuterRef("connection"), state=State.ENABLED.value, **account)
    return TokenRecord.objects.filter(Exists(enabled))


def _free(rows: QuerySet[TokenRecord], now: datetime) -> QuerySet[TokenRecord]:
    return rows.filter(Q(lease_until=None) | Q(lease_until__lt=now))


def _claim(rows: QuerySet[TokenRecord], limit: int) -> list[_Claimed]:
    """The first free ones, now this process's until the lease ends."""
    now, holder = timezone.now(), str(uuid4())
    lease = {"lease_holder": holder, "lease_until": now + timedelta(seconds=LEASE_SECONDS)}
    begin_by = time.monotonic() + LEASE_SECONDS - PATIENCE_SECONDS
    skip = database.features.has_select_for_update_skip_locked
    with transaction.atomic():
        found = list(_free(rows, now).select_for_update(skip_locked=skip).values_list("pk", flat=True)[:limit])
        if not found or not TokenRecord.objects.filter(pk__in=found).update(**lease):
            return []
        claimed = TokenRecord.objects.filter(pk__in=found).order_by("refresh_due_at").values_list(
            "pk",
            "connection_id",
            "version",
            "failures",
            "last_failure_code",
            ExpressionWrapper(F("refresh_token"), BinaryField()),  # as it is stored: one bad row must not stop all
            "connection__account__cloud",
            "connection__tenant_id",
            "connection__last_used_at",
            "connection__connected_at",
        )  # fmt: skip
        in_use = partial(pace().in_use, now=now)
        return [
            _Claimed(
                pk, connection_id, version, failures, before, bytes(sealed), cloud, tenant, in_use(used, connected),
                holder, begin_by,
            )
            for pk, connection_id, version, failures, before, sealed, cloud, tenant, used, connected in claimed
        ]  # fmt: skip


class _Pages:
    """All rows once, in the order of their keys; those that others hold are kept for later."""

    def __init__(self, rows: QuerySet[TokenRecord]) -> None:
        self._rows = rows
        self._last = 0
        self.held: dict[int, tuple[int, int]] = {}  # version and failures, as they were

    def claim(self, limit: int) -> list[_Claimed]:
        while True:
            page = {
                pk: seen
                for pk, *seen in self._rows.filter(pk__gt=self._last).values_list("pk", "version", "failures")[:limit]
            }
            if not page:
                return []
            self._last = max(page)
            claimed = _claim(self._rows.filter(pk__in=page), limit)
            mine = {item.pk for item in claimed}
            self.held.update({pk: (seen[0], seen[1]) for pk, seen in page.items() if pk not in mine})
            if claimed:
                return claimed

    def claim_held(self, limit: int) -> list[_Claimed]:
        claimed = _claim(self._rows.filter(pk__in=list(self.held)[: sweeping.BATCH]), limit) if self.held else []
        for item in claimed:
            del self.held[item.pk]
        return claimed

    def count_decided(self, tally: Tally) -> None:
        """Drops those that somebody else has refreshed, or failed to, since they were seen."""
        rows = TokenRecord.objects.filter(pk__in=list(self.held)[: sweeping.BATCH])
        now = {pk: (version, failures) for pk, version, failures in rows.values_list("pk", "version", "failures")}
        enabled = set(self._rows.filter(pk__in=now).values_list("pk", flat=True))
        for pk in list(self.held)[: sweeping.BATCH]:
            if pk not in now:
                tally.skipped += 1
            elif now[pk][0] != self.held[pk][0]:
                tally.refreshed += 1
            elif pk not in enabled:
                tally.needs_consent += 1
            elif now[pk] != self.held[pk]:
                tally.failed += 1
            else:
                continue
            del self.held[pk]


class _Desk:
    """Where the tokens of one cloud are renewed. `entra` raises Misconfigured when nothing can be asked there."""

    def __init__(self, cloud: str) -> None:
        self._account = Account(cloud=cloud)
        self.service = microsoft365.entra_service(self._account)
        self.scopes = microsoft365.calendar_scopes(self._account)

    @cached_property
    def entra(self) -> Entra:
        return microsoft365.entra_for(self._account)


@dataclass
class _Run:
    """One sweep over token rows."""

    override: bool = False
    tally: Tally = field(default_factory=Tally)
    _desks: dict[str, _Desk] = field(default_factory=dict)

    def sweep(self, claim: Callable[[int], Sequence[_Claimed]], stop: Callable[[], bool] = lambda: False) -> None:
        sweeping.sweep(
            claim,
            self.ask,
            self.write,
            late=lambda _: _Answer(error=Unavailable("timeout", "no answer in time"), seconds=PATIENCE_SECONDS),
            width=settings.SWEEP_WIDTH,
            patience=PATIENCE_SECONDS,
            stop=stop,
        )

    def ask(self, row: _Claimed) -> _Answer:
        """In a thread of the pool: no database here."""
        began = time.monotonic()
        if began > row.begin_by:
            return _NOT_ASKED
        desk = self._desks.get(row.cloud) or self._desks.setdefault(row.cloud, _Desk(row.cloud))
        try:
            breakers.permit(desk.service, row.tenant, override=self.override)
        except IntegrationError:
            return _NOT_ASKED
        try:
            # The sweep leaves the whole thread behind when a call hangs.
            tokens = desk.entra.refresh(
                unseal(row.sealed), scopes=desk.scopes, deadline=Deadline.after(REFRESH_SECONDS), abandonable=False
            )
        except IntegrationError as error:
            breakers.report(desk.service, row.tenant, error)
            return _Answer(error=without_frames(error), seconds=time.monotonic() - began)
        breakers.report(desk.service, row.tenant, None)
        return _Answer(tokens, seconds=time.monotonic() - began)

    def write(self, pairs: Sequence[tuple[_Claimed, _Answer]]) -> None:
        """What came back, in one transaction."""
        now = timezone.now()
        renewed: list[tuple[Values, Values]] = []
        failed: list[tuple[Values, Values]] = []
        put_off: list[tuple[Values, Values]] = []
        lost: list[tuple[_Claimed, IntegrationError]] = []
        for row, answer in pairs:
            if answer.tokens is not None:
                columns = vault.columns(answer.tokens, now, in_use=row.in_use)
                renewed.append(({"id": row.pk, "version": row.version}, {**columns, "version": row.version + 1}))
                continue
            mine = {"id": row.pk, "version": row.version, "lease_holder": row.holder}
            if answer.error is None:
                later = {"refresh_due_at": token_times.after_outage(now), "lease_holder": "", "lease_until": None}
                put_off.append((mine, later))
                continue
            failed.append((mine, vault.failure_columns(row.failures, answer.error, now)))
            if vault.refused_for_good(answer.error, row.failure_before):
                lost.append((row, answer.error))
        with transaction.atomic():
            stored = update_each(TokenRecord, renewed)
            # In the order of the connections' keys, as checks are recorded: no two wait for each other in a circle.
            lost.sort(key=lambda each: each[0].connection_id)
            marked = sum(_mark_lost(row, error) for row, error in lost)
            noted = update_each(TokenRecord, failed)
            update_each(TokenRecord, put_off)
        self._count(pairs, stored, max(noted - marked, 0), marked)

    def _count(self, pairs: Sequence[tuple[_Claimed, _Answer]], stored: int, failed: int, lost: int) -> None:
        self.tally.refreshed += stored
        self.tally.failed += failed
        self.tally.needs_consent += lost
        self.tally.skipped += len(pairs) - stored - failed - lost
        for outcome, number in (("refreshed", stored), ("failed", failed), ("needs_consent", lost)):
            if number:
                measuring.count("token_refreshes", number, outcome=outcome)
        for row, answer in pairs:
            if answer.tokens is not None:
                measuring.observe("token_refresh_seconds", answer.seconds)
            elif answer.error is not None:
                vault.log_failure(row.connection_id, answer.error)
        log.info("tokens refreshed", extra={"refreshed": stored, "failed": failed, "needs_consent": lost})


def _mark_lost(row: _Claimed, error: IntegrationError) -> bool:
    connection = Connection.objects.select_related("account").filter(pk=row.connection_id).first()
    return connection is not None and vault.mark_lost(connection, error, row.version)
