"""Limits that all processes share: slots of one reader, requests of one key; the same for both stores."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from microsoft.errors import CutOff, HeldBack
from microsoft.http import Deadline
from tenants import places
from tenants.coordination import Coordinator, admit, coordinator
from tenants.coordination.embedded import SqliteCoordinator
from tenants.coordination.redis_store import RedisCoordinator
from tenants.coordination.terms import BUCKET_SECONDS, BUCKETS, MARK_SECONDS, Refusal, Terms
from tenants.places import ReaderGate, Urgency
from tests.services import redis_server

ROOT = Path(__file__).resolve().parents[2]
RATE, BURST = 20.0, 300  # 1200 a minute, as by default


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A throwaway Redis or Valkey."""
    with redis_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Coordinator:
    """Each store in turn, empty."""
    if request.param == "sqlite":
        return SqliteCoordinator(str(tmp_path / "limits.sqlite3"))
    url: str = request.getfixturevalue("redis_url")
    client = redis.Redis.from_url(url)
    client.flushall()
    client.close()
    return RedisCoordinator(url)


def terms(places: int = 4, *, calls: int = 10_000, spare: int = 0, rank: int = 0) -> Terms:
    return Terms(places=places, calls=calls, spare=spare, rank=rank)


ALL_HELD = Refusal()


def take(store: Coordinator, holder: str, wanted: Terms, *, reader: str = "reader", waited: float = 0.0) -> Any:
    return store.take_slot(reader, holder, wanted, seconds=30.0, waited=waited)


def test_four_holders_get_the_four_slots_and_a_fifth_none(store: Coordinator) -> None:
    taken = [take(store, f"holder {number}", terms()) for number in range(5)]
    assert taken == [0, 1, 2, 3, ALL_HELD]


def test_a_freed_slot_is_taken_by_the_next(store: Coordinator) -> None:
    slots = {holder: take(store, holder, terms(2)) for holder in ("a", "b")}
    store.free_slot("reader", "a", slots["a"])
    assert take(store, "c", terms(2)) == slots["a"]


def test_nobody_can_free_a_slot_that_another_holds(store: Coordinator) -> None:
    take(store, "a", terms(1))
    store.free_slot("reader", "b", 0)
    assert take(store, "c", terms(1)) == ALL_HELD


def test_readers_do_not_share_slots(store: Coordinator) -> None:
    assert take(store, "a", terms(1), reader="reader 1") == 0
    assert take(store, "b", terms(1), reader="reader 2") == 0


def test_the_slot_of_a_dead_holder_returns_by_itself(store: Coordinator) -> None:
    assert store.take_slot("reader", "dead", terms(1), seconds=0.05) == 0
    time.sleep(0.06)
    assert take(store, "alive", terms(1)) == 0
    store.free_slot("reader", "dead", 0)  # should the dead one wake up after all
    assert take(store, "third", terms(1)) == ALL_HELD


def test_twenty_threads_never_hold_more_than_four_slots_at_once(store: Coordinator) -> None:
    lock, holding, most = threading.Lock(), 0, 0

    def work(number: int) -> None:
        nonlocal holding, most
        while not isinstance(slot := take(store, str(number), terms()), int):
            time.sleep(0.002)
        with lock:
            holding += 1
            most = max(most, holding)
        time.sleep(0.005)
        with lock:
            holding -= 1
        store.free_slot("reader", str(number), slot)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(20)))
    assert most == 4
    assert take(store, "after", terms()) == 0  # all came back


def test_who_has_waited_longest_is_next(store: Coordinator) -> None:
    take(store, "holder", terms(1))
    assert take(store, "second", terms(1), waited=1.0) == ALL_HELD
    assert take(store, "first", terms(1), waited=2.0) == ALL_HELD
    store.free_slot("reader", "holder", 0)
    assert take(store, "third", terms(1)) == ALL_HELD
    assert take(store, "second", terms(1), waited=1.0) == ALL_HELD
    assert take(store, "first", terms(1), waited=2.0) == 0


def test_whoever_waits_with_a_lower_rank_comes_first_though_later(store: Coordinator) -> None:
    background, person = terms(1, rank=1), terms(1)
    take(store, "holder", terms(1))
    assert take(store, "background", background, waited=60.0) == ALL_HELD
    assert take(store, "person", person) == ALL_HELD
    store.free_slot("reader", "holder", 0)
    assert take(store, "background", background, waited=60.0) == ALL_HELD
    assert take(store, "person", person, waited=0.1) == 0


