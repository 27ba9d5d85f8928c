"""Clocks: cases run in turns, so that whatever else the machine does meets all of them alike; medians and spread."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

ROUNDS = 5
Clock = Callable[[], float]
# A case is repeated within its turn until that takes about so long: seconds that any clock reads well.
_SHORTEST_TURN = 0.005
_READABLE = 1e-6
# A round is the median of so many laps of all cases, but of fewer where they are slow: what disturbs for a moment
# does not count.
_LAPS, _ROUND = 9, 1.0


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
    repeats = {name: _repeats(case, clock) for name, case in cases.items()}
    names = list(cases)

    def lap(number: int) -> dict[str, float]:
        first = number % len(names)
        return {name: _turn(cases[name], repeats[name], clock) for name in names[first:] + names[:first]}

    seconds: dict[str, list[float]] = {name: [] for name in cases}
    with inputs_left_alone():
        began = time.perf_counter()
        lap(0)
        laps = max(1, min(_LAPS, int(_ROUND / (time.perf_counter() - began + _READABLE))))
        for number in range(rounds):
            taken = [lap(number * laps + each) for each in range(laps)]
            for name in names:
                seconds[name].append(statistics.median(times[name] for times in taken))
    return Rounds(seconds)


@contextmanager
def inputs_left_alone() -> Iterator[None]:
    """What is alive now is the benchmark's own input: the garbage collector, which stays on, need not walk it."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _turn(case: Callable[[], object], repeats: int, clock: Clock) -> float:
    began = clock()
    for _ in range(repeats):
        case()
    return (clock() - began) / repeats


def _repeats(case: Callable[[], object], clock: Clock) -> int:
    """Also the warm-up: caches are filled and modules imported when the counted rounds begin."""
    if _turn(case, 1, clock) > _SHORTEST_TURN:
        return 1
    return max(1, round(_SHORTEST_TURN / max(_turn(case, 1, clock), _READABLE)))
