"""Pure: when a connection's trouble is worth an incident, and when it is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from microsoft.reasons import Kind, reason
from tenants.health import Health
from tenants.lifecycle import State

# A single bad check is no incident; what a check at least this much later still finds is one.
DEGRADED_LASTS = timedelta(minutes=30)


class Severity(StrEnum):
    """How bad an incident is; the worst comes last."""

    DEGRADED = "degraded"
    DOWN = "down"
    NEEDS_CONSENT = "needs_consent"
    EVERYBODY = "everybody"  # a whole service of Microsoft, or our own registration

    def worse_than(self, other: Severity) -> bool:
        """By the order above."""
        order = list(Severity)
        return order.index(self) > order.index(other)


class Ending(StrEnum):
    """How an incident ended."""

    RECOVERED = "recovered"
    DISCONNECTED = "disconnected"  # somebody at Cadence ended the connection: nothing to give the all-clear for


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an incident says; `code` is a reason code, "" when no check named one."""

    severity: Severity
    code: str
    since: datetime

    @property
    def may_be_everybodys(self) -> bool:
        """Whether an outage for all, or a fault of ours, would explain it."""
        return self.severity is not Severity.NEEDS_CONSENT and reason(self.code).kind in (
            Kind.TRANSIENT,
            Kind.OUR_FAULT,
        )


def trouble(
    state: State, health: Health, *, since: datetime | None, seen_at: datetime | None, code: str
) -> Trouble | None:
    """What is to be told of a connection in this state and health, None when there is nothing.

    `since`: when state or health became so. `seen_at`: the last check that found it so; not the present moment, or a
    blip of a connection that is checked every six hours would count as lasting.
    """
    if since is None:
        return None
    if state is State.NEEDS_CONSENT:
        return Trouble(Severity.NEEDS_CONSENT, code, since)
    if state is not State.ENABLED:
        return None
    if health is Health.DOWN:
        return Trouble(Severity.DOWN, code, since)
    if health is Health.DEGRADED and seen_at is not None and seen_at - since >= DEGRADED_LASTS:
        return Trouble(Severity.DEGRADED, code, since)
    return None


def ending(state: State, health: Health) -> Ending | None:
    """How this state and health end an open incident; None while it goes on."""
    if state is State.ENABLED and health is Health.HEALTHY:
        return Ending.RECOVERED
    if state in (State.DISABLED, State.PENDING):
        return Ending.DISCONNECTED
    return None
