"""Sums of checks by hour and day, added to in the transaction that stores the checks, so that they always agree.

No page and no metric ever reads the single checks of many connections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, models

from tenants.health import Outcome
from tenants.models import AllChecks, ConnectionChecks, HealthCheck, Period

KEEP_CHECKS = timedelta(days=8)
KEEP_HOURS = timedelta(hours=48)
KEEP_DAYS = timedelta(days=400)
PRUNED_AT_A_TIME = 1_000

_OUTCOMES = tuple(outcome.value for outcome in Outcome)
_SUMMED = (*_OUTCOMES, "latency_count", "latency_sum_ms")


@dataclass(frozen=True, slots=True)
class Checked:
    """One check, as far as sums go."""

    connection_id: int
    at: datetime
    outcome: Outcome
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class _Sums:
    amounts: Counter[str]
    latency_max_ms: int

    def values(self) -> list[int]:
        return [*(self.amounts[name] for name in _SUMMED), self.latency_max_ms]


def start_of(period: Period, at: datetime) -> datetime:
    """When the period that holds this UTC moment began."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour if period is Period.HOUR else hour.replace(hour=0)


def add(checks: Iterable[Checked]) -> None:
    """Adds the checks to both sums of their connections and of all; call it inside the transaction that stores them."""
    found = list(checks)
    own, every = _by_key(found), _by_key(found, of_all=True)
    _upsert(ConnectionChecks, ("connection_id", "period", "start"), sorted(own.items()))
    _upsert(AllChecks, ("period", "start"), sorted(every.items()))  # last: this row is everybody's


def prune(now: datetime) -> None:
    """Deletes what is older than it is kept, a little at a time so that nobody waits for it."""
    _delete(HealthCheck.objects.filter(at__lt=now - KEEP_CHECKS))
    for period, keep in ((Period.HOUR, KEEP_HOURS), (Period.DAY, KEEP_DAYS)):
        _delete(ConnectionChecks.objects.filter(period=period, start__lt=now - keep))
        _delete(AllChecks.objects.filter(period=period, start__lt=now - keep))


_Key = tuple[int | str | datetime, ...]


def _by_key(checks: Iterable[Checked], *, of_all: bool = False) -> dict[_Key, _Sums]:
    grouped: dict[_Key, list[Checked]] = {}
    for check in checks:
        for period in (Period.DAY, Period.HOUR):
            when = (period.value, start_of(period, check.at))
            grouped.setdefault(when if of_all else (check.connection_id, *when), []).append(check)
    return {key: _sum(together) for key, together in grouped.items()}


def _sum(checks: list[Checked]) -> _Sums:
    timed = [check.latency_ms for check in checks if check.latency_ms is not None]
    amounts = Counter(check.outcome.value for check in checks)
    amounts.update(latency_count=len(timed), latency_sum_ms=sum(timed))
    return _Sums(amounts, max(timed, default=0))


def _upsert(model: type[models.Model], key: tuple[str, ...], rows: list[tuple[_Key, _Sums]]) -> None:
    """Adds to the rows, making those that do not exist; Django's own upsert could only replace."""
    table = model._meta.db_table
    columns = (*key, *_SUMMED, "latency_max_ms")
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in _SUMMED)
    larger = f"CASE WHEN excluded.latency_max_ms > {table}.latency_max_ms THEN excluded.latency_max_ms"
    sql = (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))}) "  # noqa: S608 - names
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}, "
        f"latency_max_ms = {larger} ELSE {table}.latency_max_ms END"
    )
    with connection.cursor() as cursor:
        cursor.executemany(sql, [[*map(_plain, where), *sums.values()] for where, sums in rows])


def _plain(part: int | str | datetime) -> int | str | datetime | None:
    return connection.ops.adapt_datetimefield_value(part) if isinstance(part, datetime) else part


def _delete(rows: models.QuerySet[models.Model]) -> None:
    while found := list(rows.values_list("pk", flat=True)[:PRUNED_AT_A_TIME]):
        rows.model._default_manager.filter(pk__in=found).delete()
