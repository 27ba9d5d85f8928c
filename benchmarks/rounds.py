"""Programs timed side by side: in turns, each in a process of its own, by the time of the processor.

Its own process, since what `json.loads` leaves of the memory makes whatever runs after it slower; the processor's time,
since what else runs on the machine takes turns too. The garbage collector runs as it does in production.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

ROUNDS = 5
Result = TypeVar("Result")
_FORK = get_context("fork")


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median of the rounds, and the lowest and highest of them."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Rounds:
    """Seconds of one run of each program, round by round."""

    seconds: Mapping[str, list[float]]

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, one: str, other: str) -> Ratio:
        """How many times as long `one` takes as `other`: within each round, so that a busy machine counts for both."""
        found = [a / b for a, b in zip(self.seconds[one], self.seconds[other], strict=True)]
        return Ratio(statistics.median(found), min(found), max(found))


def side_by_side(programs: Mapping[str, Callable[[], object]], *, runs: int) -> Rounds:
    """Each round gives each program its turn, of `runs` runs, and takes the best of them: what disturbs only adds."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS):
        for name, program in programs.items():
            seconds[name].append(apart(lambda program=program: _best_of(program, runs)))  # type: ignore[misc]
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


def _best_of(program: Callable[[], object], runs: int) -> float:
    program()
    taken = []
    for _ in range(runs):
        gc.collect()
        began = time.process_time()
        result = program()
        taken.append(time.process_time() - began)
        del result
    return min(taken)
