"""Which events a change means: a table over the ways a connection can go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tenants.changes import Change
from tenants.health import Health
from tenants.lifecycle import State
from webhooks.events import data_of, envelope, types_of

AT = datetime(2027, 3, 16, 8, 15, tzinfo=UTC)
P, E, N, D = State.PENDING, State.ENABLED, State.NEEDS_CONSENT, State.DISABLED
UNKNOWN, GOOD, WEAK, DOWN = Health.UNKNOWN, Health.HEALTHY, Health.DEGRADED, Health.DOWN


@pytest.mark.parametrize(
    ("states", "healths", "events"),
    [
        ((P, E), (UNKNOWN, GOOD), ["connection.enabled"]),
        ((E, E), (GOOD, WEAK), ["connection.degraded"]),
        ((E, E), (WEAK, DOWN), ["connection.down"]),
        ((E, E), (DOWN, DOWN), []),
        ((E, E), (GOOD, GOOD), []),
        ((E, E), (DOWN, GOOD), ["connection.recovered"]),
        ((E, E), (WEAK, GOOD), ["connection.recovered"]),
        ((E, E), (UNKNOWN, GOOD), []),
        ((E, N), (GOOD, GOOD), ["connection.needs_consent"]),
        ((N, E), (GOOD, GOOD), ["connection.enabled"]),
        ((N, E), (DOWN, GOOD), ["connection.enabled", "connection.recovered"]),
        ((D, E), (UNKNOWN, GOOD), ["connection.enabled"]),
        ((E, D), (GOOD, UNKNOWN), []),
        ((N, N), (GOOD, WEAK), ["connection.degraded"]),
    ],
    ids=str,
)
def test_what_a_change_is_told_as(
    states: tuple[State, State], healths: tuple[Health, Health], events: list[str]
) -> None:
    assert types_of(Change(AT, states[0], states[1], healths[0], healths[1])) == events


def test_a_bad_change_comes_with_its_reason_and_a_good_one_without() -> None:
    bad = data_of(Change(AT, E, N, GOOD, GOOD, "AADSTS50173"))
    assert bad["reason"] is not None
    assert bad["reason"]["code"] == "AADSTS50173"  # type: ignore[index]
    assert data_of(Change(AT, N, E, GOOD, GOOD)) == {"state": "enabled", "health": "healthy", "reason": None}


@pytest.mark.parametrize(("health", "told"), [(GOOD, "unknown"), (WEAK, "degraded"), (DOWN, "down")])
def test_a_connection_that_is_lost_is_never_told_to_be_healthy(health: Health, told: str) -> None:
    assert data_of(Change(AT, E, N, health, health, "AADSTS50173"))["health"] == told


def test_times_are_told_in_utc() -> None:
    there = AT.astimezone(timezone(timedelta(hours=-4)))
    assert envelope("1", "webhook.test", there, None, {})["at"] == "2027-03-16T08:15:00.000+00:00"
