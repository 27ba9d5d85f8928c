"""Limits that all processes share: slots of one reader, requests of one key; the same for both stores."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from microsoft.http import Deadline
from tenants.coordination import Coordinator, ReaderGate, admit, coordinator
from tenants.coordination.embedded import SqliteCoordinator
from tenants.coordination.redis_store import RedisCoordinator
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


def test_four_holders_get_the_four_slots_and_a_fifth_none(store: Coordinator) -> None:
    taken = [store.take_slot("reader", f"holder {number}", 4, 30.0) for number in range(5)]
    assert taken == [0, 1, 2, 3, None]


def test_a_freed_slot_is_taken_by_the_next(store: Coordinator) -> None:
    slots = {holder: store.take_slot("reader", holder, 2, 30.0) for holder in ("a", "b")}
    store.free_slot("reader", "a", slots["a"] or 0)
    assert store.take_slot("reader", "c", 2, 30.0) == slots["a"]


def test_nobody_can_free_a_slot_that_another_holds(store: Coordinator) -> None:
    store.take_slot("reader", "a", 1, 30.0)
    store.free_slot("reader", "b", 0)
    assert store.take_slot("reader", "c", 1, 30.0) is None


def test_readers_do_not_share_slots(store: Coordinator) -> None:
    assert store.take_slot("reader 1", "a", 1, 30.0) == 0
    assert store.take_slot("reader 2", "b", 1, 30.0) == 0


def test_the_slot_of_a_dead_holder_returns_by_itself(store: Coordinator) -> None:
    assert store.take_slot("reader", "dead", 1, 0.05) == 0
    time.sleep(0.06)
    assert store.take_slot("reader", "alive", 1, 30.0) == 0
    store.free_slot("reader", "dead", 0)  # should the dead one wake up after all
    assert store.take_slot("reader", "third", 1, 30.0) is None


def test_twenty_threads_never_hold_more_than_four_slots_at_once(store: Coordinator) -> None:
    lock, holding, most = threading.Lock(), 0, 0

    def work(number: int) -> None:
        nonlocal holding, most
        while (slot := store.take_slot("reader", str(number), 4, 30.0)) is None:
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
    assert store.take_slot("reader", "after", 4, 30.0) == 0  # all came back


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
    timed.take_slot("reader", "a", 1, 20.0)
    clock.now += 19.9
    assert timed.take_slot("reader", "b", 1, 20.0) is None
    clock.now += 0.2
    assert timed.take_slot("reader", "b", 1, 20.0) == 0


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
    gate = ReaderGate("tenant/oid", limit=1)
    with pytest.raises(RuntimeError, match="the call"), gate.acquire(Deadline.after(30.0)):
        raise RuntimeError("the call")
    assert coordinator().take_slot("graph:tenant/oid", "next", 1, 1.0) == 0


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
