"""Searches through the production web server, beside a bare view: `python -m benchmarks.serving [--json FILE]`.

Ten people over fourteen days (workload W1) are searched through gunicorn on throwaway PostgreSQL and Redis; a Graph on
loopback answers after 50 ms. A bare view gives as many bytes behind the same middleware, throttle and authentication
(`benchmarks.bare`). All of it is asked over loopback by one process on the same machine, which costs all sides alike.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from cryptography.fernet import Fernet

from benchmarks.calendar_endpoint import person
from benchmarks.load import Server, at_a_pace, in_a_row, one, side_by_side
from benchmarks.machine import this_machine
from benchmarks.measuring import ROUNDS, Spread
from benchmarks.report import Line, Report, at_least, at_most, options, publish
from tests.freebusy.core import workloads
from tests.services import free_port, postgres, redis_server

ROOT = Path(__file__).resolve().parents[1]
LATENCY = 0.050
SLUG = "contoso"
SLOTS = f"/api/v1/accounts/{SLUG}/slots/"
CONNECTIONS = 16  # as many as two workers have threads
KEPT_SECONDS = 3600  # the oldest answer that a caller may accept
SETTLED, MANY = 10_000, 100_000  # requests after which a worker's memory is looked at


def question(max_age_seconds: int) -> bytes:
    """W1's one search, as the API takes it."""
    work = workloads.make("W1")
    frame, search = work["frame"], work["searches"][0]
    attendees = [{"email": person(number), "required": True} for number in search["required"]]
    attendees += [{"email": person(number), "required": False} for number in search["optional"]]
    return json.dumps(
        {
            "attendees": attendees,
            "start": "2026-03-23T00:00:00+01:00",
            "end": "2026-04-06T00:00:00+02:00",
            "time_zone": frame["tz"],
            "duration_minutes": frame["duration"],
            "step_minutes": frame["step"],
            "working_hours": {
                "days": ["mon", "tue", "wed", "thu", "fri"],
                "start": frame["work_start"],
                "end": frame["work_end"],
            },
            "max_age_seconds": max_age_seconds,
        }
    ).encode()


@dataclass(frozen=True, slots=True)
class Installation:
    """A customer in a database, a Graph, and where to reach both."""

    environment: dict[str, str]
    endpoint_port: int
    key: str

    def endpoint(self, path: str) -> dict[str, int]:
        return dict(_http().get(f"http://127.0.0.1:{self.endpoint_port}{path}", timeout=10).json())

    @contextmanager
    def web(self, workers: int, bare_bytes: int) -> Iterator[Web]:
        """gunicorn as the project's own file sets it up, but for the number of workers and their renewal."""
        port = free_port()
        environment = {
            **self.environment,
            "BIND": f"127.0.0.1:{port}",
            "WEB_CONCURRENCY": str(workers),
            "BARE_BYTES": str(bare_bytes),
            "GUNICORN_CMD_ARGS": "--max-requests 0",
        }
        command = [sys.executable, "-m", "gunicorn", "benchmarks.bare:application"]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=quiet, stderr=quiet) as gunicorn:
            try:
                _wait_for(f"http://127.0.0.1:{port}/healthz")
                yield Web(Server(port, f"Authorization: Bearer {self.key}\r\n"), gunicorn.pid)
            finally:
                gunicorn.terminate()


@dataclass(frozen=True, slots=True)
class Web:
    """A running web server."""

    server: Server
    pid: int

    def memory_mb(self) -> float:
        """What the workers hold in memory, in all."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        pages = [int(Path(f"/proc/{child}/statm").read_text().split()[1]) for child in children]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def installation() -> Iterator[Installation]:
    """PostgreSQL, Redis, Graph and one connected customer."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.calendar_endpoint", str(port), str(LATENCY * 1000), "W1"]
        graph = stack.enter_context(subprocess.Popen(command, cwd=ROOT))
        stack.callback(graph.terminate)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "DJANGO_SECRET_KEY": Fernet.generate_key().decode(),
            "FERNET_KEYS": Fernet.generate_key().decode(),
            "MICROSOFT_CLIENT_ID": "c" * 36,
            "MICROSOFT_CLIENT_SECRET": "s" * 40,
            "MICROSOFT_GRAPH_URL": f"http://127.0.0.1:{port}/v1.0",
            "API_RATE_PER_MINUTE": "1000000",
            "DATABASE_URL": stack.enter_context(postgres()),
            "REDIS_URL": stack.enter_context(redis_server()),
        }
        _wait_for(f"http://127.0.0.1:{port}/counts")
        filling = [sys.executable, "-m", "benchmarks.served"]
        filled = subprocess.run(filling, env=environment, cwd=ROOT, check=True, capture_output=True)
        yield Installation(environment, port, json.loads(filled.stdout.splitlines()[-1])["key"])


