"""The search beside what one could pick instead: `python -m benchmarks.peers [--only W1] [--rounds N] [--json FILE]`.

Needs what requirements-peers.txt pins; `make bench-peers` installs it. Every answer is compared with ours first, and
ours with the workload's own hash. All cases of a workload run in turns in this one process, by its processor's time;
PostgreSQL, which has processes of its own, in turns with us alone, by the clock on the wall.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from benchmarks.calendars import Engine, Rows, Work, check
from benchmarks.machine import this_machine
from benchmarks.measuring import in_turns
from benchmarks.peers.libraries import LIBRARIES, Peer, Scope
from benchmarks.peers.postgresql import PostgreSQL, connected, server_version
from benchmarks.report import Goal, Line, Report, at_least, number, options, publish
from tests.freebusy.core import workloads
from tests.services import postgres

WORKLOADS = ["W1", "W2", "W3", "W4-100", "W4-1000"]
FEW = 10  # of the 500 searches of W3
GOALS: dict[tuple[str, str], Goal] = {
    **{(work, "PostgreSQL range_agg"): at_least(2) for work in ("W2", "W4-1000")},
    **{(work, "datetimes + any()"): at_least(10) for work in ("W2", "W4-100", "W4-1000")},
}
PACKAGES = ["portion", "intervaltree", "pandas", "numpy", "slotify-scheduling", "psycopg"]
EQUAL: dict[Scope, str] = {
    "rows": "all rows equal",
    "people": "all rows equal",
    "starts": "starts of slots equal; the required only",
}


def fewer(work: Work) -> Work:
    """The first few searches, with the events of those whom they ask about."""
    searches = work["searches"][:FEW]
    asked = {
        "people": {n for search in searches for n in search["required"] + search["optional"]},
        "rooms": {n for search in searches for n in search["rooms"] or ()},
    }
    owners = {
        kind: [owner if n in numbers else owner | {"events": []} for n, owner in enumerate(work[kind])]
        for kind, numbers in asked.items()
    }
    return work | owners | {"searches": searches}


def without_rooms(work: Work) -> Work:
    return work | {"searches": [search | {"rooms": None} for search in work["searches"]]}


def compare(name: str, work: Work, peers: Sequence[Peer | PostgreSQL], rounds: int) -> Iterator[Line]:
    """One workload by us and by the peers of one scope, equal first and then in turns."""
    engine = Engine(work)

    expected = engine.answer(engine.cold())
    for peer in peers:
        if as_far_as(peer.scope, peer.answer()) != as_far_as(peer.scope, expected):
            raise SystemExit(f"{name}: {peer.name} answers otherwise than we do")
    here = {"ours": engine.cold, "again": engine.ready} | {
        peer.name: peer.answer for peer in peers if isinstance(peer, Peer)
    }
    apart = {"ours": engine.cold} | {peer.name: peer.answer for peer in peers if isinstance(peer, PostgreSQL)}
    measured = in_turns(here, rounds)
    beside = in_turns(apart, rounds, clock=time.perf_counter)  # PostgreSQL works in a process of its own
    each = len(work["searches"])
    note = f"each of {each} searches" if each > 1 else ""
    yield Line(f"{name}, our search", measured.time("ours").times(1000 / each), "ms", note=note)
    yield Line(f"{name}, our search, asked again", measured.time("again").times(1000 / each), "ms", note=note)
    for peer in peers:
        turns = beside if peer.name in apart else measured
        ms = number(turns.time(peer.name).median * 1000 / each)
        ratio, goal = turns.ratio(peer.name, to="ours"), GOALS.get((name, peer.name))
        yield Line(f"{name}, {peer.name} / ours", ratio, "×", goal, f"{ms} ms; {EQUAL[peer.scope]}")


def as_far_as(scope: Scope, answers: list[Rows]) -> list[Rows]:
    return [[row[:1] for row in rows] for rows in answers] if scope == "starts" else answers


def lines(name: str, connection: psycopg.Connection[Any], rounds: int) -> Iterator[Line]:
    """One workload; where it asks for rooms, those who know none are compared on the same searches without."""
    work = dict(workloads.make(name))
    engine = Engine(work)
    check(name, engine.answer(engine.cold()))
    with_rooms = any(search["rooms"] is not None for search in work["searches"])
    if with_rooms:
        work = fewer(work)
    rows: list[Peer] = [library(work) for library in LIBRARIES if library.scope == "rows"]
    if not with_rooms:
        others = [library(work) for library in LIBRARIES if library.scope != "rows"]
        yield from compare(name, work, [PostgreSQL(work, connection), *rows, *others], rounds)
        return
    yield from compare(name, work, rows, rounds)
    plain = without_rooms(work)
    others = [library(plain) for library in LIBRARIES if library.scope != "rows"]
    yield from compare(f"{name} without rooms", plain, [PostgreSQL(plain, connection), *others], rounds)


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--only", action="append", choices=WORKLOADS, help="this workload; may be given again")
    given = parser.parse_args()
    with postgres() as url, connected(url) as connection:
        machine = this_machine(PACKAGES, others={"PostgreSQL": server_version(connection)})
        found = [line for name in given.only or WORKLOADS for line in lines(name, connection, given.rounds)]
    return publish(Report("Our search beside what one could pick instead", machine, found), given.json)


if __name__ == "__main__":
    sys.exit(main())
