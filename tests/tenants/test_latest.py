"""The latest values of many owners: bounded, each with its end, the same on both stores."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tenants.coordination import coordinator
from tenants.coordination.latest import Latest, RedisLatest, SqliteLatest, latest
from tests.services import redis_server

DAY = 86_400.0
Make = Callable[..., Latest]


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A throwaway Redis or Valkey."""
    with redis_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Each store in turn, empty: `make(most=…, most_of_owner=…)`."""
    if request.param == "sqlite":
        return lambda **bounds: SqliteLatest(str(tmp_path / "limits.sqlite3"), **bounds)
    url: str = request.getfixturevalue("redis_url")
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return lambda **bounds: RedisLatest(url, "test", **bounds)


def names(store: Latest, owner: str) -> list[str]:
    """Those of a to f that are there."""
    return [name for name in "abcdef" if store.get(owner, name) is not None]


def test_a_value_is_found_by_its_owner_and_name_alone(make: Make) -> None:
    store = make()
    store.put("contoso", "a", b"\x00value", DAY)
    assert store.get("contoso", "a") == b"\x00value"
    assert store.get("fabrikam", "a") is store.get("contoso", "b") is None


def test_a_value_takes_the_place_of_one_of_the_same_name(make: Make) -> None:
    store = make(most_of_owner=2)
    for name in ("a", "b", "a"):
        store.put("contoso", name, name.encode() * 2, DAY)
    assert names(store, "contoso") == ["a", "b"]
    store.put("contoso", "c", b"c", DAY)
    assert names(store, "contoso") == ["a", "c"]  # a was put last, so b is the oldest


def test_an_owners_oldest_goes_for_the_next_and_no_others_does(make: Make) -> None:
    store = make(most_of_owner=2)
    store.put("fabrikam", "a", b"1", DAY)
    for name in "abcd":
        store.put("contoso", name, b"1", DAY)
    assert (names(store, "contoso"), names(store, "fabrikam")) == (["c", "d"], ["a"])


def test_the_oldest_of_all_goes_when_there_are_too_many(make: Make) -> None:
    store = make(most=3)
    for owner, name in (("contoso", "a"), ("fabrikam", "a"), ("contoso", "b"), ("litware", "a")):
        store.put(owner, name, b"1", DAY)
    assert [names(store, owner) for owner in ("contoso", "fabrikam", "litware")] == [["b"], ["a"], ["a"]]


def test_what_is_forgotten_is_gone_and_nothing_of_others(make: Make) -> None:
    store = make()
    for owner, name in (("contoso", "a"), ("contoso", "b"), ("fabrikam", "a")):
        store.put(owner, name, b"1", DAY)
    store.forget("contoso")
    store.forget("nobody")
    assert (names(store, "contoso"), names(store, "fabrikam")) == ([], ["a"])


def test_a_value_ends_with_its_time_in_the_file_and_leaves_it_with_the_next(tmp_path: Path) -> None:
    now = [1000.0]
    file = tmp_path / "limits.sqlite3"
    store = SqliteLatest(str(file), clock=lambda: now[0])
    store.put("contoso", "a", b"1", 60.0)
    now[0] += 61
    assert names(store, "contoso") == []
    store.put("fabrikam", "b", b"1", 60.0)
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT owner FROM latest").fetchall() == [("fabrikam",)]


def test_in_redis_every_key_ends_by_itself(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        RedisLatest(redis_url, "test").put("contoso", "a", b"1", 60.0)
        ends = [client.pttl(key) for key in client.keys("*")]
        assert len(ends) == 3
        assert all(0 < left <= 60_000 for left in ends)
        RedisLatest(redis_url, "test").put("contoso", "b", b"1", 0.001)
        time.sleep(0.01)
        assert RedisLatest(redis_url, "test").get("contoso", "b") is None


def test_the_installations_own_lies_where_its_limits_do() -> None:
    assert isinstance(latest(), type(coordinator()))