def test_whoever_gave_up_waiting_is_not_waited_for(store: Coordinator) -> None:
    take(store, "holder", terms(1))
    take(store, "impatient", terms(1))
    store.stop_waiting("reader", "impatient")
    store.free_slot("reader", "holder", 0)
    assert take(store, "next", terms(1)) == 0


def test_whoever_died_waiting_is_not_waited_for_long(store: Coordinator) -> None:
    take(store, "holder", terms(1))
    take(store, "dead", terms(1))
    store.free_slot("reader", "holder", 0)
    assert take(store, "next", terms(1)) == ALL_HELD
    time.sleep(MARK_SECONDS + 0.05)
    assert take(store, "next", terms(1)) == 0


def test_some_places_can_be_left_over(store: Coordinator) -> None:
    taken = [take(store, f"background {number}", terms(spare=1, rank=1)) for number in range(4)]
    assert taken == [0, 1, 2, ALL_HELD]
    assert take(store, "person", terms()) == 3


def test_calls_of_ten_minutes_are_counted_and_those_too_many_refused(store: Coordinator) -> None:
    def call(limit: int) -> Any:
        slot = take(store, "holder", terms(calls=limit))
        if isinstance(slot, int):
            store.free_slot("reader", "holder", slot)
        return slot

    assert [call(3) for _ in range(3)] == [0, 0, 0]
    refused = call(3)
    assert isinstance(refused, Refusal)
    assert 600.0 < refused.seconds <= BUCKETS * BUCKET_SECONDS
    assert call(5) == 0  # who may spend more still can
    assert take(store, "holder", terms(calls=1), reader="another") == 0


def take_all(store: Coordinator, readers: list[str], wanted: Terms, *, holder: str = "sweep") -> dict[str, int]:
    return store.take_slots(readers, holder, wanted, seconds=30.0)


def test_places_of_many_readers_are_taken_at_once(store: Coordinator) -> None:
    take(store, "a person", terms(), reader="two")
    assert take_all(store, ["one", "two"], terms()) == {"one": 0, "two": 1}


def test_readers_whose_places_are_held_or_wanted_are_left_out(store: Coordinator) -> None:
    for number in range(4):
        take(store, f"holder {number}", terms(), reader="held")
    take(store, "waits", terms(1), reader="held")
    for number in range(3):
        take(store, f"holder {number}", terms(), reader="nearly held")
    assert take_all(store, ["held", "nearly held", "free"], terms(spare=1)) == {"free": 0}


def test_whoever_takes_for_many_readers_is_waited_for_at_none(store: Coordinator) -> None:
    take(store, "holder", terms(1))
    assert take_all(store, ["reader"], terms(1)) == {}
    store.free_slot("reader", "holder", 0)
    assert take(store, "somebody", terms(1, rank=1)) == 0


def test_a_call_of_each_reader_is_counted(store: Coordinator) -> None:
    assert take_all(store, ["reader"], terms(calls=2)) == {"reader": 0}
    assert take_all(store, ["reader"], terms(calls=2)) == {"reader": 1}
    assert take_all(store, ["reader"], terms(calls=2)) == {}


def test_only_what_the_holder_has_is_given_back_for_many(store: Coordinator) -> None:
    take_all(store, ["one", "two"], terms(1))
    store.free_slots({"one": 0}, "somebody else")
    store.free_slots({"two": 0}, "sweep")
    assert take_all(store, ["one", "two"], terms(1), holder="next") == {"two": 0}


def test_a_place_taken_ahead_serves_one_call_until_it_is_given_back() -> None:
    gate = ReaderGate("ahead")
    ahead = places.PlacesAhead(Urgency.PERSON, 5.0)
    for number in range(3):
        coordinator().take_slot("graph:ahead", f"holder {number}", terms(), seconds=30.0)
    ahead.take([gate])
    with gate.acquire(Deadline.after(5.0)):
        assert coordinator().take_slots(["graph:ahead"], "fifth", terms(), seconds=1.0) == {}
    ahead.give_back([gate])
    assert coordinator().take_slots(["graph:ahead"], "fifth", terms(), seconds=1.0) == {"graph:ahead": 3}


def test_a_call_that_was_cut_off_keeps_the_place_that_was_taken_ahead_for_it() -> None:
    gate = ReaderGate("cut off")
    ahead = places.PlacesAhead(Urgency.PERSON, 5.0)
    ahead.take([gate])
    with pytest.raises(CutOff), gate.acquire(Deadline.after(5.0)):
        raise CutOff("timeout", "no answer in time")
    ahead.give_back([gate])
    assert coordinator().take_slots(["graph:cut off"], "next", terms(), seconds=1.0) == {"graph:cut off": 1}


