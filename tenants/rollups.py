"""Sums of checks by hour and day, added to in the transaction that stores the checks, so that they always agree.

No page and no metric ever reads the single checks of many connections.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import models

from tenants.batches import insert_each
from tenants.health import Outcome
from tenants.models import AllChecks, ConnectionChecks, HealthCheck, Period

KEEP_CHECKS = timedelta(days=8)
KEEP_HOURS = timedelta(hours=48)
KEEP_DAYS = timedelta(days=400)
PRUNED_AT_A_TIME = 1_000

_OUTCOMES = tuple(outcome.value for outcome in Outcome)
_SUMMED = (*_OUTCOMES, "latency_count", "latency_sum_ms")
_COLUMNS = (*_SUMMED, "latency_max_ms")
_PLACE = {name: place for place, name in enumerate(_OUTCOMES)}


@dataclass(frozen=True, slots=True)
class Checked:
    """One check, as far as sums go."""

    connection_id: int
    at: datetime
    outcome: Outcome
    latency_ms: int | None


def start_of(period: Period, at: datetime) -> datetime:
    """When the period that holds this UTC moment began."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour if period is Period.HOUR else hour.replace(hour=0)


def add(checks: Iterable[Checked]) -> None:
    """Adds the checks to both sums of their connections and of all; call it inside the transaction that stores them."""
    own: dict[_Key, _Sums] = {}
    every: dict[_Key, _Sums] = {}
    starts: dict[datetime, list[tuple[str, datetime]]] = {}
    for check in checks:
        when = starts.get(check.at)
        if when is None:
            when = [(period.value, start_of(period, check.at)) for period in (Period.DAY, Period.HOUR)]
            starts[check.at] = when
        for period, start in when:
            _count(own, (check.connection_id, period, start), check)
            _count(every, (period, start), check)
    _upsert(ConnectionChecks, ("connection_id", "period", "start"), own)
    _upsert(AllChecks, ("period", "start"), every)  # last: this row is everybody's


def prune(now: datetime) -> None:
    """Deletes what is older than it is kept, a little at a time so that nobody waits for it."""
    _delete(HealthCheck.objects.filter(at__lt=now - KEEP_CHECKS))
    for period, keep in ((Period.HOUR, KEEP_HOURS), (Period.DAY, KEEP_DAYS)):
        _delete(ConnectionChecks.objects.filter(period=period, start__lt=now - keep))
        _delete(AllChecks.objects.filter(period=period, start__lt=now - keep))


_Key = tuple[int | str | datetime, ...]
_Sums = list[int]  # of _SUMMED, and the longest latency


def _count(sums: dict[_Key, _Sums], key: _Key, check: Checked) -> None:
    found = sums.get(key)
    if found is None:
        found = sums[key] = [0] * len(_COLUMNS)
    found[_PLACE[check.outcome.value]] += 1
    if check.latency_ms is not None:
        found[-3] += 1
        found[-2] += check.latency_ms
        found[-1] = max(found[-1], check.latency_ms)


def _upsert(model: type[models.Model], key: tuple[str, ...], sums: dict[_Key, _Sums]) -> None:
    """Adds to the rows, making those that do not exist; Django's own upsert could only replace."""
    table = model._meta.db_table
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in _SUMMED)
    larger = f"CASE WHEN excluded.latency_max_ms > {table}.latency_max_ms THEN excluded.latency_max_ms"
    insert_each(
        model,
        (*key, *_COLUMNS),
        [(*where, *found) for where, found in sorted(sums.items())],
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}, "
        f"latency_max_ms = {larger} ELSE {table}.latency_max_ms END",
    )


def _delete(rows: models.QuerySet[models.Model]) -> None:
    while found := list(rows.values_list("pk", flat=True)[:PRUNED_AT_A_TIME]):
        rows.model._default_manager.filter(pk__in=found).delete()
