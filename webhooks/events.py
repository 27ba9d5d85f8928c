"""Pure: which events a change of a connection means, and what they carry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

from microsoft.reasons import reason
from tenants.changes import Change
from tenants.health import believable
from tenants.lifecycle import State

Data = dict[str, object]


class EventType(StrEnum):
    """What an endpoint may ask for."""

    ENABLED = "connection.enabled"
    NEEDS_CONSENT = "connection.needs_consent"
    DEGRADED = "connection.degraded"
    DOWN = "connection.down"
    RECOVERED = "connection.recovered"
    EXPIRING = "credential.expiring"


TEST = "webhook.test"  # sent by hand to one endpoint, whatever it asked for


def types_of(change: Change) -> list[EventType]:
    """State and health are told apart: a consent that also ends an outage is `enabled` and `recovered`."""
    happened = {
        EventType.ENABLED: change.became_enabled,
        EventType.NEEDS_CONSENT: change.lost,
        EventType.DEGRADED: change.became_degraded,
        EventType.DOWN: change.went_down,
        EventType.RECOVERED: change.recovered,
    }
    return [event for event, is_so in happened.items() if is_so]


def data_of(change: Change) -> Data:
    """State, health and the reason for a bad one, in English as the table of reasons has it."""
    why = reason(change.reason) if change.reason else None
    return {
        "state": change.state.value,
        "health": believable(change.health, enabled=change.state is State.ENABLED).value,
        "reason": {"code": why.code, "title": why.title, "actor": why.actor.value} if why else None,
    }


def expiring(subject: str, expires_at: datetime, days_left: int) -> Data:
    """Of a credential that somebody should renew."""
    return {"subject": subject, "expires_at": rfc3339(expires_at), "days_left": days_left}


def envelope(event_id: object, event_type: str, at: datetime, account: str | None, data: Mapping[str, object]) -> Data:
    """The members that every event has; `account` is the slug, null for what concerns the whole installation."""
    return {"id": str(event_id), "type": event_type, "at": rfc3339(at), "account": account, "data": dict(data)}


def rfc3339(moment: datetime) -> str:
    """In UTC, with an offset as everywhere in the API."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