def _http() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


def _wait_for(url: str) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            _http().get(url, timeout=5).raise_for_status()
            return
        except requests.RequestException:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Asked:
    """The four requests that are compared, each whole."""

    bare: bytes
    door: bytes
    kept: bytes
    fresh: bytes

    @classmethod
    def of(cls, server: Server) -> Asked:
        kept, fresh = question(KEPT_SECONDS), question(0)
        return cls(
            bare=server.post(f"/bare/{SLUG}/", kept),
            door=server.post("/bare/", kept),
            kept=server.post(SLOTS, kept),
            fresh=server.post(SLOTS, fresh),
        )


def answers_agree(server: Server, asked: Asked) -> int:
    """Bytes of the answer. A fresh one and a kept one say the same, and offer what the oracle of W1 says."""
    fresh, kept = one(server, asked.fresh), one(server, asked.kept)
    first, second = json.loads(fresh), json.loads(kept)
    if first["slots"] != second["slots"] or first["withheld"] != second["withheld"]:
        raise SystemExit("an answer from memory differs from a fresh one")
    if len(first["slots"]) != workloads.EXPECTED["W1"][1]:
        raise SystemExit("the answer is not that of the workload")
    return len(kept)


def latencies(here: Installation, server: Server, asked: Asked, rounds: int) -> list[Line]:
    """One request at a time."""
    graph = Server(here.endpoint_port, "Authorization: Bearer none\r\n")
    direct = graph.post("/v1.0/me/calendar/getSchedule", _graph_question())
    seconds: dict[str, list[float]] = {name: [] for name in ("bare", "door", "kept", "fresh", "graph")}
    for _ in range(rounds):
        for name, number in (("bare", 200), ("door", 200), ("kept", 200)):
            seconds[name].append(statistics.median(in_a_row(server, getattr(asked, name), number)))
        seconds["fresh"].append(statistics.median(in_a_row(server, asked.fresh, 20)))
        seconds["graph"].append(statistics.median(in_a_row(graph, direct, 20)))
    own = [fresh - graph for fresh, graph in zip(seconds["fresh"], seconds["graph"], strict=True)]
    return [
        _time("a bare view", seconds["bare"]),
        _time("a bare view without an account", seconds["door"]),
        _time("W1 from memory", seconds["kept"]),
        _time("W1 asked of Graph", seconds["fresh"]),
        _time("  of which Graph itself, asked directly", seconds["graph"]),
        Line("W1 beyond Graph's latency, of a bare view", _ratio(own, seconds["bare"]), "×", at_most(4)),
        Line("W1 from memory, of a bare view", _ratio(seconds["kept"], seconds["bare"]), "×", at_most(2)),
        Line("W1 from memory, of a view without an account", _ratio(seconds["kept"], seconds["door"]), "×"),
    ]


def throughput(server: Server, asked: Asked, rounds: int) -> tuple[list[Line], float]:
    """As many as go, from 16 connections; also how many answers from memory that are in a second."""
    rates: dict[str, list[float]] = {"bare": [], "kept": []}
    for _ in range(rounds):
        for name in rates:
            rates[name].append(side_by_side(server, getattr(asked, name), lines=CONNECTIONS, number=2_000))
    kept = Spread.of(rates["kept"])
    return [
        Line("bare views", Spread.of(rates["bare"]), "a second"),
        Line("W1 from memory", kept, "a second"),
        Line("W1 from memory, of bare views", _ratio(rates["kept"], rates["bare"]), "×", at_least(0.6)),
    ], kept.median


def steadiness(server: Server, asked: Asked, rate: float, rounds: int) -> list[Line]:
    """At four fifths of what goes, due at even distances."""
    ratios, medians = [], []
    for _ in range(rounds):
        seconds = sorted(at_a_pace(server, asked.kept, a_second=0.8 * rate, number=max(1_000, round(rate * 4))))
        medians.append(statistics.median(seconds))
        ratios.append(seconds[round(len(seconds) * 0.99) - 1] / medians[-1])
    return [
        _time("W1 from memory at 80 % load, median", medians),
        Line("99th percentile, of the median", Spread.of(ratios), "×", at_most(4)),
    ]


