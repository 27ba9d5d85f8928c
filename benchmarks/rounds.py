"""Programs timed side by side in one process: in turns, with the garbage collector running as it does in production.

What counts is the time of the processor: what else runs on the machine takes turns too, and must not count. Each timed
run follows one of the same program that is not timed, so that none pays for the memory another gave back to the system.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROUNDS = 5


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
    """Each round runs the programs in turns, `runs` times, and takes the best of each: what disturbs only adds."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS):
        taken: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(runs):
            for name, program in programs.items():
                taken[name].append(_seconds(program))
        for name, found in taken.items():
            seconds[name].append(min(found))
    return Rounds(seconds)


def _seconds(program: Callable[[], object]) -> float:
    program()
    gc.collect()  # nobody pays for what others left
    began = time.process_time()
    result = program()
    taken = time.process_time() - began
    del result
    return taken
