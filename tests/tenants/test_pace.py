"""How often a connection is looked at, and how long a look counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.health import Health, Rollup
from tenants.pace import JITTER, LONGEST_WAIT, Pace

NOW = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PACE = Pace(in_use_for=3 * DAY, interval=15 * MINUTE, idle_interval=6 * HOUR, least_stale=HOUR)


def wait(bad_in_a_row: int, *, in_use: bool = True, asked: float | None = None, factor: float = 1.0) -> timedelta:
    return PACE.wait(Rollup(Health.DOWN, NOW, bad_in_a_row), in_use=in_use, asked=asked, factor=factor)


@pytest.mark.parametrize(
    ("used", "connected", "in_use"),
    [
        (None, None, False),
        (3 * DAY, None, True),
        (3 * DAY + MINUTE, None, False),
        (None, DAY, True),
        (4 * DAY, DAY, True),
        (HOUR, 99 * DAY, True),
        (4 * DAY, 99 * DAY, False),
    ],
)
def test_a_read_or_a_consent_makes_a_connection_one_in_use_for_a_while(
    used: timedelta | None, connected: timedelta | None, in_use: bool
) -> None:
    last_used_at, connected_at = (None if age is None else NOW - age for age in (used, connected))
    assert PACE.in_use(last_used_at, connected_at, NOW) is in_use


def test_what_is_in_use_is_probed_often_and_what_rests_seldom() -> None:
    assert wait(0) == 15 * MINUTE
    assert wait(0, in_use=False) == 6 * HOUR


def test_after_a_bad_check_the_next_comes_within_minutes_and_then_backs_off_to_the_usual() -> None:
    assert [wait(bad) for bad in (1, 2, 3, 4)] == [4 * MINUTE, 8 * MINUTE, 15 * MINUTE, 15 * MINUTE]
    assert [wait(bad, in_use=False) for bad in (1, 2, 7, 8)] == [4 * MINUTE, 8 * MINUTE, 256 * MINUTE, 6 * HOUR]
    assert wait(1, factor=JITTER[1]) < 5 * MINUTE


@given(st.integers(0, 10_000), st.booleans(), st.floats(0, 1e9), st.floats(*JITTER))
def test_never_sooner_than_microsoft_asked_and_never_put_off_for_ever(
    bad: int, in_use: bool, asked: float, factor: float
) -> None:
    found = wait(bad, in_use=in_use, asked=asked, factor=factor)
    assert found >= min(timedelta(seconds=min(asked, 1e6)), LONGEST_WAIT)
    assert MINUTE <= found <= LONGEST_WAIT


@pytest.mark.parametrize(
    ("used", "age", "shown"),
    [
        (HOUR, HOUR, Health.DOWN),
        (HOUR, HOUR + MINUTE, Health.UNKNOWN),
        (9 * DAY, 12 * HOUR, Health.DOWN),
        (9 * DAY, 12 * HOUR + MINUTE, Health.UNKNOWN),
        (HOUR, None, Health.UNKNOWN),
    ],
)
def test_a_check_counts_for_two_intervals_of_its_connection(
    used: timedelta, age: timedelta | None, shown: Health
) -> None:
    last = None if age is None else NOW - age
    assert PACE.shown(Health.DOWN, last, last_used_at=NOW - used, connected_at=NOW - 99 * DAY, now=NOW) is shown
