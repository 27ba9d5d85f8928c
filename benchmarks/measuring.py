"""Clocks: cases run in turns, so that whatever else the machine does meets all of them alike; medians and spread."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import TypeVar

ROUNDS = 5
Result = TypeVar("Result")
_FORK = get_context("fork")
Clock = Callable[[], float]
# A round is the median of so many laps of all cases, but of fewer where they are slow: what disturbs for a moment
# does not count.
_LAPS, _ROUND_SECONDS = 99, 1.0


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of a few readings, and the least and the greatest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, readings: Sequence[float]) -> Spread:
        return cls(statistics.median(readings), min(readings), max(readings))

    def times(self, factor: float) -> Spread:
        return Spread(self.median * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Rounds:
    """Seconds of each case, round by round."""

    seconds: Mapping[str, Sequence[float]]

    def time(self, case: str) -> Spread:
        return Spread.of(self.seconds[case])

    def ratio(self, case: str, to: str) -> Spread:
        """How often `to` fits into `case`: divided within each round, so that a slow minute slows both alike."""
        pairs = zip(self.seconds[case], self.seconds[to], strict=True)
        return Spread.of([one / other for one, other in pairs])


def in_turns(
    cases: Mapping[str, Callable[[], object]], rounds: int = ROUNDS, *, clock: Clock = time.process_time
) -> Rounds:
    """Each case once a lap, another one first in the next; laps make rounds. One lap before them is not counted.

    Once, and not many times in a row: in production too something else was in the processor's caches just before.
    `clock`: the processor's time of this process, which other processes cannot stretch; `time.perf_counter` where
    another process has a part in the work.
    """
    with inputs_left_alone():
        began = time.perf_counter()
        _lap(cases, 0, clock)
        laps = max(1, min(_LAPS, int(_ROUND_SECONDS / (time.perf_counter() - began))))
        taken = [_lap(cases, number, clock) for number in range(rounds * laps)]
    grouped = [taken[first : first + laps] for first in range(0, len(taken), laps)]
    return Rounds({name: [statistics.median(lap[name] for lap in one) for one in grouped] for name in cases})


def _lap(cases: Mapping[str, Callable[[], object]], number: int, clock: Clock) -> dict[str, float]:
    names, first = list(cases), number % len(cases)
    return {name: _seconds(cases[name], clock) for name in names[first:] + names[:first]}


def _seconds(case: Callable[[], object], clock: Clock) -> float:
    began = clock()
    case()
    return clock() - began


def in_turns_apart(cases: Mapping[str, Callable[[], object]], rounds: int = ROUNDS, *, runs: int = 9) -> Rounds:
    """The same with each turn in a process of its own, which takes the best of so many runs after one to warm up.

    For what makes and drops objects by the hundred thousand: in one process, what a case leaves of the memory makes
    the next one up to half as slow again.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds):
        names, first = list(cases), number % len(cases)
        for name in names[first:] + names[:first]:
            seconds[name].append(apart(partial(_best_of, cases[name], runs)))
    return Rounds(seconds)


def apart(work: Callable[[], Result]) -> Result:
    """What `work` gives, done by a child that leaves no trace here; EOFError when it failed."""
    receiving, sending = _FORK.Pipe(duplex=False)
    child = _FORK.Process(target=lambda: sending.send(work()))
    child.start()
    sending.close()
    try:
        result: Result = receiving.recv()
    finally:
        child.join()
    return result


def _best_of(case: Callable[[], object], runs: int) -> float:
    case()
    taken = []
    for _ in range(runs):
        gc.collect()
        began = time.process_time()
        result = case()
        taken.append(time.process_time() - began)
        del result
    return min(taken)


@contextmanager
def inputs_left_alone() -> Iterator[None]:
    """What is alive now is the benchmark's own input: the garbage collector, which stays on, need not walk it."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
