"""Every state with every event: what follows, or that it cannot happen."""

from __future__ import annotations

import itertools

import pytest

from tenants.lifecycle import Event, IllegalTransition, State, after

# One line a state; the columns are the events in the order of `COLUMNS`. A dash: cannot happen.
COLUMNS = (
    Event.VERIFICATION_BEGUN,
    Event.VERIFIED,
    Event.VERIFICATION_FAILED,
    Event.ACCESS_LOST,
    Event.DISCONNECTED,
)
TABLE = """
    pending        verifying      enabled  pending        -              disabled
    verifying      verifying      enabled  pending        -              disabled
    enabled        enabled        enabled  enabled        needs_consent  disabled
    needs_consent  needs_consent  enabled  needs_consent  needs_consent  disabled
    disabled       disabled       enabled  disabled       -              disabled
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
CASES = [(row[0], event, follows) for row in ROWS for event, follows in zip(COLUMNS, row[1:], strict=True)]


def test_the_table_below_names_every_state_with_every_event() -> None:
    named = [(state, event) for state, event, _ in CASES]
    assert sorted(named) == sorted(itertools.product(State, Event))


@pytest.mark.parametrize(("state", "event", "follows"), [case for case in CASES if case[2] != "-"])
def test_an_event_leads_to_the_state_of_the_table(state: str, event: Event, follows: str) -> None:
    assert after(State(state), event) is State(follows)


@pytest.mark.parametrize(("state", "event"), [case[:2] for case in CASES if case[2] == "-"])
def test_what_cannot_happen_is_refused_by_name(state: str, event: Event) -> None:
    with pytest.raises(IllegalTransition, match=f"{event}.*{state}"):
        after(State(state), event)


def test_a_failed_or_unfinished_reconnect_leaves_an_enabled_connection_enabled() -> None:
    state = after(State.ENABLED, Event.VERIFICATION_BEGUN)
    assert after(state, Event.VERIFICATION_FAILED) is State.ENABLED


@pytest.mark.parametrize("state", State)
def test_a_verified_consent_leads_out_of_every_state(state: State) -> None:
    assert after(state, Event.VERIFIED) is State.ENABLED


def test_the_states_are_spelled_as_the_api_promises() -> None:
    assert set(State) == {"pending", "verifying", "enabled", "needs_consent", "disabled"}
