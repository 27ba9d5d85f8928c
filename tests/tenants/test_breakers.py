"""Breakers shared by all processes: asked before a call, told after it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from microsoft.errors import (
    ConsentRequired,
    IntegrationError,
    Misconfigured,
    Refused,
    Throttled,
    TokenRejected,
    Unavailable,
)
from tenants import breaker_store, breakers, measuring
from tenants.breaker_state import FAILURES, TRIAL_SECONDS
from tenants.breakers import OpenBreaker, permit, report, standing, whole_open
from tenants.coordination import coordinator

ENTRA, GRAPH = "entra:https://login.example", "graph:https://graph.example"
START = datetime(2027, 3, 16, 9, tzinfo=UTC)
DOWN = Unavailable("HTTP503")
SECRET = Misconfigured("AADSTS7000222")


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    """Time that stands still until shifted."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def fail(tenant: str, error: IntegrationError = DOWN, times: int = FAILURES, service: str = GRAPH) -> None:
    for _ in range(times):
        report(service, tenant, error)


def fail_for_all(error: IntegrationError = DOWN, service: str = GRAPH) -> None:
    """Three tenants in a row."""
    for tenant in ("one", "two", "three"):
        report(service, tenant, error)


def passes(tenant: str = "one", service: str = GRAPH) -> bool:
    try:
        permit(service, tenant)
    except IntegrationError:
        return False
    return True


def in_another_process() -> None:
    """What this one remembers of the store is gone, as it was never there in another."""
    breaker_store._memory_of.cache_clear()


# --- one tenant ---------------------------------------------------------------------------------------------------
def test_a_tenant_that_failed_five_times_in_a_row_is_not_asked_and_others_are() -> None:
    report(GRAPH, "two", None)
    fail("one", times=FAILURES - 1)
    assert passes("one")
    fail("one", times=1)
    with pytest.raises(Unavailable) as caught:
        permit(GRAPH, "one")
    assert (caught.value.code, caught.value.retry_after) == ("HTTP503", TRIAL_SECONDS)
    assert passes("two")
    assert passes("one", ENTRA)


def test_a_success_in_between_begins_the_count_anew() -> None:
    for _ in range(3):
        fail("one", times=FAILURES - 1)
        report(GRAPH, "one", None)
    assert passes("one")


@pytest.mark.parametrize("error", [ConsentRequired("AADSTS50173"), Refused("ErrorAccessDenied"), TokenRejected()])
def test_a_refusal_neither_opens_nor_closes_the_breaker_of_a_tenant(error: IntegrationError) -> None:
    fail("one", error, times=20)
    assert passes("one")
    fail("one")
    report(GRAPH, "one", error)
    assert not passes("one")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unavailable("timeout", retry_after=120.0), Unavailable),
        (Throttled(retry_after=120.0), Throttled),
        (Misconfigured("AADSTS90038"), Misconfigured),
    ],
)
def test_what_is_told_is_what_the_last_call_met(error: IntegrationError, told: type[IntegrationError]) -> None:
    fail("one", error)
    with pytest.raises(told) as caught:
        permit(GRAPH, "one")
    assert type(caught.value) is told
    assert caught.value.code == error.code


def test_the_wait_that_is_told_shrinks_until_the_trial(clock: Any) -> None:
    fail("one")
    for passed, left in ((0.0, 15.0), (5.0, 10.0), (9.5, 0.5)):
        clock.shift(passed)
        with pytest.raises(Unavailable) as caught:
            permit(GRAPH, "one")
        assert caught.value.retry_after == pytest.approx(left)


def test_one_call_tries_every_fifteen_seconds_even_if_none_comes_back(clock: Any) -> None:
    fail("one")
    for _ in range(4):
        clock.shift(14.9)
        assert not passes()
        clock.shift(0.2)
        assert [passes() for _ in range(5)] == [True, False, False, False, False]


def test_a_trial_that_fails_changes_nothing_and_one_that_succeeds_closes(clock: Any) -> None:
    fail("one")
    clock.shift(15.1)
    assert passes()
    report(GRAPH, "one", DOWN)
    assert not passes()
    clock.shift(15.1)
    assert passes()
    report(GRAPH, "one", None)
    assert [passes() for _ in range(3)] == [True] * 3
    fail("one", times=FAILURES - 1)
    assert passes()