def memory(web: Web, asked: Asked, many: int) -> list[Line]:
    """Of all workers, after a tenth of the requests and after all of them."""
    settled = many // (MANY // SETTLED)
    side_by_side(web.server, asked.kept, lines=CONNECTIONS, number=settled)
    before = web.memory_mb()
    side_by_side(web.server, asked.kept, lines=CONNECTIONS, number=many - settled)
    after = web.memory_mb()
    return [
        Line.count(f"workers' memory after {settled:,} requests", before, "MB"),
        Line.count(f"workers' memory after {many:,} requests", after, "MB"),
        Line.count("growth", after / before, "×", at_most(1.05)),
    ]


def processes(here: Installation, bare_bytes: int) -> list[Line]:
    """One web process against two: answers from memory, and fresh ones within Microsoft's four calls at once."""
    lines: list[Line] = []
    rates: dict[int, float] = {}
    for workers in (1, 2):
        with here.web(workers, bare_bytes) as web:
            asked = Asked.of(web.server)
            answers_agree(web.server, asked)
            side_by_side(web.server, asked.kept, lines=CONNECTIONS, number=500)
            rates[workers] = side_by_side(web.server, asked.kept, lines=CONNECTIONS, number=4_000)
            here.endpoint("/reset")
            fresh = side_by_side(web.server, asked.fresh, lines=CONNECTIONS, number=200)
            seen = here.endpoint("/counts")
        name = f"{workers} web process{'es' if workers > 1 else ''}"
        lines += [
            Line.count(f"{name}: W1 from memory", rates[workers], "a second"),
            Line.count(f"{name}: W1 asked of Graph", fresh, "a second"),
            Line.count(f"{name}: calls of Graph for 200 fresh searches", seen["calls"], "calls", at_most(200)),
            Line.count(f"{name}: most calls at once for the reader", seen["most_at_once"], "calls", at_most(4)),
        ]
    lines.append(Line.count("two web processes, of one", rates[2] / rates[1], "×"))
    return lines


def nothing_asked(here: Installation, work: Callable[[], list[Line]]) -> list[Line]:
    """The lines of `work`, and how often Graph was asked for them."""
    here.endpoint("/reset")
    return [*work(), Line.count("calls of Graph meanwhile", here.endpoint("/counts")["calls"], "calls", at_most(0))]


def _graph_question() -> bytes:
    people = [person(number) for number in range(len(workloads.make("W1")["people"]))]
    return json.dumps({"schedules": people}).encode()


def _time(name: str, seconds: list[float]) -> Line:
    return Line(name, Spread.of(seconds).times(1e3), "ms")


def _ratio(one: list[float], other: list[float]) -> Spread:
    return Spread.of([a / b for a, b in zip(one, other, strict=True)])


def measure(rounds: int, many: int, *, parts: set[str]) -> list[Line]:
    """Everything, one after the other."""
    lines: list[Line] = []
    with installation() as here:
        with here.web(2, 4096) as web:
            size = answers_agree(web.server, Asked.of(web.server))
        with here.web(2, size) as web:
            asked = Asked.of(web.server)
            for warming in (asked.bare, asked.door, asked.kept):
                side_by_side(web.server, warming, lines=CONNECTIONS, number=300)
            if "latency" in parts:
                lines += latencies(here, web.server, asked, rounds)
            if "load" in parts:
                found, rate = throughput(web.server, asked, rounds)
                lines += nothing_asked(here, lambda: found + steadiness(web.server, asked, rate, rounds))
            if "memory" in parts:
                lines += memory(web, asked, many)
        if "processes" in parts:
            lines += processes(here, size)
    return lines


PARTS = ("latency", "load", "memory", "processes")


def main(arguments: list[str] | None = None) -> int:
    parser = options(__doc__, ROUNDS)
    parser.add_argument("--requests", type=int, default=MANY, help="for the memory (%(default)s)")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this; may be given again")
    given: Any = parser.parse_args(arguments)
    machine = this_machine(("django", "djangorestframework", "gunicorn", "psycopg", "redis", "msgspec"))
    lines = measure(given.rounds, given.requests, parts=set(given.part or PARTS))
    return publish(Report("W1 through gunicorn, two workers with eight threads", machine, lines), given.json)


if __name__ == "__main__":
    sys.exit(main())