def test_whoever_comes_too_late_for_a_place_taken_ahead_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "AHEAD_SECONDS", -1.0)
    gate = ReaderGate("late")
    places.PlacesAhead(Urgency.PERSON, 5.0).take([gate])
    with gate.acquire(Deadline.after(5.0)):
        assert coordinator().take_slots(["graph:late"], "third", terms(3), seconds=1.0) == {"graph:late": 2}


def test_a_burst_is_admitted_at_once_and_then_one_must_wait_for_the_rate(store: Coordinator) -> None:
    # So slow a rate that nothing is regained while the test runs.
    waits = [store.admit("key", 0.001, 5) for _ in range(7)]
    assert waits[:5] == [0.0] * 5
    assert 0 < waits[5] <= 1000
    assert 0 < waits[6] <= waits[5]  # a refused request costs nothing


def test_keys_have_buckets_of_their_own(store: Coordinator) -> None:
    assert store.admit("key 1", 0.001, 1) == 0.0
    assert store.admit("key 1", 0.001, 1) > 0.0
    assert store.admit("key 2", 0.001, 1) == 0.0


def test_eight_threads_are_admitted_exactly_the_burst(store: Coordinator) -> None:
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: store.admit("key", 0.001, 50), range(160)))
    assert waits.count(0.0) == 50


