"""The slot search beside C and datetimes: `python -m benchmarks.search [--only W1] [--rounds N] [--json FILE]`.

The product's own `find_slots` on the shared workloads, cold (calendars → slots) and with masks ready. Every answer is
first compared with the oracle's hash; then all sides take turns in one process, cold ones and ready ones apart. The
goals were set on C called through NumPy, which .venv-peers has; "lean" C is called through arrays alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from benchmarks.c_search import CSearch, NumpySearch
from benchmarks.calendars import PAGE, Engine, Rows, Work, check
from benchmarks.machine import compiler, this_machine
from benchmarks.measuring import in_turns
from benchmarks.peers.libraries import Datetimes
from benchmarks.report import Line, Report, at_least, at_most, options, publish
from freebusy.core.grid import SlotQuery, candidate_days, candidate_starts
from freebusy.core.intervals import MINUTE
from tests.freebusy.core import workloads

COLD = at_most(1)
READY = {
    "W1": at_most(1, 0.7),
    "W2": at_most(1.6, 1.4),
    "W3": at_most(1.3, 1.15),
    "W4-100": at_most(2, 1.7),
    "W4-1000": at_most(4.5, 3.5),
    "W4-10000": at_most(6, 4.8),
}
DATETIMES = {"W1": None, "W2": at_least(10), "W4-100": at_least(10), "W4-1000": at_least(10)}  # others take minutes
EQUAL = "all rows equal"
OURS, BY_HAND, PAGE_ONLY = "ours", "datetimes + any()", f"the best {PAGE}"
C, LEAN = "C", "lean C"  # through NumPy, on which the goals were set; through arrays alone


class InC:
    """The same in C, from the workload's own lists."""

    def __init__(self, c: CSearch, work: Work, query: SlotQuery) -> None:
        self._c, self._work, self._query = c, work, query
        self._index = self._c.build(work, self._starts())

    def _starts(self) -> list[int]:
        candidate_days.cache_clear()
        return [start // MINUTE for start in candidate_starts(self._query)]

    def cold(self) -> list[Rows]:
        index = self._c.build(self._work, self._starts())
        return [self._c.search(index, asked) for asked in self._work["searches"]]

    def ready(self) -> list[Rows]:
        return [self._c.search(self._index, asked) for asked in self._work["searches"]]


def c_sides() -> dict[str, CSearch]:
    """Where there is gcc: through arrays alone and, where there is NumPy, through that."""
    if not compiler():
        return {}
    return {LEAN: CSearch()} | ({C: NumpySearch()} if find_spec("numpy") else {})


@dataclass(frozen=True, slots=True)
class Sides:
    """Everybody on one workload: from what was just read, and with masks ready."""

    cold: dict[str, Callable[[], object]]
    ready: dict[str, Callable[[], object]]

    @classmethod
    def of(cls, name: str, work: Work) -> Sides:
        """Once all answers are the oracle's."""
        engine = Engine(work)
        sides = cls({OURS: engine.cold}, {OURS: engine.ready, PAGE_ONLY: engine.page})
        for results in (engine.cold(), engine.ready(), engine.ready()):
            check(name, engine.answer(results))
        for called, c in c_sides().items():
            in_c = InC(c, work, engine.query)
            check(name, in_c.cold())
            check(name, in_c.ready())
            sides.cold[called], sides.ready[called] = in_c.cold, in_c.ready
        if name in DATETIMES:
            by_hand = Datetimes(work)
            check(name, by_hand.answer())
            sides.cold[BY_HAND] = by_hand.answer
        return sides


def lines(name: str, rounds: int) -> Iterator[Line]:
    work = workloads.make(name)
    sides, each = Sides.of(name, work), len(work["searches"])
    cold, ready = in_turns(sides.cold, rounds), in_turns(sides.ready, rounds)
    yield Line(f"{name}, cold", cold.time(OURS).times(1e3), "ms", note=f"{each} searches" if each > 1 else "")
    yield Line(f"{name}, masks ready", ready.time(OURS).times(1e6 / each), "µs", note="a search")
    for called, cold_goal, ready_goal in ((C, COLD, READY[name]), (LEAN, None, None)):
        if called in sides.cold:
            yield Line(f"{name}, cold / {called}", cold.ratio(OURS, to=called), "×", cold_goal, EQUAL)
            ratio = ready.ratio(OURS, to=called)
            yield Line(f"{name}, masks ready / {called} with rows", ratio, "×", ready_goal, EQUAL)
    if name in DATETIMES:
        yield Line(f"{name}, {BY_HAND} / cold", cold.ratio(BY_HAND, to=OURS), "×", DATETIMES[name], EQUAL)
    page = ready.ratio(PAGE_ONLY, to=OURS)
    yield Line(f"{name}, {PAGE_ONLY} / all rows", page, "×", note="masks ready; ranked by conflicts")


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--only", action="append", choices=list(READY), help="this workload; may be given again")
    given = parser.parse_args()
    machine = this_machine(["msgspec", "numpy"], others=compiler())
    found = [line for name in given.only or READY for line in lines(name, given.rounds)]
    return publish(Report("The slot search", machine, found), given.json)


if __name__ == "__main__":
    sys.exit(main())
