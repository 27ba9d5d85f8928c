"""Clocks: cases run in turns, so that whatever else the machine does meets all of them alike; medians and spread."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

ROUNDS = 5
# A clock reads some 0.1 µs; a case is repeated within its turn until it takes at least so long.
_SHORTEST_TURN = 0.005


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


def in_turns(cases: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> Rounds:
    """Each case once a round, the first one a round later the last; one round before them is not counted."""
    repeats = {name: _repeats(case) for name, case in cases.items()}
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    names = list(cases)
    with inputs_left_alone():
        for number in range(rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                seconds[name].append(_turn(cases[name], repeats[name]))
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


def _turn(case: Callable[[], object], repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        case()
    return (time.perf_counter() - began) / repeats


def _repeats(case: Callable[[], object]) -> int:
    """Also the warm-up: caches are filled and modules imported when the counted rounds begin."""
    if _turn(case, 1) > _SHORTEST_TURN:
        return 1
    return max(1, round(_SHORTEST_TURN / max(_turn(case, 1), 1e-9)))
