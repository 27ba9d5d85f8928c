"""Runs as rows: begun and canceled by a person, looked at, forgotten after a month."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count
from django.utils import timezone

from freebusy.models import KnownMailbox, Preflight, PreflightAddress
from freebusy.preflight.addresses import Roster
from freebusy.preflight.findings import FOREIGN_DOMAIN, INVALID, READABLE
from tenants.changes import Change
from tenants.models import Account

MOST = 500  # entries of one run
KEPT_FOR = timedelta(days=30)
_FORGOTTEN_AT_A_TIME = 20


class AlreadyRunning(Exception):
    """The account has a run that has not ended: one at a time."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `counts`: how many addresses have which code, "" for those not asked yet."""

    counts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        return self.total - self.counts.get("", 0)

    @property
    def readable(self) -> int:
        return self.counts.get(READABLE, 0)


def known(account: Account) -> Roster:
    """The mailboxes that the API was asked for lately; those first that were asked for last."""
    rows = KnownMailbox.objects.filter(account=account).order_by("-last_asked_at", "pk")
    return Roster(tuple(rows.values_list("address", flat=True)[:MOST]))


def start(account: Account, roster: Roster, *, by: str, source: Preflight.Source = Preflight.Source.GIVEN) -> Preflight:
    """Stores the roster for the worker to check; raises AlreadyRunning.

    What is no address, or of a domain that is none of the account's, is settled here: Microsoft is never asked for it.
    """
    if not 1 <= roster.size <= MOST:
        raise ValueError(f"a run is over 1 to {MOST} entries, not {roster.size}")
    now = timezone.now()
    own = [address for address in roster.addresses if account.owns(address)]
    run = Preflight(account=account, source=source, started_at=now, started_by=by[:254], next_try_at=now)
    if not own:
        run.next_try_at, run.ended_at, run.outcome = None, now, Preflight.Outcome.DONE
    try:
        with transaction.atomic():
            run.save(force_insert=True)
            PreflightAddress.objects.bulk_create(_rows(run, roster, set(own), now))
    except IntegrityError:
        if running(account) is None:
            raise
        raise AlreadyRunning from None
    return run


def cancel(run: Preflight) -> bool:
    """Ends it; False when it had ended before. What is under way at this moment is not written any more."""
    now = timezone.now()
    ended = {"next_try_at": None, "holder": "", "ended_at": now, "outcome": Preflight.Outcome.CANCELED}
    return bool(Preflight.objects.filter(pk=run.pk, next_try_at__isnull=False).update(**ended))


def running(account: Account) -> Preflight | None:
    """The account's run that has not ended."""
    return Preflight.objects.filter(account=account, next_try_at__isnull=False).first()


def progress(run: Preflight) -> Progress:
    """Counted from the rows."""
    rows = PreflightAddress.objects.filter(preflight=run).order_by().values_list("code")
    return Progress(dict(rows.annotate(number=Count("pk"))))


def forget_old(now: datetime) -> None:
    """Deletes runs of more than a month ago, a few at a time."""
    old = Preflight.objects.filter(started_at__lt=now - KEPT_FOR)
    while found := list(old.values_list("pk", flat=True)[:_FORGOTTEN_AT_A_TIME]):
        Preflight.objects.filter(pk__in=found).delete()


def forget_ended(connection_id: int, change: Change, **_: Any) -> None:
    """A disconnected account's are deleted with its tokens."""
    if change.ended:
        Preflight.objects.filter(account__connection=connection_id).delete()


def _rows(run: Preflight, roster: Roster, own: set[str], now: datetime) -> Iterator[PreflightAddress]:
    for address in roster.addresses:
        if address in own:
            yield PreflightAddress(preflight=run, address=address)
        else:
            yield PreflightAddress(preflight=run, address=address, code=FOREIGN_DOMAIN, checked_at=now)
    for entry in roster.invalid:
        yield PreflightAddress(preflight=run, address=entry, code=INVALID, checked_at=now)
