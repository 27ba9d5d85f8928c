"""What is worth an incident, and what ends one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from alerts.trouble import Ending, Severity, Trouble, ending, trouble
from tenants.health import Health
from tenants.lifecycle import State

SINCE = datetime(2027, 3, 16, 10, 0, tzinfo=UTC)
LATER = {minutes: SINCE + timedelta(minutes=minutes) for minutes in (0, 29, 30)}
LOST, UP = State.NEEDS_CONSENT, State.ENABLED


@pytest.mark.parametrize(
    ("state", "health", "minutes", "severity", "shows"),
    [
        (LOST, Health.HEALTHY, 0, Severity.NEEDS_CONSENT, "a lost sign-in at once, whatever the last check said"),
        (LOST, Health.DOWN, 0, Severity.NEEDS_CONSENT, "the sign-in before the health"),
        (UP, Health.DOWN, 0, Severity.DOWN, "down at once: two checks have said so"),
        (UP, Health.DEGRADED, 0, None, "a blip"),
        (UP, Health.DEGRADED, 29, None, "a longer one"),
        (UP, Health.DEGRADED, 30, Severity.DEGRADED, "degraded for half an hour, as a check still says"),
        (UP, Health.HEALTHY, 30, None, "all well"),
        (UP, Health.UNKNOWN, 30, None, "nobody has looked"),
        (State.DISABLED, Health.DOWN, 30, None, "ended by us"),
        (State.PENDING, Health.DOWN, 30, None, "never connected"),
        (State.VERIFYING, Health.DOWN, 30, None, "on its way"),
    ],
)
def test_trouble(state: State, health: Health, minutes: int, severity: Severity | None, shows: str) -> None:
    found = trouble(state, health, since=SINCE, seen_at=LATER[minutes], code="throttled")
    assert found == (Trouble(severity, "throttled", SINCE) if severity else None), shows


def test_a_connection_that_no_check_has_seen_is_in_no_trouble() -> None:
    assert trouble(UP, Health.DEGRADED, since=SINCE, seen_at=None, code="") is None
    assert trouble(UP, Health.DOWN, since=None, seen_at=SINCE, code="") is None


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("health", Health)
def test_nothing_is_in_trouble_and_over_at_once(state: State, health: Health) -> None:
    found = trouble(state, health, since=SINCE, seen_at=LATER[30], code="")
    assert found is None or ending(state, health) is None


@pytest.mark.parametrize(
    ("state", "health", "how"),
    [
        (UP, Health.HEALTHY, Ending.RECOVERED),
        (UP, Health.DEGRADED, None),
        (UP, Health.UNKNOWN, None),
        (LOST, Health.HEALTHY, None),
        (State.VERIFYING, Health.HEALTHY, None),
        (State.DISABLED, Health.UNKNOWN, Ending.DISCONNECTED),
    ],
)
def test_only_a_good_check_or_our_own_hand_ends_an_incident(state: State, health: Health, how: Ending | None) -> None:
    assert ending(state, health) is how


def test_worse_is_what_comes_later_in_the_list() -> None:
    order = [Severity.DEGRADED, Severity.DOWN, Severity.NEEDS_CONSENT]
    assert [later.worse_than(earlier) for earlier, later in pairwise(order)] == [True, True]
    assert not Severity.DOWN.worse_than(Severity.DOWN)


@pytest.mark.parametrize(
    ("severity", "code", "explained"),
    [
        (Severity.DOWN, "microsoft_unavailable", True),
        (Severity.DOWN, "AADSTS7000222", True),
        (Severity.DOWN, "ErrorAccessDenied", False),
        (Severity.NEEDS_CONSENT, "AADSTS50173", False),
        (Severity.DEGRADED, "", False),
    ],
)
def test_an_outage_for_all_explains_what_may_pass_and_what_is_our_fault(
    severity: Severity, code: str, explained: bool
) -> None:
    assert Trouble(severity, code, SINCE).may_be_everybodys is explained