class Clock:
    """Time that stands still until moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(tmp_path: Path, clock: Clock) -> SqliteCoordinator:
    return SqliteCoordinator(str(tmp_path / "timed.sqlite3"), clock=clock)


def admitted(store: Coordinator, tries: int) -> int:
    return sum(store.admit("key", RATE, BURST) == 0.0 for _ in range(tries))


def test_the_default_limit_admits_300_at_once_then_20_a_second(timed: SqliteCoordinator, clock: Clock) -> None:
    assert admitted(timed, 310) == 300
    clock.now += 1.0
    assert admitted(timed, 30) == 20
    clock.now += 3600.0
    assert admitted(timed, 310) == 300  # an idle hour fills the bucket and no more


def test_after_the_wait_that_was_named_a_request_is_admitted(timed: SqliteCoordinator, clock: Clock) -> None:
    admitted(timed, 300)
    wait = timed.admit("key", RATE, BURST)
    assert wait == pytest.approx(1 / RATE, rel=1e-3)
    clock.now += wait + 1e-6
    assert timed.admit("key", RATE, BURST) == 0.0


def test_a_slot_is_held_until_its_time_is_over(timed: SqliteCoordinator, clock: Clock) -> None:
    timed.take_slot("reader", "a", terms(1), seconds=20.0)
    clock.now += 19.9
    assert timed.take_slot("reader", "b", terms(1), seconds=20.0) == ALL_HELD
    clock.now += 0.2
    assert timed.take_slot("reader", "b", terms(1), seconds=20.0, waited=20.1) == 0


def test_no_ten_minutes_hold_more_calls_than_allowed_and_the_wait_that_is_named_is_enough(
    timed: SqliteCoordinator, clock: Clock
) -> None:
    dice, limit, began = random.Random(7), 40, list[float]()
    while len(began) < 400:
        clock.now += dice.choice((0.0, 0.1, 3.0, 17.0))
        slot = timed.take_slot("reader", "holder", terms(calls=limit), seconds=30.0)
        if isinstance(slot, Refusal):
            clock.now += slot.seconds
            slot = timed.take_slot("reader", "holder", terms(calls=limit), seconds=30.0)
        assert isinstance(slot, int)
        timed.free_slot("reader", "holder", slot)
        began.append(clock.now)
    # Also for calls that reach Microsoft up to ten seconds after they were counted.
    assert all(later - earlier > 610.0 for earlier, later in zip(began, began[limit:], strict=False))


ADMIT_IN_A_PROCESS = """
import sys
from tenants.coordination.embedded import SqliteCoordinator
store = SqliteCoordinator(sys.argv[1])
print(sum(store.admit("key", 0.001, 50) == 0.0 for _ in range(40)))
"""


def test_four_processes_that_start_at_once_are_admitted_exactly_the_burst(tmp_path: Path, settings: Any) -> None:
    command = [sys.executable, "-c", ADMIT_IN_A_PROCESS, str(tmp_path / "limits.sqlite3")]
    environment = {"DJANGO_SETTINGS_MODULE": "cadence_exchange.settings", "PATH": "/usr/bin:/bin"}
    running = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert sum(int(process.communicate(timeout=60)[0]) for process in running) == 50


def test_a_gate_lets_four_calls_of_a_reader_in_and_keeps_the_fifth_until_the_deadline() -> None:
    gate = ReaderGate("tenant/oid")
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(gate.acquire(Deadline.after(30.0)))
        with pytest.raises(TimeoutError), gate.acquire(Deadline.after(0.05)):
            pytest.fail("a fifth call got in")
        with ReaderGate("tenant/another").acquire(Deadline.after(0.05)):
            pass
    with gate.acquire(Deadline.after(0.05)):
        pass


def test_a_call_that_fails_gives_its_slot_back() -> None:
    gate = ReaderGate("tenant/oid", places=1)
    with pytest.raises(RuntimeError, match="the call"), gate.acquire(Deadline.after(30.0)):
        raise RuntimeError("the call")
    assert take(coordinator(), "next", terms(1), reader="graph:tenant/oid") == 0


def test_the_place_of_a_call_that_microsoft_may_still_be_at_stays_taken_until_the_deadline() -> None:
    gate = ReaderGate("tenant/oid", places=2)
    for _ in range(3):  # never by the last place
        with pytest.raises(CutOff), gate.acquire(Deadline.after(30.0)):
            raise CutOff("timeout")
    taken = [take(coordinator(), f"next {number}", terms(2), reader="graph:tenant/oid") for number in range(2)]
    assert taken == [1, ALL_HELD]


def test_background_work_leaves_the_last_place_to_people() -> None:
    background, person = ReaderGate("tenant/oid", Urgency.BACKGROUND), ReaderGate("tenant/oid")
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(background.acquire(Deadline.after(30.0)))
        with pytest.raises(HeldBack), background.acquire(Deadline.after(0.05)):
            pytest.fail("background work took the last place")
        with person.acquire(Deadline.after(0.05)):
            pass


def test_background_work_that_has_waited_long_may_take_the_last_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "BACKGROUND_PATIENCE_SECONDS", 0.05)
    background = ReaderGate("tenant/oid", Urgency.BACKGROUND)
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(background.acquire(Deadline.after(30.0)))


def test_people_overtake_background_work_that_waits() -> None:
    entered: list[str] = []

    def call(urgency: Urgency) -> None:
        with ReaderGate("tenant/oid", urgency, places=1).acquire(Deadline.after(30.0)):
            entered.append(urgency.name)

    with ThreadPoolExecutor(6) as pool, ReaderGate("tenant/oid", places=1).acquire(Deadline.after(30.0)):
        for urgency in (Urgency.BACKGROUND, Urgency.BACKGROUND, Urgency.PERSON, Urgency.PERSON):
            pool.submit(call, urgency)
            wait_for(lambda urgency=urgency: waiting(urgency))
        wait_for(lambda: len(waiting(Urgency.BACKGROUND)) == len(waiting(Urgency.PERSON)) == 2)
    assert entered == ["PERSON", "PERSON", "BACKGROUND", "BACKGROUND"]


def waiting(urgency: Urgency) -> Any:
    return places._line("graph:tenant/oid")._waiting[urgency]


def wait_for(ready: Callable[[], Any]) -> None:
    end = time.monotonic() + 30.0
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_call_for_which_the_ten_minutes_have_no_room_says_when_they_have(settings: Any) -> None:
    settings.GRAPH_CALLS, settings.GRAPH_CALLS_FOR_PEOPLE = 3, 2
    person, background = ReaderGate("tenant/oid"), ReaderGate("tenant/oid", Urgency.BACKGROUND)
    with background.acquire(Deadline.after(18.0)):
        pass
    with pytest.raises(HeldBack), background.acquire(Deadline.after(18.0)):
        pytest.fail("background work took what is kept for people")
    for _ in range(2):
        with person.acquire(Deadline.after(18.0)):
            pass
    with pytest.raises(HeldBack) as held_back, person.acquire(Deadline.after(18.0)):
        pytest.fail("one call too many")
    assert 600.0 < held_back.value.retry_after <= BUCKETS * BUCKET_SECONDS


def test_the_store_is_redis_when_there_is_one_and_a_file_when_there_is_none(settings: Any, redis_url: str) -> None:
    settings.REDIS_URL = ""
    assert isinstance(coordinator(), SqliteCoordinator)
    settings.REDIS_URL = redis_url
    assert isinstance(coordinator(), RedisCoordinator)


def test_while_the_store_is_away_calls_and_requests_go_ahead(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # nobody listens there
    with ReaderGate("tenant/reader").acquire(Deadline.after(5)):
        pass
    assert admit("key:1", RATE, BURST) == 0.0
