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
# A case is repeated within its turn until that takes about so long: seconds that any clock reads well.
_SHORTEST_TURN = 0.005
_READABLE = 1e-6
# A round is the median of so many laps of all cases, but of fewer where they are slow: what disturbs for a moment
# does not count.
_LAPS, _ROUND = 9, 1.0
_SLOW = 0.5


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
    """Each case once a lap, in a new order; laps make rounds. One lap before them is not counted.

    `clock`: the processor's time of this process, which other processes cannot stretch; `time.perf_counter` where
    waiting belongs to it, for another process or for the network.
    """
    with inputs_left_alone():
        began = time.perf_counter()
        turns = {name: _Turn.of(case, clock) for name, case in cases.items()}
        laps = max(1, min(_LAPS, int(_ROUND / (time.perf_counter() - began + _READABLE))))
        taken = [_lap(turns, number) for number in range(rounds * laps)]
    grouped = [taken[first : first + laps] for first in range(0, len(taken), laps)]
    return Rounds({name: [statistics.median(lap[name] for lap in one) for one in grouped] for name in cases})


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


def _lap(turns: Mapping[str, _Turn], number: int) -> dict[str, float]:
    names, first = list(turns), number % len(turns)
    return {name: turns[name].seconds() for name in names[first:] + names[:first]}


@contextmanager
def inputs_left_alone() -> Iterator[None]:
    """What is alive now is the benchmark's own input: the garbage collector, which stays on, need not walk it."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass(frozen=True, slots=True)
class _Turn:
    """One case with how it is timed."""

    case: Callable[[], object]
    clock: Clock
    repeats: int = 1
    primed: bool = True

    @classmethod
    def of(cls, case: Callable[[], object], clock: Clock) -> _Turn:
        """Runs it twice, also to warm it up: caches are filled and modules imported when the counted laps begin."""
        once = cls(case, clock).seconds()
        return cls(case, clock, max(1, round(_SHORTEST_TURN / max(once, _READABLE))), primed=once < _SLOW)

    def seconds(self) -> float:
        """Of one run. A quick case has one before that is not timed, so that it does not pay for memory which the case
        before gave back to the system; for a slow one that is little."""
        if self.primed:
            self.case()
        began = self.clock()
        for _ in range(self.repeats):
            self.case()
        return (self.clock() - began) / self.repeats
