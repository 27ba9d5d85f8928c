"""What of a roster was not read by the deadline: kept as a row, worked off in the background, then deleted.

Driven by rows: a lost or doubled message does no harm, and what a killed worker had claimed is due again by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from freebusy.core.intervals import Interval, to_instant
from freebusy.models import UnfinishedRoster
from freebusy.problems import MicrosoftUnavailable, NotConnected
from freebusy.roster.refreshing import refresh
from microsoft.http import Deadline
from tenants.changes import Change
from tenants.models import Account

log = logging.getLogger(__name__)

PIECE = 60  # three calls
PATIENCE_SECONDS = 15.0
LEASE = timedelta(seconds=2 * PATIENCE_SECONDS)
FIRST_WAIT_SECONDS = 15.0  # doubled each time that nothing came of it
OF_USE_FOR = timedelta(minutes=30)  # who searches after that asks for whom they need
MOST_ROWS = 20  # of one account; the oldest go


def keep(account: Account, addresses: Sequence[str], start: datetime, end: datetime, *, read_since: datetime) -> None:
    """For the worker to read; what somebody has read since `read_since` will do."""
    with transaction.atomic():
        UnfinishedRoster.objects.create(
            account=account, addresses=list(addresses), start=start, end=end, read_since=read_since
        )
        rows = UnfinishedRoster.objects.filter(account=account).order_by("-pk")
        rows.filter(pk__in=list(rows.values_list("pk", flat=True)[MOST_ROWS:])).delete()


def finish_due(*, stop: Callable[[], bool] = lambda: False) -> int:
    """Reads a piece of each roster that is due, the one that waited longest first; returns how many pieces."""
    UnfinishedRoster.objects.filter(created_at__lt=timezone.now() - OF_USE_FOR).delete()
    done = 0
    while not stop() and (row := _claim()) is not None:
        _go_on(row)
        done += 1
    return done


def forget_ended(connection_id: int, change: Change, **_: Any) -> None:
    """A disconnected account's are deleted with its tokens."""
    if change.ended:
        UnfinishedRoster.objects.filter(account__connection=connection_id).delete()


def _claim() -> UnfinishedRoster | None:
    """A roster that is due, now this process's: its due time is moved to when the lease ends."""
    now, holder = timezone.now(), str(uuid4())
    due = UnfinishedRoster.objects.filter(next_try_at__lte=now)
    with transaction.atomic():
        chosen = due.select_for_update(skip_locked=True).order_by("next_try_at").values_list("pk", flat=True).first()
        if chosen is None or not due.filter(pk=chosen).update(
            holder=holder, next_try_at=now + LEASE, tries=F("tries") + 1
        ):
            return None
    rows = UnfinishedRoster.objects.select_related("account__connection__token")
    return rows.filter(pk=chosen, holder=holder).first()


def _go_on(row: UnfinishedRoster) -> None:
    piece, rest = row.addresses[:PIECE], row.addresses[PIECE:]
    window = Interval(to_instant(row.start), to_instant(row.end))
    age = max(ceil((timezone.now() - row.read_since).total_seconds()), 1)
    try:
        found = refresh(
            row.account,
            piece,
            window,
            Deadline.after(PATIENCE_SECONDS),
            max_age_seconds=age,
            as_use=False,
        )
    except NotConnected:
        _mine(row).delete()
        return
    except MicrosoftUnavailable:
        _put_off(row, row.addresses)
        return
    if len(found.pending) == len(piece):
        _put_off(row, [*rest, *piece])
    elif left := [*rest, *found.pending]:
        _mine(row).update(addresses=left, next_try_at=timezone.now(), tries=0, holder="")
    else:
        _mine(row).delete()


def _put_off(row: UnfinishedRoster, addresses: Sequence[str]) -> None:
    wait = timedelta(seconds=FIRST_WAIT_SECONDS * 2.0 ** (row.tries - 1))
    log.info("roster held up", extra={"roster": row.pk, "tries": row.tries, "mailboxes": len(addresses)})
    _mine(row).update(addresses=list(addresses), next_try_at=timezone.now() + wait, holder="")


def _mine(row: UnfinishedRoster) -> Any:
    """The row, if nobody has taken it over."""
    return UnfinishedRoster.objects.filter(pk=row.pk, holder=row.holder)
