"""The sandbox's clock, set by tests and by the control endpoint."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.clock import Clock

WHEN = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("at", [WHEN.isoformat(), WHEN.timestamp(), "2030-01-02T04:04:05+01:00"])
def test_an_instant_is_set_as_text_or_seconds(client, sandbox, at):
    answer = client.session.post(f"{client.authority}/_sandbox/set", json={"set_clock": at}, timeout=5)
    assert answer.status_code == 200
    assert sandbox.clock.moment() == WHEN
    assert client.session.get(f"{client.authority}/_sandbox/clock", timeout=5).json() == WHEN.isoformat()


@pytest.mark.parametrize("at", ["2030-01-02T03:04:05", "tomorrow", [1]])
def test_what_names_no_instant_is_refused(client, sandbox, at):
    before = sandbox.clock.moment()
    answer = client.session.post(f"{client.authority}/_sandbox/set", json={"set_clock": at}, timeout=5)
    assert (answer.status_code, sandbox.clock.moment()) == (400, before)


def test_a_still_clock_stays_still_and_a_running_one_runs():
    still, running = Clock(WHEN), Clock()
    for clock in (still, running):
        clock.set(WHEN + timedelta(days=1))
    assert still.moment() == still.moment() == WHEN + timedelta(days=1)
    first = running.now()
    assert WHEN.timestamp() + 86_400 <= first < WHEN.timestamp() + 86_400 + 60
    running.hold(still=True)
    assert running.now() == running.now()
    held = running.now()
    running.hold(still=False)
    assert held <= running.now() < held + 60


def test_the_machines_time_comes_back(sandbox):
    sandbox.control.set({"set_clock": None})
    assert abs(sandbox.clock.moment() - datetime.now(UTC)) < timedelta(minutes=1)


def test_tokens_age_by_this_clock(client, sandbox):
    tokens = client.tokens()
    sandbox.control.set({"set_clock": "2027-03-15T10:00:00+00:00"})
    assert client.ask(tokens["access_token"], ["joe@contoso.example"]).status_code == 401
    assert "access_token" in client.refresh(tokens["refresh_token"])
    sandbox.control.set({"advance_clock": 90 * 86_400})
    assert client.refresh(tokens["refresh_token"])["error_codes"] == [700082]
