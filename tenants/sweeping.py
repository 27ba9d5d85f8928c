"""One loop for work on many rows: claim a few, ask Microsoft for all of them at a time, write what came back.

    done = sweep(claim, ask, write, late=as_timeout, width=settings.SWEEP_WIDTH, patience=10.0)

`claim(limit)` runs in the calling thread and returns plain values of at most `limit` rows that are now this
process's (a conditional UPDATE with a lease; an empty answer ends the sweep). `work(item)` runs in a thread of the
pool, where the database must not be touched, and returns failures as values. `write(pairs)` runs in the calling thread
again and stores up to 500 items with their results in one transaction.

No result waits longer than half a second to be written, so that is all a killed process can lose; what it had claimed
comes back by its lease (`lease_seconds`). At most some 500 items are in memory, however many rows there are.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Generic, TypeVar

BATCH = 500  # rows in one claim, and in one transaction
ROUNDS = 4  # calls, one after another in a thread, that one claim may mean
RESERVE = 2  # rounds still to be begun when the next claim is made: what threads live on while it is, or while a page
# is written, which on SQLite may have to wait for another process to write its own
WRITE_SECONDS = 0.5
_LOOK_SECONDS = 0.2  # how often the loop looks up when nothing arrives

Item = TypeVar("Item")
Result = TypeVar("Result")


def lease_seconds(patience: float) -> float:
    """How long a claim must hold so that even the last item of a batch is still this process's when it is written."""
    return patience * (RESERVE + ROUNDS + 1) + 2 * WRITE_SECONDS


def sweep(
    claim: Callable[[int], Sequence[Item]],
    work: Callable[[Item], Result],
    write: Callable[[Sequence[tuple[Item, Result]]], None],
    *,
    late: Callable[[Item], Result],
    width: int,
    patience: float,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Claims, asks and writes until nothing is left to claim or `stop()`; returns how many items were written.

    `width`: calls at a time. `patience`: seconds after which a call is left behind and its item written as
    `late(item)`; `work` should keep a deadline of its own below it. `stop()` is asked before each claim.
    What `work` raises is a bug: the others go on, its row comes back by its lease, and the first such exception is
    raised at the end.
    """
    limit = min(BATCH, width * ROUNDS)
    crew = _Crew(work, width, patience)
    written, first_bug = 0, None
    unwritten: list[tuple[Item, Result]] = []
    write_at = 0.0
    claiming = True
    try:
        while True:
            if claiming and crew.in_hand <= width * RESERVE:
                items = () if stop() else claim(limit)
                claiming = bool(items)
                crew.take_on(items)
            if not crew.in_hand and not unwritten and not claiming:
                break
            wait = min(_LOOK_SECONDS, max(write_at - time.monotonic(), 0.0)) if unwritten else _LOOK_SECONDS
            for item, result, bug in crew.answers(wait):
                if bug is not None:
                    first_bug = first_bug or bug
                else:
                    unwritten.append((item, late(item) if result is None else result[0]))
                    if len(unwritten) == 1:
                        write_at = time.monotonic() + WRITE_SECONDS
            if unwritten and (len(unwritten) >= BATCH or time.monotonic() >= write_at or not crew.in_hand):
                page, unwritten = unwritten[:BATCH], unwritten[BATCH:]
                write(page)
                written += len(page)
    finally:
        crew.dismiss()
    if first_bug is not None:
        raise first_bug
    return written


# An item with its result in a tuple, None for a call left behind; or with what `work` raised.
_Answer = tuple[Item, tuple[Result] | None, BaseException | None]


class _Crew(Generic[Item, Result]):
    """Daemon threads that work on items; one that hangs is replaced, and its late answer is dropped."""

    def __init__(self, work: Callable[[Item], Result], width: int, patience: float) -> None:
        self._work = work
        self._width = width
        self._patience = patience
        self._tickets = count()
        self._jobs: queue.SimpleQueue[tuple[int, Item] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[_Answer[Item, Result]] = queue.SimpleQueue()
        self._begun: dict[int, tuple[float, Item]] = {}  # whoever takes a ticket out, thread or loop, decides it
        self._threads = 0
        self.in_hand = 0

    def take_on(self, items: Sequence[Item]) -> None:
        """Puts the items before the threads, of which there are only as many as are of use."""
        for item in items:
            self._jobs.put((next(self._tickets), item))
        self.in_hand += len(items)
        for _ in range(min(self._width, self.in_hand) - self._threads):
            self._hire()

    def answers(self, wait: float) -> list[_Answer[Item, Result]]:
        """What has arrived, after at most `wait` seconds, and what was given up."""
        arrived: list[_Answer[Item, Result]] = []
        try:
            arrived.append(self._answers.get(timeout=wait))
            while len(arrived) < BATCH:
                arrived.append(self._answers.get_nowait())
        except queue.Empty:
            arrived += self._given_up()
        self.in_hand -= len(arrived)
        return arrived

    def dismiss(self) -> None:
        """Lets the threads go; items not begun stay undone."""
        try:
            while True:
                self._jobs.get_nowait()
        except queue.Empty:
            for _ in range(self._threads):
                self._jobs.put(None)

    def _given_up(self) -> list[_Answer[Item, Result]]:
        now = time.monotonic()
        hanging = [ticket for ticket, (begun, _) in list(self._begun.items()) if now - begun > self._patience]
        given_up: list[_Answer[Item, Result]] = []
        for ticket in hanging:
            held = self._begun.pop(ticket, None)
            if held is not None:
                given_up.append((held[1], None, None))
                self._threads -= 1
                self._hire()
        return given_up

    def _hire(self) -> None:
        self._threads += 1
        threading.Thread(target=self._run, daemon=True, name="sweep").start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            ticket, item = job
            self._begun[ticket] = (time.monotonic(), item)
            answer: _Answer[Item, Result]
            try:
                answer = (item, (self._work(item),), None)
            except BaseException as bug:  # noqa: BLE001 - it belongs to the thread that waits
                answer = (item, None, bug)
            if self._begun.pop(ticket, None) is None:
                return  # left behind: another thread has this one's place
            self._answers.put(answer)
