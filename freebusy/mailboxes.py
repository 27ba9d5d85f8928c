"""Which mailboxes of an account are worth a look: those that the API was asked for lately, and could read.

Kept: address, when it was last asked for, and how many entries the last believed look held. Never the entries.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.db import connection as database
from django.db.models import F, Q, Window
from django.db.models.functions import Least, RowNumber

from freebusy.canary import Memory
from freebusy.models import KnownMailbox
from tenants.changes import Change
from tenants.lifecycle import State
from tenants.models import Account, Connection
from tenants.pace import pace

log = logging.getLogger(__name__)

NOTED_EVERY = timedelta(minutes=10)
MOST_KEPT = 500  # of one account
KEPT_FOR = timedelta(days=30)
SAMPLE = 19  # with the reader one call of getSchedule
_FORGOTTEN_AT_A_TIME = 1_000


def note_use(of: Connection, read: Collection[str], now: datetime) -> None:
    """Remembers that the account's calendars were asked for, and which were `read`; every ten minutes at most.

    `of` comes as it was loaded for the request, so that a warm one costs no query. The answer does not depend on it.
    """
    if of.last_used_at is not None and now - of.last_used_at < NOTED_EVERY:
        return
    try:
        with transaction.atomic():
            if _claim(of, now):
                _keep(of.account, {address.lower() for address in read} - {of.reader.lower()}, now)
    except DatabaseError as error:
        log.warning("use was not noted", extra={"account": of.account.slug, "error": type(error).__name__})


def sample(account_ids: Collection[int]) -> dict[int, list[Memory]]:
    """For each account its mailboxes whose last look is the longest ago, so that all get their turn."""
    rank = Window(
        RowNumber(), partition_by="account_id", order_by=[F("last_probed_at").asc(nulls_first=True), F("pk").asc()]
    )
    rows = KnownMailbox.objects.filter(account__in=account_ids).annotate(rank=rank).filter(rank__lte=SAMPLE)
    found: defaultdict[int, list[Memory]] = defaultdict(list)
    for account_id, key, address, entries, at in rows.values_list(
        "account_id", "pk", "address", "entries", "entries_at"
    ):
        found[account_id].append(Memory(key, address, entries, at))
    return found


def note_looks(doubted: Iterable[int], believed: Iterable[tuple[int, int]], now: datetime) -> None:
    """Stores that these were looked at, and of those that were `believed` (key, entries) what was seen.

    By hand, since a sweep writes nineteen rows for each connection.
    """
    at = database.ops.adapt_datetimefield_value(now)
    table = KnownMailbox._meta.db_table
    doubted_rows = [(at, key) for key in sorted(doubted)]
    believed_rows = [(at, entries, at, key) for key, entries in sorted(believed)]
    with database.cursor() as cursor:
        if doubted_rows:
            cursor.executemany(f"UPDATE {table} SET last_probed_at = %s WHERE id = %s", doubted_rows)  # noqa: S608
        if believed_rows:
            cursor.executemany(
                f"UPDATE {table} SET last_probed_at = %s, entries = %s, entries_at = %s WHERE id = %s",  # noqa: S608
                believed_rows,
            )


def forget_unasked(now: datetime) -> None:
    """Deletes those that nobody has asked for in a month, a little at a time."""
    old = KnownMailbox.objects.filter(last_asked_at__lt=now - KEPT_FOR)
    while found := list(old.values_list("pk", flat=True)[:_FORGOTTEN_AT_A_TIME]):
        KnownMailbox.objects.filter(pk__in=found).delete()


def forget_ended(connection_id: int, change: Change, **_: Any) -> None:
    """A disconnected account's are deleted with its tokens."""
    if change.ended:
        KnownMailbox.objects.filter(account__connection=connection_id).delete()


def _claim(of: Connection, now: datetime) -> bool:
    """Whether this request is the one to write; a connection that rested is probed soon again."""
    long_ago = Q(last_used_at=None) | Q(last_used_at__lte=now - NOTED_EVERY)
    soon = now + pace().between(in_use=True)
    rows = Connection.objects.filter(long_ago, pk=of.pk, state=State.ENABLED.value)
    return bool(rows.update(last_used_at=now, probe_due_at=Least(F("probe_due_at"), soon)))


def _keep(account: Account, addresses: set[str], now: datetime) -> None:
    rows = [KnownMailbox(account=account, address=address, last_asked_at=now) for address in sorted(addresses)]
    KnownMailbox.objects.bulk_create(
        rows[:MOST_KEPT],
        update_conflicts=True,
        unique_fields=["account", "address"],
        update_fields=["last_asked_at"],
    )
    newest = KnownMailbox.objects.filter(account=account).order_by("-last_asked_at", "pk")
    if surplus := list(newest.values_list("pk", flat=True)[MOST_KEPT:]):
        KnownMailbox.objects.filter(pk__in=surplus).delete()
