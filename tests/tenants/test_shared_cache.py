"""What processes remember together and how they share work; the same for both stores, and without any."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from tenants.coordination.cache import AWAY_SECONDS, SharedCache, Store
from tenants.coordination.claims import Claim
from tenants.coordination.redis_cache import RedisCache
from tenants.coordination.sqlite_cache import SqliteCache
from tests.services import redis_server


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A throwaway Redis or Valkey."""
    with redis_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each store in turn, empty."""
    if request.param == "sqlite":
        return SqliteCache(str(tmp_path / "shared.sqlite3"))
    url: str = request.getfixturevalue("redis_url")
    client = redis.Redis.from_url(url)
    client.flushall()
    client.close()
    return RedisCache(url)


def kept(values: dict[str, bytes], seconds: float = 60.0) -> dict[str, tuple[bytes, float]]:
    return {name: (value, seconds) for name, value in values.items()}


def test_what_is_put_there_is_found_and_nothing_else(store: Store) -> None:
    store.put_many(kept({"a": b"1", "b": b"\x00\xff"}), 100)
    assert store.get_many(["a", "b", "c"]) == {"a": b"1", "b": b"\x00\xff"}
    assert store.get_many([]) == {}


def test_a_value_is_replaced(store: Store) -> None:
    store.put_many(kept({"a": b"1"}), 100)
    store.put_many(kept({"a": b"2"}), 100)
    assert store.get_many(["a"]) == {"a": b"2"}


def test_a_value_whose_time_is_over_is_not_found(store: Store) -> None:
    store.put_many({"a": (b"1", 0.05), "b": (b"2", 60.0)}, 100)
    time.sleep(0.06)
    assert store.get_many(["a", "b"]) == {"b": b"2"}


def test_those_that_end_first_go_when_there_are_too_many(store: Store) -> None:
    for number in range(5):
        store.put_many(kept({f"n{number}": b"1"}, 60.0 + number), 3)
    assert set(store.get_many([f"n{number}" for number in range(5)])) == {"n2", "n3", "n4"}


def test_five_hundred_values_go_and_come_at_once(store: Store) -> None:
    values = {f"n{number}": str(number).encode() for number in range(500)}
    store.put_many(kept(values), 1000)
    assert store.get_many(values) == values


def test_what_begins_alike_is_forgotten_together(store: Store) -> None:
    store.put_many(kept({"abc": b"1", "abd": b"2", "ab": b"3", "b": b"4", "a": b"5"}), 100)
    store.forget("ab")
    assert store.get_many(["abc", "abd", "ab", "b", "a"]) == {"b": b"4", "a": b"5"}


def test_the_embedded_store_deletes_what_is_over_a_little_at_a_time(tmp_path: Path) -> None:
    store = SqliteCache(str(tmp_path / "shared.sqlite3"))
    store.put_many(kept({f"n{number}": b"1" for number in range(450)}, 0.01), 1000)
    store.claim([f"n{number}" for number in range(250)], "holder", 0.01)
    time.sleep(0.02)
    assert [store.prune() for _ in range(4)] == [400, 250, 50, 0]
    with sqlite3.connect(tmp_path / "shared.sqlite3") as db:
        assert db.execute("SELECT (SELECT COUNT(*) FROM cached) + (SELECT COUNT(*) FROM claim)").fetchone() == (0,)


def test_a_claim_is_one_holders(store: Store) -> None:
    assert store.claim(["a", "b"], "one", 60.0) == {}
    assert store.claim(["a", "b", "c"], "two", 60.0) == {"a": "one", "b": "one"}
    assert store.claims(["a", "b", "c", "d"]) == {
        "a": Claim("one", None),
        "b": Claim("one", None),
        "c": Claim("two", None),
    }
    assert store.claims([]) == {}


def test_twenty_threads_claim_the_same_names_and_one_gets_them_all(store: Store) -> None:
    names = [f"n{number}" for number in range(30)]
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda number: store.claim(names, str(number), 60.0), range(20)))
    assert sorted(len(others) for others in found) == [0] + [30] * 19


def test_a_released_claim_is_gone(store: Store) -> None:
    store.claim(["a"], "one", 60.0)
    store.release({"a": None}, "one", 60.0)
    assert store.claims(["a"]) == {}
    assert store.claim(["a"], "two", 60.0) == {}


def test_a_note_tells_those_who_wait_and_keeps_nobody_from_the_next_claim(store: Store) -> None:
    store.claim(["a"], "one", 60.0)
    store.release({"a": b"why\nnot"}, "one", 60.0)
    assert store.claims(["a"]) == {"a": Claim("one", b"why\nnot")}
    assert store.claim(["a"], "two", 60.0) == {}
    assert store.claims(["a"]) == {"a": Claim("two", None)}


def test_a_note_is_forgotten(store: Store) -> None:
    store.claim(["a"], "one", 60.0)
    store.release({"a": b"why"}, "one", 0.05)
    time.sleep(0.06)
    assert store.claims(["a"]) == {}


def test_nobody_releases_what_another_holds(store: Store) -> None:
    store.claim(["a"], "one", 60.0)
    store.release({"a": None}, "two", 60.0)
    store.release({"a": b"note"}, "two", 60.0)
    assert store.claims(["a"]) == {"a": Claim("one", None)}


def test_the_claim_of_a_dead_holder_ends_by_itself(store: Store) -> None:
    store.claim(["a"], "dead", 0.05)
    time.sleep(0.06)
    assert store.claims(["a"]) == {}
    assert store.claim(["a"], "alive", 60.0) == {}
    store.release({"a": None}, "dead", 60.0)  # should the dead one wake up after all
    assert store.claims(["a"]) == {"a": Claim("alive", None)}


def test_a_claim_that_is_kept_up_does_not_end(store: Store) -> None:
    store.claim(["a", "b"], "one", 0.15)
    store.renew(["a"], "one", 60.0)
    store.renew(["b"], "two", 60.0)
    time.sleep(0.16)
    assert store.claims(["a", "b"]) == {"a": Claim("one", None)}


class Broken:
    """A store that is away, and counts how often it was asked."""

    asked = 0

    def __getattr__(self, name: str) -> object:
        def fail(*_: object) -> object:
            self.asked += 1
            raise redis.ConnectionError

        return fail


def test_while_the_store_is_away_nothing_is_remembered_and_everybody_gets_every_claim() -> None:
    now = [100.0]
    broken = Broken()
    cache = SharedCache(broken, clock=lambda: now[0])  # type: ignore[arg-type]
    for _ in range(2):
        assert cache.get_many(["a"]) == {}
        assert cache.claim(["a"], "one", 1.0) == {}
        assert cache.claims(["a"]) == {}
        cache.put_many(kept({"a": b"1"}), 1)
        cache.renew(["a"], "one", 1.0)
        cache.release({"a": None}, "one", 1.0)
        cache.forget("a")
        assert cache.prune() == 0
    assert broken.asked == 1  # an answer does not wait for it again and again
    now[0] += AWAY_SECONDS
    cache.get_many(["a"])
    assert broken.asked == 2