def test_whoever_must_passes_and_what_came_of_it_counts() -> None:
    fail("one")
    permit(GRAPH, "one", override=True)
    report(GRAPH, "one", None)
    assert passes("one")


# --- the whole service --------------------------------------------------------------------------------------------
def test_three_tenants_that_fail_in_a_row_close_the_door_for_all_and_only_at_this_service(clock: Any) -> None:
    fail_for_all()
    assert not passes("four")
    assert passes("four", ENTRA)
    clock.shift(15.1)
    assert [passes(tenant) for tenant in ("four", "five", "one")] == [True, False, False]


@pytest.mark.parametrize("error", [None, ConsentRequired("AADSTS50173"), Refused("ErrorAccessDenied"), TokenRejected()])
def test_any_answer_proves_that_the_service_is_there(clock: Any, error: IntegrationError | None) -> None:
    fail_for_all()
    clock.shift(15.1)
    assert passes("four")
    report(GRAPH, "four", error)
    assert [passes(tenant) for tenant in ("one", "four", "five")] == [True] * 3


def test_throttling_says_nothing_about_the_service(clock: Any) -> None:
    for tenant in ("one", "two", "three", "four"):
        report(GRAPH, tenant, Throttled())
    assert passes("five")
    fail_for_all()
    clock.shift(15.1)
    assert passes("five")
    report(GRAPH, "five", Throttled())
    assert not passes("six")


def test_our_refused_registration_is_told_as_such_from_the_first_on(clock: Any) -> None:
    report(ENTRA, "one", SECRET)
    with pytest.raises(Misconfigured, match="AADSTS7000222"):
        permit(ENTRA, "two")
    clock.shift(15.1)
    assert passes("two", ENTRA)
    report(ENTRA, "two", None)
    assert passes("one", ENTRA)


def test_a_missing_encryption_key_is_no_matter_of_microsofts() -> None:
    fail_for_all(Misconfigured("encryption_key_missing"), ENTRA)
    fail("one", Misconfigured("encryption_key_missing"), times=20, service=ENTRA)
    assert passes("one", ENTRA)


def test_a_tenant_whose_own_breaker_is_open_may_be_the_trial_for_all(clock: Any) -> None:
    report(GRAPH, "two", None)
    fail("one")
    clock.shift(10)
    fail_for_all()
    clock.shift(15.1)
    assert passes("one")
    report(GRAPH, "one", None)
    assert passes("one")
    assert passes("two")


def test_after_an_outage_every_tenant_is_asked_by_one_call_first(clock: Any) -> None:
    report(GRAPH, "four", None)
    fail("one")
    fail_for_all()
    clock.shift(15.1)
    assert passes("four")
    report(GRAPH, "four", None)
    assert [passes("one") for _ in range(3)] == [True, False, False]
    assert [passes("two") for _ in range(3)] == [True] * 3


# --- over all processes -------------------------------------------------------------------------------------------
def test_another_process_knows(clock: Any) -> None:
    fail("one")
    in_another_process()
    assert not passes("one")
    clock.shift(15.1)
    assert passes("one")
    in_another_process()
    assert not passes("one")
    report(GRAPH, "one", None)
    in_another_process()
    assert passes("one")


@pytest.mark.parametrize("whole", [True, False])
def test_of_many_threads_one_tries(clock: Any, whole: bool) -> None:
    if whole:
        fail_for_all()
    else:
        fail("one")
    for _ in range(3):
        clock.shift(15.1)
        with ThreadPoolExecutor(12) as pool:
            assert sum(pool.map(lambda _: passes("one"), range(24))) == 1


def test_failures_of_many_threads_are_all_counted() -> None:
    with ThreadPoolExecutor(FAILURES) as pool:
        list(pool.map(lambda _: report(GRAPH, "one", DOWN), range(FAILURES)))
    assert not passes("one")


