"""The loop under refreshes and probes: every item once, in batches, whatever hangs or breaks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tenants import sweeping
from tenants.sweeping import BATCH, sweep


@dataclass
class Rows:
    """A table of numbers to claim from, and what was written of it."""

    left: list[int]
    claims: list[int] = field(default_factory=list)
    pages: list[list[tuple[int, Any]]] = field(default_factory=list)

    def claim(self, limit: int) -> list[int]:
        page, self.left = self.left[:limit], self.left[limit:]
        self.claims.append(len(page))
        return page

    def write(self, pairs: Sequence[tuple[int, Any]]) -> None:
        self.pages.append(list(pairs))

    @property
    def written(self) -> dict[int, Any]:
        return {item: result for page in self.pages for item, result in page}

    def sweep(self, work: Callable[[int], Any], *, width: int = 8, patience: float = 30.0, **more: Any) -> int:
        return sweep(self.claim, work, self.write, late=lambda item: "late", width=width, patience=patience, **more)


@pytest.mark.parametrize("number", [0, 1, 7, 64, 500, 501, 1_777])
def test_every_item_is_worked_on_and_written_once(number: int) -> None:
    rows = Rows(list(range(number)))
    assert rows.sweep(lambda item: item * 2, width=16) == number
    assert rows.written == {item: item * 2 for item in range(number)}
    assert sum(len(page) for page in rows.pages) == number


def test_a_transaction_holds_no_more_than_a_batch() -> None:
    rows = Rows(list(range(2_300)))
    rows.sweep(lambda item: item, width=sweeping.BATCH)
    assert max(len(page) for page in rows.pages) <= BATCH


@pytest.mark.parametrize(("width", "most"), [(1, 4), (4, 16), (64, 256), (256, BATCH)])
def test_a_claim_is_no_larger_than_its_lease_allows_for(width: int, most: int) -> None:
    rows = Rows(list(range(1_100)))
    rows.sweep(lambda item: item, width=width)
    assert max(rows.claims) == most


def test_no_more_is_held_in_memory_than_a_batch_and_what_is_under_way() -> None:
    rows = Rows(list(range(3_000)))
    held: list[int] = []

    def claim(limit: int) -> list[int]:
        page = rows.claim(limit)
        held.append(3_000 - len(rows.left) - len(rows.written))
        return page

    sweep(claim, lambda item: item, rows.write, late=lambda item: None, width=16, patience=30.0)
    assert max(held) <= 2 * BATCH + 16


def test_width_calls_are_under_way_at_a_time_and_no_more() -> None:
    rows, gate = Rows(list(range(60))), threading.Barrier(6)
    under_way, most, lock = 0, 0, threading.Lock()

    def work(item: int) -> int:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        gate.wait(30)  # passes only when six are here together
        with lock:
            under_way -= 1
        return item

    assert rows.sweep(work, width=6) == 60
    assert most == 6


def test_only_as_many_threads_are_started_as_there_are_items() -> None:
    before = threading.active_count()
    seen: list[int] = []
    Rows([1, 2]).sweep(lambda item: seen.append(threading.active_count()), width=64)
    assert max(seen) <= before + 2


def test_a_call_that_hangs_is_left_behind_and_its_late_answer_dropped() -> None:
    rows, release = Rows(list(range(40))), threading.Event()

    def work(item: int) -> str:
        if item % 10 == 3:
            release.wait(30)
        return "answered"

    try:
        assert rows.sweep(work, width=4, patience=0.3) == 40  # four hang: as many as there are threads
    finally:
        release.set()
    assert [item for item, result in rows.written.items() if result == "late"] == [3, 13, 23, 33]
    assert list(rows.written.values()).count("answered") == 36
    assert sum(len(page) for page in rows.pages) == 40


def test_a_result_is_written_while_others_are_still_awaited() -> None:
    rows, written = Rows([1, 2]), threading.Event()

    def work(item: int) -> bool:
        return item == 1 or written.wait(30)

    def write(pairs: Sequence[tuple[int, Any]]) -> None:
        rows.write(pairs)
        written.set()

    sweep(rows.claim, work, write, late=lambda item: False, width=2, patience=60.0)
    assert [len(page) for page in rows.pages] == [1, 1]
    assert rows.written == {1: True, 2: True}


def test_stop_ends_the_claiming_and_keeps_what_was_claimed() -> None:
    rows = Rows(list(range(1_000)))
    assert rows.sweep(lambda item: item, width=4, stop=lambda: len(rows.claims) == 2) == 32
    assert rows.claims == [16, 16]


def test_stop_may_prevent_the_first_claim() -> None:
    rows = Rows([1])
    assert rows.sweep(lambda item: item, stop=lambda: True) == 0
    assert rows.claims == []


def test_a_bug_in_the_work_is_raised_after_the_others_were_written() -> None:
    rows = Rows(list(range(100)))

    def work(item: int) -> float:
        return 1 / (item - 50)

    with pytest.raises(ZeroDivisionError):
        rows.sweep(work)
    assert set(rows.written) == set(range(100)) - {50}


def test_when_writing_fails_the_threads_go_and_nothing_more_is_begun() -> None:
    rows, done = Rows(list(range(400))), []

    def write(pairs: Sequence[tuple[int, Any]]) -> None:
        raise ConnectionError

    def work(item: int) -> None:
        time.sleep(0.01)
        done.append(item)

    with pytest.raises(ConnectionError):
        sweep(rows.claim, work, write, late=lambda item: None, width=2, patience=30.0)
    end = time.monotonic() + 30
    while any(thread.name == "sweep" for thread in threading.enumerate()):
        assert time.monotonic() < end, "threads stay"
        time.sleep(0.01)
    assert len(done) < 400


def test_a_lease_outlives_the_longest_wait_of_a_claimed_item() -> None:
    """In the worst case each of a thread's calls takes all its patience, and the last claim found a full house."""
    assert sweeping.lease_seconds(10.0) > 10.0 * (sweeping.ROUNDS + 1) + sweeping.WRITE_SECONDS
