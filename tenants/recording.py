"""Stores checks of connections: the checks themselves, their sums, and the health on each connection's own row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction

from tenants import rollups
from tenants.batches import Values, insert_each, update_each
from tenants.changes import Change
from tenants.health import Health, Outcome, Rollup, after_check
from tenants.lifecycle import State
from tenants.models import Connection, HealthCheck
from tenants.signals import connection_changed
from tenants.verification import Proof

# Of a consent that was taken back, the check that found it out still belongs on the row.
_MAY_BE_CHECKED = (State.ENABLED.value, State.NEEDS_CONSENT.value)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one probe found; `code` is a reason code, empty when all is well.

    `began`: when it set out, so that it says nothing of a connection that was made anew since.
    """

    outcome: Outcome
    latency_ms: int | None = None
    http_status: int | None = None
    code: str = ""
    request_id: str = ""
    began: datetime | None = None

    @classmethod
    def of_proof(cls, proof: Proof) -> CheckResult:
        """The verifying read after a consent is a check like any other."""
        return cls(Outcome.OK, proof.latency_ms, proof.http_status, "", proof.request_id)


def record_check(
    connection: Connection, result: CheckResult, now: datetime, *, state_before: State | None = None
) -> Rollup:
    """Writes one check and the connection's health columns; returns the health after it.

    `state_before`: when the caller moves the state in the same transaction, so that one change tells both.
    """
    return record_checks({connection.pk: result}, now, state_before=state_before)[connection.pk]


def record_checks(
    results: Mapping[int, CheckResult],
    now: datetime,
    *,
    wait: Callable[[int, Rollup], timedelta] | None = None,
    state_before: State | None = None,
) -> dict[int, Rollup]:
    """Writes many checks, by connection, in one transaction; returns the health after each that was written.

    What was disconnected or made anew meanwhile is left out. `wait` gives the time until the connection's next probe.
    """
    found: dict[int, Rollup] = {}
    with transaction.atomic():
        # In order, so that two processes with rows in common do not wait for each other in a circle.
        rows = Connection.objects.select_for_update().filter(pk__in=results, state__in=_MAY_BE_CHECKED).order_by("pk")
        kept = [row for row in map(_Row._make, rows.values_list(*_READ)) if not _made_anew(row, results[row.pk])]
        insert_each(HealthCheck, _OF_CHECK, [_check(row.pk, results[row.pk], now) for row in kept])
        changes: list[tuple[Values, Values]] = []
        for row in kept:
            before = Rollup(Health(row.health), row.health_since, row.bad_in_a_row)
            after = found[row.pk] = after_check(before, results[row.pk].outcome, now)
            due = now + wait(row.pk, after) if wait else row.probe_due_at
            changes.append(({"id": row.pk}, _columns(results[row.pk], after, now, due)))
        update_each(Connection, changes)
        for row in kept:
            state = State(row.state)
            change = Change(
                now, state_before or state, state, Health(row.health), found[row.pk].health, results[row.pk].code
            )
            # Also of one that this very check found lost: whoever hears of the recovery must have heard of the fall.
            if change.matters:
                connection_changed.send(Connection, connection_id=row.pk, change=change)
        rollups.add(rollups.Checked(row.pk, now, results[row.pk].outcome, results[row.pk].latency_ms) for row in kept)
    return found


class _Row(NamedTuple):
    """What is read of a connection; a sweep reads many, and model objects cost three times as much."""

    pk: int
    state: str
    connected_at: datetime | None
    health: str
    health_since: datetime | None
    bad_in_a_row: int
    probe_due_at: datetime


_READ = _Row._fields
_OF_CHECK = ("connection_id", "at", "outcome", "latency_ms", "http_status", "code", "microsoft_request_id")


def _made_anew(row: _Row, result: CheckResult) -> bool:
    return result.began is not None and row.connected_at is not None and row.connected_at > result.began


def _check(connection_id: int, result: CheckResult, now: datetime) -> tuple[object, ...]:
    code, request_id = result.code[:64], result.request_id[:64]
    return connection_id, now, result.outcome.value, result.latency_ms, result.http_status, code, request_id


def _columns(result: CheckResult, rollup: Rollup, now: datetime, due: datetime) -> Values:
    return {
        "health": rollup.health.value,
        "health_since": rollup.since,
        "bad_in_a_row": rollup.bad_in_a_row,
        "last_check_at": now,
        "last_check_outcome": result.outcome.value,
        "last_check_latency_ms": result.latency_ms,
        "last_check_code": result.code[:64],
        "probe_due_at": due,
    }
