"""The slot search against C and against datetimes: `python -m benchmarks.search [W1 W2 …] [--json FILE] [--rounds N]`.

The product's own `find_slots` on the shared workloads, cold (schedules → slots) and with masks ready. Every answer is
first compared with the oracle's hash; then all sides take turns in one process, in rounds. Goals are checked at the
end; exit status 1 when one is missed.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.c_search import CSearch, NumpySearch
from freebusy.core.grid import Hours, SlotQuery, candidate_days, candidate_starts
from freebusy.core.intervals import MINUTE, Interval
from freebusy.core.ready import Ready
from freebusy.core.rules import TECHNICAL
from freebusy.core.schedule import FreeBusyStatus, Schedule, ScheduleItem
from freebusy.core.slots import Calendar, SlotResult, find_slots
from freebusy.core.zones import iana_zone, instant_of_wall

workloads: Any = import_module("tests.freebusy.core.workloads")  # untyped, as it was given

Work = dict[str, Any]
Answer = list[list[list[Any]]]
STATUSES = [FreeBusyStatus.from_wire(name) for name in workloads.STATUS]
EVERYTHING = 1_000_000  # a page that holds all slots
COLD = 1.0
READY = {"W1": 1.0, "W2": 1.6, "W3": 1.3, "W4-100": 2.0, "W4-1000": 4.5, "W4-10000": 6.0}
AIM = {"W1": 0.7, "W2": 1.4, "W3": 1.15, "W4-100": 1.7, "W4-1000": 3.5, "W4-10000": 4.8}
DATETIMES = {"W2": 10.0, "W4-100": 10.0, "W4-1000": 10.0}
AS_DATETIMES = ("W1", "W2", "W4-10", "W4-100", "W4-1000")  # W3 and W4-10000 would take minutes
PAGE = 50


def query_of(frame: Work) -> SlotQuery:
    zone = iana_zone(frame["tz"])
    assert zone is not None
    first = date.fromisoformat(frame["first_day"])
    return SlotQuery(
        window=Interval(
            instant_of_wall(first, 0, zone), instant_of_wall(first + timedelta(days=frame["days"]), 0, zone)
        ),
        duration_minutes=frame["duration"],
        step_minutes=frame["step"],
        zone=zone,
        hours=Hours(
            frozenset(frame["weekdays"]), workloads.hhmm(frame["work_start"]), workloads.hhmm(frame["work_end"])
        ),
    )


def calendar_of(number: int, owner: Work, query: SlotQuery) -> Calendar:
    items = tuple(
        ScheduleItem(s * MINUTE, e * MINUTE, STATUSES[status]) for s, e, status, _ in owner["events"] if s < e
    )
    return Calendar(str(number), Schedule(items=items, zone=iana_zone(owner["tz"])), TECHNICAL, query.zone)


class Engine:
    """The product's search on one workload. Its slots are its rows: more than the workload asks for."""

    def __init__(self, work: Work) -> None:
        self.query = query_of(work["frame"])
        people, rooms = (
            [calendar_of(number, owner, self.query) for number, owner in enumerate(work[kind])]
            for kind in ("people", "rooms")
        )
        self._searches: list[tuple[dict[str, Any], bool]] = [
            (
                {
                    "required": [people[number] for number in asked["required"]],
                    "optional": [people[number] for number in sorted(asked["optional"])],
                    "rooms": None if asked["rooms"] is None else [rooms[number] for number in sorted(asked["rooms"])],
                },
                asked["want"] == "ids",
            )
            for asked in work["searches"]
        ]
        self._ready = Ready(most_bytes=1 << 34)

    def cold(self) -> list[SlotResult]:
        """From schedules: nothing is known before, neither masks nor grid."""
        candidate_days.cache_clear()
        return self._search(Ready(most_bytes=1 << 34))

    def ready(self) -> list[SlotResult]:
        return self._search(self._ready)

    def page(self) -> list[SlotResult]:
        """The best 50, ranked by conflicts."""
        return [
            find_slots(self.query, **who, order="fewest_conflicts", limit=PAGE, ready=self._ready)
            for who, _ in self._searches
        ]

    def _search(self, ready: Ready) -> list[SlotResult]:
        results = []
        for who, want_ids in self._searches:
            result = find_slots(self.query, **who, limit=EVERYTHING, ready=ready)
            # Names of many people are made when looked at: look, as the workload does.
            if not who["optional"]:
                pass
            elif want_ids:
                for slot in result.slots:
                    tuple(slot.optional_conflicts)
            else:
                for slot in result.slots:
                    len(slot.optional_conflicts)
            results.append(result)
        return results

    def answer(self, results: list[SlotResult]) -> Answer:
        """As the oracle writes it."""
        return [
            [
                [
                    slot.start // MINUTE,
                    len(slot.optional_conflicts),
                    list(map(int, slot.optional_conflicts)) if want_ids else None,
                    len(slot.rooms),
                    int(slot.rooms[0]) if slot.rooms else -1,
                ]
                for slot in result.slots
            ]
            for result, (_, want_ids) in zip(results, self._searches, strict=True)
        ]


