"""Whether a change on a connection makes anybody look for an incident to end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from alerts import incidents
from tenants.changes import Change
from tenants.health import Health
from tenants.lifecycle import State

AT = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.mark.django_db
def test_a_first_good_check_looks_for_no_incident(django_assert_num_queries: Any) -> None:
    first = Change(AT, State.ENABLED, State.ENABLED, Health.UNKNOWN, Health.HEALTHY)
    with django_assert_num_queries(0):
        incidents.follow(1, first)


@pytest.mark.parametrize(
    ("state_before", "health_before"),
    [
        (State.NEEDS_CONSENT, Health.UNKNOWN),
        (State.ENABLED, Health.DEGRADED),
        (State.ENABLED, Health.DOWN),
    ],
)
def test_after_trouble_a_good_check_is_no_first_one(state_before: State, health_before: Health) -> None:
    assert not Change(AT, state_before, State.ENABLED, health_before, Health.HEALTHY).first_check