def test_while_the_store_is_away_breakers_are_closed_and_say_so_once(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fail("one")
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # nobody listens there
    with caplog.at_level(logging.WARNING):
        assert [passes("one") for _ in range(5)] == [True] * 5
        assert standing() == []
    [line] = [record for record in caplog.records if record.name == "tenants.breaker_store"]
    assert line.levelname == "WARNING"
    fail_for_all()
    assert passes("one")


def test_a_value_of_another_version_is_as_good_as_none() -> None:
    coordinator().modify(f"breaker:{GRAPH}", lambda _: b'{"known": "?"}', 60.0)
    coordinator().modify(f"breaker:{GRAPH} one", lambda _: b"no json", 60.0)
    assert passes("one")
    fail("one")
    assert not passes("one")


class Counting:
    """The store, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._store = coordinator()

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._store, name)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting()
    monkeypatch.setattr(breaker_store, "coordinator", lambda: counting)
    return counting


def test_in_a_healthy_hour_calls_of_all_tenants_cost_the_store_a_read_now_and_then_and_no_write(
    store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker_store, "REMEMBERED_SECONDS", 3600.0)  # so that a slow machine counts the same
    for tenant in ("one", "two", "three"):
        report(GRAPH, tenant, None)  # known from here on
    in_another_process()
    store.asked.clear()
    for number in range(100):
        permit(GRAPH, f"tenant {number}")
        report(GRAPH, f"tenant {number}", None)
    assert store.asked == ["read"]


def test_where_a_tenant_has_failed_lately_a_call_costs_one_read_more(
    store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker_store, "REMEMBERED_SECONDS", 3600.0)
    for tenant in ("one", "two", "three"):
        report(GRAPH, tenant, None)
    fail("one")
    report(GRAPH, "two", None)
    store.asked.clear()
    for number in range(10):
        permit(GRAPH, f"tenant {number}")
        report(GRAPH, f"tenant {number}", None)
    assert store.asked == ["read"] * 10


# --- what others hear ---------------------------------------------------------------------------------------------
def test_open_breakers_are_listed_whole_services_first(clock: Any) -> None:
    assert standing() == []
    report(GRAPH, "two", None)
    fail("one")
    clock.shift(timedelta(minutes=1))
    report(ENTRA, "one", SECRET)
    later = START + timedelta(minutes=1)
    expected = [
        OpenBreaker(ENTRA, "", "AADSTS7000222", later, own_fault=True),
        OpenBreaker(GRAPH, "one", "HTTP503", START, own_fault=False),
    ]
    assert standing() == expected
    in_another_process()
    assert standing() == expected
    assert whole_open(ENTRA) == expected[0]
    assert whole_open(GRAPH) is None
    report(GRAPH, "one", None)
    report(ENTRA, "two", None)
    assert standing() == []
    assert whole_open(ENTRA) is None


def test_a_service_that_nobody_asks_stays_listed_and_a_tenant_does_not(clock: Any) -> None:
    report(GRAPH, "two", None)
    fail("one")
    report(ENTRA, "one", SECRET)
    clock.shift(timedelta(hours=2))
    report(GRAPH, "two", None)
    fail("two")
    assert [(breaker.service, breaker.tenant) for breaker in standing() if breaker.tenant != "one"] == [
        (ENTRA, ""),
        (GRAPH, "two"),
    ]


def test_no_more_than_two_hundred_tenants_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakers, "LISTED", 4)
    for number in range(9):
        fail(f"tenant {number}")
        report(GRAPH, "another", None)
    fail_for_all(service=ENTRA)
    assert [breaker.tenant for breaker in standing()] == ["", *(f"tenant {number}" for number in range(4))]


def test_an_opening_and_a_closing_are_one_line_each_and_counted(clock: Any, caplog: pytest.LogCaptureFixture) -> None:
    measuring.flush()
    before = sum(coordinator().sums(measuring.NAME).values())
    with caplog.at_level(logging.INFO):
        fail_for_all()
        fail_for_all()
        clock.shift(15.1)
        assert passes("four")
        report(GRAPH, "four", DOWN)
        report(GRAPH, "four", None)
        report(GRAPH, "four", None)
    lines = [(line.levelname, line.getMessage()) for line in caplog.records if line.name == "tenants.breakers"]
    assert lines == [
        ("WARNING", "breaker opened: Microsoft is not asked for now"),
        ("WARNING", "breaker closed: Microsoft answers again"),
    ]
    measuring.flush()
    assert sum(coordinator().sums(measuring.NAME).values()) - before == 2


def test_our_own_fault_is_a_line_of_level_error(caplog: pytest.LogCaptureFixture) -> None:
    report(ENTRA, "one", SECRET)
    assert [line.levelname for line in caplog.records if line.name == "tenants.breakers"] == ["ERROR"]
