"""Time, calls and memory from 10 to 10,000 mailboxes: `python -m benchmarks.growth docs` writes growth.csv, growth.svg.

The product's own GraphClient, parser and search, each number of mailboxes in a process of its own, three times; Graph
is `benchmarks.crowd_endpoint` with 50 ms a call, uncompressed. One question of the API may name at most 500 mailboxes
and ends after 20 seconds; neither holds here, so that the curve shows what lies beyond.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, date, timedelta
from pathlib import Path

import requests

from benchmarks.chart import Curve, Panel, chart
from benchmarks.crowd_endpoint import DAYS, FIRST_DAY, person
from benchmarks.machine import this_machine
from benchmarks.measuring import Spread
from benchmarks.report import Line, Report, at_most, options, publish
from freebusy.core.grid import Hours, SlotQuery
from freebusy.core.intervals import Interval, from_instant
from freebusy.core.rules import TECHNICAL
from freebusy.core.schedule import parse_schedule
from freebusy.core.slots import Calendar, find_slots
from freebusy.core.zones import iana_zone, instant_of_wall
from microsoft.graph import GraphClient, MailboxSchedule
from microsoft.http import Deadline, build_session
from microsoft.secret import Secret
from tests.services import free_port

ROOT = Path(__file__).resolve().parents[1]
NUMBERS = [10, 30, 100, 300, 1_000, 3_000, 10_000]
ROUNDS = 3
LATENCY = 0.050
AT_ONCE, PER_CALL = 4, 20
REQUIRED = 5
PAGE = 50
COLUMNS = ["mailboxes", "seconds", "cpu_seconds", "search_seconds", "waiting_seconds", "calls", "memory_mb"]
Point = dict[str, float]


class _Token:
    def bearer(self, rejected: Secret | None = None) -> Secret:
        return Secret("t" * 1400)


class _Open:
    """The four at a time of one question are the client's own; leases are measured by benchmarks.network."""

    def acquire(self, deadline: Deadline) -> AbstractContextManager[None]:
        return nullcontext()


def run(number: int, url: str) -> Point:
    """One question for that many mailboxes, from nothing to the best fifty slots."""
    query = _query()
    client = GraphClient(f"{url}/v1.0", build_session(None, AT_ONCE), gate=_Open())
    addresses = [person(n) for n in range(number)]
    start, end = from_instant(query.window.start, UTC), from_instant(query.window.end, UTC)
    before, cpu, began = _peak_mb(), time.process_time(), time.perf_counter()
    report = client.get_schedule(addresses, start, end, token=_Token(), deadline=Deadline.after(600))
    calendars = [
        Calendar(address, parse_schedule(result.entries, query.window), TECHNICAL, query.zone)
        for address, result in report.results.items()
        if isinstance(result, MailboxSchedule)
    ]
    assert len(calendars) == number
    search = time.process_time()
    found = find_slots(
        query,
        required=calendars[:REQUIRED],
        optional=calendars[REQUIRED:],
        order="fewest_conflicts",
        limit=PAGE,
    )
    ended = time.process_time()
    assert found.slots and not found.unknown
    return {
        "mailboxes": number,
        "seconds": time.perf_counter() - began,
        "cpu_seconds": ended - cpu,
        "search_seconds": ended - search,
        "memory_mb": _peak_mb() - before,
    }