class InC:
    """The same in C, from the workload's own lists."""

    def __init__(self, c: CSearch, work: Work, query: SlotQuery) -> None:
        self._c, self._work, self._query = c, work, query
        self._index = self._c.build(work, self._starts())

    def _starts(self) -> list[int]:
        candidate_days.cache_clear()
        return [start // MINUTE for start in candidate_starts(self._query)]

    def cold(self) -> Answer:
        index = self._c.build(self._work, self._starts())
        return [self._c.search(index, asked) for asked in self._work["searches"]]

    def ready(self) -> Answer:
        return [self._c.search(self._index, asked) for asked in self._work["searches"]]


class Datetimes:
    """What one writes first: any() over aware datetimes. The conversion and the rules are a gift."""

    def __init__(self, work: Work, query: SlotQuery) -> None:
        def instant(minute: int) -> datetime:
            return datetime.fromtimestamp(minute * 60, UTC)

        self._work, self._duration = work, timedelta(minutes=query.duration_minutes)
        self._starts = [instant(start // MINUTE) for start in candidate_starts(query)]
        self._people = [
            [(instant(event[0]), instant(event[1])) for event in owner["events"] if workloads.blocks(event)]
            for owner in work["people"]
        ]

    def cold(self) -> Answer:
        return [self._search(asked) for asked in self._work["searches"]]

    def _search(self, asked: Work) -> list[list[Any]]:
        rows = []
        for start in self._starts:
            end = start + self._duration
            if any(x < end and start < y for number in asked["required"] for x, y in self._people[number]):
                continue
            ids = [
                number
                for number in sorted(asked["optional"])
                if any(x < end and start < y for x, y in self._people[number])
            ]
            minute = int(start.timestamp()) // 60
            rows.append([minute, len(ids), ids if asked["want"] == "ids" else None, 0, -1])
        return rows


@dataclass(frozen=True, slots=True)
class Sides:
    """Everybody on one workload, their answers compared with the oracle's."""

    name: str
    searches: int
    turns: dict[str, Callable[[], object]]

    @classmethod
    def of(cls, name: str) -> Sides:
        work = workloads.make(name)
        engine = Engine(work)
        c, lean = (InC(called, work, engine.query) for called in (NumpySearch(), CSearch()))
        turns: dict[str, Callable[[], object]] = {
            "cold": engine.cold,
            "C cold": c.cold,
            "ready": engine.ready,
            "C ready": c.ready,
            "lean C cold": lean.cold,
            "lean C ready": lean.ready,
            "page": engine.page,
        }
        answers = [engine.answer(engine.cold()), engine.answer(engine.ready()), engine.answer(engine.ready())]
        answers += [c.cold(), c.ready(), lean.cold(), lean.ready()]
        if name in AS_DATETIMES:
            datetimes = Datetimes(work, engine.query)
            turns["datetimes"] = datetimes.cold
            answers.append(datetimes.cold())
        for answer in answers:
            found = (workloads.result_hash(answer), sum(map(len, answer)))
            assert found == workloads.EXPECTED[name], f"{name}: not the oracle's answer"
        engine.page()
        return cls(name, len(work["searches"]), turns)

    def median(self, rounds: int) -> dict[str, float]:
        """Seconds: the median over rounds in which each has its turn. Short ones have several turns a round."""
        times: dict[str, list[float]] = {side: [] for side in self.turns}
        for _ in range(rounds):
            for side, turn in self.turns.items():
                turns: list[float] = []
                while sum(turns) < 0.02 and len(turns) < 9:
                    began = time.perf_counter()
                    turn()
                    turns.append(time.perf_counter() - began)
                times[side].append(statistics.median(turns))
        return {side: statistics.median(of_side) for side, of_side in times.items()}


def measured(name: str, rounds: int) -> dict[str, Any]:
    sides = Sides.of(name)
    gc.collect()
    gc.freeze()
    try:
        seconds = sides.median(rounds)
    finally:
        gc.unfreeze()
    cold, ready = seconds["cold"] / seconds["C cold"], seconds["ready"] / seconds["C ready"]
    datetimes = seconds["datetimes"] / seconds["cold"] if "datetimes" in seconds else None
    return {
        "workload": name,
        "seconds": seconds,
        "searches": sides.searches,
        "cold": round(cold, 3),
        "ready": round(ready, 3),
        "ready_goal": READY.get(name),
        "ready_aim": AIM.get(name),
        "lean_cold": round(seconds["cold"] / seconds["lean C cold"], 3),
        "lean_ready": round(seconds["ready"] / seconds["lean C ready"], 3),
        "datetimes": datetimes and round(datetimes, 1),
        "page": round(seconds["page"] / seconds["ready"], 3),
        "met": cold <= COLD
        and ready <= READY.get(name, ready)
        and (datetimes is None or datetimes >= DATETIMES.get(name, 0)),
    }


def line(figures: dict[str, Any]) -> str:
    seconds, searches = figures["seconds"], figures["searches"]
    against = f"{figures['datetimes']:7.1f}x" if figures["datetimes"] else f"{'':8}"
    goal = f"{figures['ready_goal']} / {figures['ready_aim']}" if figures["ready_goal"] else ""
    return (
        f"{figures['workload']:9} {seconds['cold'] * 1e3:9.2f} {figures['cold']:8.2f}x "
        f"{seconds['ready'] / searches * 1e6:11.1f} {figures['ready']:8.2f}x {goal:>11} {against} "
        f"{figures['page']:6.2f}x {figures['lean_cold']:9.2f}x {figures['lean_ready']:6.2f}x"
        f"{'' if figures['met'] else '  MISSED'}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", default=[*READY])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    machine = {"platform": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}
    print(*machine.values(), "load", os.getloadavg()[0])
    print("cold: ms, and × C cold; ready: µs a search, and × C with rows; datetimes: × our cold; page: × all rows;")
    print("lean: × C cold and with rows, through arrays instead of NumPy")
    heads = (f"{'':9}", f"{'cold':>9}", f"{'× C':>8}", f"{'ready':>11}", f"{'× C':>9}", f"{'goal / aim':>11}")
    print(*heads, f"{'datetimes':>8}", f"{'page':>6}", f"{'lean':>17}")
    all_figures = []
    for name in options.workloads:
        all_figures.append(measured(name, options.rounds))
        print(line(all_figures[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "workloads": all_figures}, indent=1) + "\n")
    return 0 if all(figures["met"] for figures in all_figures) else 1


if __name__ == "__main__":
    sys.exit(main())
