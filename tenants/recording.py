"""Stores a check of a connection and rolls its health up on the connection's own row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from tenants.changes import Change
from tenants.health import Health, Outcome, Rollup, after_check
from tenants.lifecycle import State
from tenants.models import Connection, HealthCheck
from tenants.signals import connection_changed
from tenants.verification import Proof


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one probe found; `code` is a reason code, empty when all is well."""

    outcome: Outcome
    latency_ms: int | None = None
    http_status: int | None = None
    code: str = ""
    request_id: str = ""

    @classmethod
    def of_proof(cls, proof: Proof) -> CheckResult:
        """The verifying read after a consent is a check like any other."""
        return cls(Outcome.OK, proof.latency_ms, proof.http_status, "", proof.request_id)


def record_check(
    connection: Connection, result: CheckResult, now: datetime, *, state_before: State | None = None
) -> Rollup:
    """Writes the check and the connection's health columns; returns the health after it.

    `state_before`: when the caller moves the state in the same transaction, so that one change tells both.
    """
    with transaction.atomic():
        row = Connection.objects.select_for_update().get(pk=connection.pk)
        before = Rollup(Health(row.health), row.health_since, row.bad_in_a_row)
        rollup = after_check(before, result.outcome, now)
        HealthCheck.objects.create(
            connection=row,
            at=now,
            outcome=result.outcome.value,
            latency_ms=result.latency_ms,
            http_status=result.http_status,
            code=result.code[:64],
            microsoft_request_id=result.request_id[:64],
        )
        Connection.objects.filter(pk=row.pk).update(
            health=rollup.health.value,
            health_since=rollup.since,
            bad_in_a_row=rollup.bad_in_a_row,
            last_check_at=now,
            last_check_outcome=result.outcome.value,
            last_check_latency_ms=result.latency_ms,
            last_check_code=result.code[:64],
        )
        state = State(row.state)
        change = Change(now, state_before or state, state, before.health, rollup.health, result.code)
        if change.matters:
            connection_changed.send(Connection, connection_id=row.pk, change=change)
    return rollup
