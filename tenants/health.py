"""Pure: how single checks roll up into a connection's health."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

MOST_BAD = 10_000  # counting stops there: a connection may be down for years, and the column is a small one


class Health(StrEnum):
    """As the API shows it; `unknown` means no recent check."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What one probe found."""

    OK = "ok"
    SUSPICIOUS = "suspicious"  # Microsoft answered, but the answer is hard to believe
    THROTTLED = "throttled"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Rollup:
    """Health after some checks: since when it has been so, and how many bad checks in a row."""

    health: Health = Health.UNKNOWN
    since: datetime | None = None
    bad_in_a_row: int = 0


def after_check(before: Rollup, outcome: Outcome, at: datetime) -> Rollup:
    """One good check makes healthy, one bad one degraded, two bad ones in a row down.

    A suspicious answer degrades but never brings down: Microsoft did answer, so it also ends a row of bad ones.
    """
    bad = 0 if outcome in (Outcome.OK, Outcome.SUSPICIOUS) else min(before.bad_in_a_row + 1, MOST_BAD)
    if outcome is Outcome.OK:
        health = Health.HEALTHY
    elif bad >= 2:
        health = Health.DOWN
    else:
        health = Health.DEGRADED
    if health is before.health:
        return replace(before, bad_in_a_row=bad)
    return Rollup(health, at, bad)


def believable(health: Health, *, enabled: bool) -> Health:
    """Nobody reads through a connection that is not enabled: what the last good check found is no longer so."""
    return Health.UNKNOWN if health is Health.HEALTHY and not enabled else health


def health_now(stored: Health, last_check_at: datetime | None, now: datetime, stale_after: timedelta) -> Health:
    """What may be shown: a health that nobody checked lately is unknown."""
    if last_check_at is None or now - last_check_at > stale_after:
        return Health.UNKNOWN
    return stored
