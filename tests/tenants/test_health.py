"""How checks roll up: one good makes healthy, one bad degraded, two bad in a row down; silence is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.health import Health, Outcome, Rollup, after_check, health_now

START = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
BAD = [Outcome.THROTTLED, Outcome.REFUSED, Outcome.UNREACHABLE]


def rolled(*outcomes: Outcome) -> list[Rollup]:
    """The rollup after each check, one a minute."""
    found, rollup = [], Rollup()
    for minute, outcome in enumerate(outcomes):
        rollup = after_check(rollup, outcome, START + timedelta(minutes=minute))
        found.append(rollup)
    return found


OK, SUS, BAD1 = Outcome.OK, Outcome.SUSPICIOUS, Outcome.UNREACHABLE


@pytest.mark.parametrize(
    ("outcomes", "health"),
    [
        ([OK], "healthy"),
        ([BAD1], "degraded"),
        ([BAD1, BAD1], "degraded down"),
        ([OK, BAD1, BAD1, BAD1], "healthy degraded down down"),
        ([BAD1, BAD1, OK], "degraded down healthy"),
        ([BAD1, OK, BAD1], "degraded healthy degraded"),
        ([SUS], "degraded"),
        ([OK, SUS, SUS, SUS], "healthy degraded degraded degraded"),
        ([BAD1, SUS, BAD1, BAD1], "degraded degraded degraded down"),
        ([BAD1, BAD1, SUS], "degraded down degraded"),
        ([SUS, BAD1], "degraded degraded"),
    ],
)
def test_checks_in_a_row_roll_up(outcomes: list[Outcome], health: str) -> None:
    assert [rollup.health.value for rollup in rolled(*outcomes)] == health.split()


@pytest.mark.parametrize("first", BAD)
@pytest.mark.parametrize("second", BAD)
def test_any_two_bad_checks_in_a_row_make_down_whatever_their_kind(first: Outcome, second: Outcome) -> None:
    assert [rollup.health for rollup in rolled(first, second)] == [Health.DEGRADED, Health.DOWN]


@given(st.lists(st.sampled_from([Outcome.OK, Outcome.SUSPICIOUS]), min_size=1))
def test_a_suspicious_answer_never_brings_down(outcomes: list[Outcome]) -> None:
    assert all(rollup.health in (Health.HEALTHY, Health.DEGRADED) for rollup in rolled(*outcomes))


@given(st.lists(st.sampled_from(list(Outcome)), min_size=1))
def test_one_good_check_makes_healthy_after_whatever_came_before(outcomes: list[Outcome]) -> None:
    assert rolled(*outcomes, Outcome.OK)[-1].health is Health.HEALTHY


@given(st.lists(st.sampled_from(list(Outcome)), min_size=1))
def test_since_is_the_moment_of_the_last_change(outcomes: list[Outcome]) -> None:
    found = rolled(*outcomes)
    changed = max(
        minute for minute, rollup in enumerate(found) if minute == 0 or found[minute - 1].health is not rollup.health
    )
    assert found[-1].since == START + timedelta(minutes=changed)


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (timedelta(0), Health.DOWN),
        (timedelta(minutes=60), Health.DOWN),
        (timedelta(minutes=60, microseconds=1), Health.UNKNOWN),
        (None, Health.UNKNOWN),
    ],
)
def test_a_health_that_nobody_checked_lately_is_unknown(age: timedelta | None, shown: Health) -> None:
    last = None if age is None else START - age
    assert health_now(Health.DOWN, last, START, timedelta(minutes=60)) is shown