def _query() -> SlotQuery:
    zone = iana_zone("Europe/Berlin")
    assert zone is not None
    first = date.fromisoformat(FIRST_DAY)
    return SlotQuery(
        window=Interval(instant_of_wall(first, 0, zone), instant_of_wall(first + timedelta(days=DAYS), 0, zone)),
        zone=zone,
        hours=Hours(frozenset(range(5)), 9 * 60, 17 * 60),
        duration_minutes=30,
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def endpoint() -> Iterator[str]:
    """The crowd in its own process."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.crowd_endpoint", str(port), str(LATENCY * 1000)]
    with subprocess.Popen(command, cwd=ROOT) as server:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(url, server)
            yield url
        finally:
            server.terminate()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            _get(url + "/counts")
            return
        except requests.ConnectionError:
            if server.poll() is not None:
                raise
            time.sleep(0.05)


def _get(url: str) -> dict[str, int]:
    return dict(requests.get(url, timeout=10, proxies={"http": ""}).json())


def measure(numbers: Sequence[int], rounds: int) -> list[Point]:
    """Medians; the numbers take turns, each in a process of its own, so that its peak of memory is its own."""
    seen: dict[int, list[Point]] = {number: [] for number in numbers}
    with endpoint() as url:
        for _ in range(rounds):
            for number in numbers:
                _get(url + "/reset")
                command = [sys.executable, "-m", "benchmarks.growth", "--of", str(number), "--url", url]
                done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
                seen[number].append(json.loads(done.stdout) | {"calls": _get(url + "/counts")["calls"]})
    return [_median(points) for points in seen.values()]


def _median(points: Sequence[Point]) -> Point:
    middle = {name: statistics.median(point[name] for point in points) for name in points[0]}
    return middle | {"waiting_seconds": math.ceil(middle["calls"] / AT_ONCE) * LATENCY}


def draw(points: Sequence[Point]) -> str:
    def curve(name: str, column: str, *, dashed: bool = False) -> Curve:
        return Curve(name, [point[column] for point in points], dashed=dashed)

    return chart(
        f"Growth from {points[0]['mailboxes']:,.0f} to {points[-1]['mailboxes']:,.0f} mailboxes",
        [point["mailboxes"] for point in points],
        [
            Panel(
                f"Seconds, by number of mailboxes ({DAYS} days, Graph {LATENCY * 1000:.0f} ms a call)",
                [
                    curve("whole", "seconds"),
                    curve("our CPU", "cpu_seconds"),
                    curve("CPU of the search", "search_seconds"),
                    curve("Graph, 4 at once", "waiting_seconds", dashed=True),
                ],
            ),
            Panel("Calls to Graph", [curve("calls", "calls")]),
            Panel("Memory at the peak, above an idle process, MB", [curve("MB", "memory_mb")]),
        ],
    )


def lines(points: Sequence[Point]) -> list[Line]:
    """Each figure of the largest number, for a mailbox, against that of a tenth of it: 1 is a straight line."""
    by_number = {point["mailboxes"]: point for point in points}
    most = max(by_number)
    fewer = by_number.get(most / 10, points[0])
    found = []
    for point in points:
        number = point["mailboxes"]
        found.append(Line(f"{number:,.0f} mailboxes", _plain(point["seconds"]), "s", note=_row(point)))
        calls = math.ceil(number / PER_CALL)
        found.append(Line.count(f"{number:,.0f} mailboxes, calls", point["calls"], goal=at_most(calls)))
    for what, column in (("time", "seconds"), ("search", "search_seconds"), ("memory", "memory_mb")):
        ratio = (by_number[most][column] / most) / (fewer[column] / fewer["mailboxes"])
        name = f"{what} of a mailbox, {most:,.0f} / {fewer['mailboxes']:,.0f}"
        found.append(Line(name, _plain(ratio), "×", at_most(1.5)))
    return found


def _plain(value: float) -> Spread:
    return Spread(value, value, value)


def _row(point: Point) -> str:
    return (
        f"CPU {point['cpu_seconds']:.3g} s, search {point['search_seconds'] * 1000:.3g} ms, "
        f"Graph {point['waiting_seconds']:.3g} s, {point['memory_mb']:.0f} MB"
    )


def main() -> int:
    parser = options(__doc__, ROUNDS)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs"), help="where the two files go")
    parser.add_argument("--most", type=int, default=max(NUMBERS), help="mailboxes to stop at")
    parser.add_argument("--of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.of:
        print(json.dumps(run(given.of, given.url)))
        return 0
    machine = this_machine(["msgspec", "requests"])
    points = measure([number for number in NUMBERS if number <= given.most], given.rounds)
    with (given.folder / "growth.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows([[f"{point[column]:.6g}" for column in COLUMNS] for point in points])
    (given.folder / "growth.svg").write_text(draw(points), encoding="utf-8")
    return publish(Report("Growth", machine, lines(points)), given.json)


if __name__ == "__main__":
    sys.exit(main())
