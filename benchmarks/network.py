"""400 mailboxes over HTTP: `python -m benchmarks.network [--mailboxes N] [--latency MS] [--rounds N] [--json FILE]`.

The product's own client with its lease, in the embedded store and in Redis, beside simple ways to make the same calls,
against `benchmarks.graph_endpoint` in its own process. Goals are checked at the end; exit status 1 when one is missed.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from benchmarks.machine import this_machine
from benchmarks.measuring import Spread
from benchmarks.report import Line, Report, at_most, options, publish
from tests.services import free_port, redis_server

ROOT = Path(__file__).resolve().parents[1]
CONNECT_MS = 40.0
AT_ONCE, IN_A_CALL = 4, 20
OURS = "our client"
GOALS = {"warm": at_most(1.4), "cold": at_most(1.6)}
START = datetime(2030, 1, 7, tzinfo=UTC)
END = START + timedelta(days=14)
TOKEN = "a" * 2200


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one way: seconds of the runs, seconds of CPU of the client, and what the endpoint saw in a run."""

    name: str
    state: str
    seconds: Spread
    cpu: Spread
    counts: dict[str, float]


class Endpoint:
    """The far end, and what it has seen."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def counts(self) -> dict[str, int]:
        found: dict[str, int] = self._session.get(f"{self.url}/counts", timeout=10).json()
        return found

    def reset(self) -> None:
        self._session.post(f"{self.url}/reset", timeout=10)


@contextmanager
def endpoint(latency: float) -> Iterator[Endpoint]:
    """Started, and answering."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.graph_endpoint", str(port), str(latency), str(CONNECT_MS)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        found = Endpoint(f"http://127.0.0.1:{port}")
        end = time.monotonic() + 30.0
        while True:
            try:
                found.counts()
                break
            except requests.ConnectionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        yield found
    finally:
        process.terminate()
        process.wait(10)


@dataclass(frozen=True, slots=True)
class Course:
    """Where everybody is read, so many times in each way."""

    far: Endpoint
    people: list[str]
    rounds: int

    def measured(self, name: str, state: str, ask: Callable[[], int]) -> Figures:
        """Each run must have read everybody."""
        seconds, cpu = [], []
        self.far.reset()
        for _ in range(self.rounds):
            began, used = time.perf_counter(), time.process_time()
            read = ask()
            seconds.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used)
            if read != len(self.people):
                raise SystemExit(f"{name}: {read} of {len(self.people)} were read")
        seen = self.far.counts()
        counts = {what: number / (1 if what == "most_at_once" else self.rounds) for what, number in seen.items()}
        return Figures(name, state, Spread.of(seconds), Spread.of(cpu), counts)


def ours(name: str, course: Course) -> Iterator[Figures]:
    """`GraphClient` behind `ReaderGate`: connections of its own for each run, and those of the run before."""
    from microsoft.graph import GraphClient, MailboxSchedule
    from microsoft.http import Deadline, build_session
    from microsoft.secret import Secret
    from tenants.places import ReaderGate

    class Tokens:
        def bearer(self, rejected: Secret | None = None) -> Secret:
            return Secret(TOKEN)

    def client() -> GraphClient:
        return GraphClient(course.far.url, build_session(None, 32), gate=ReaderGate("tenant/reader"))

    def ask(graph: GraphClient) -> int:
        report = graph.get_schedule(course.people, START, END, token=Tokens(), deadline=Deadline.after(60.0))
        return sum(isinstance(found, MailboxSchedule) for found in report.results.values())

    kept = client()
    ask(kept)
    yield course.measured(name, "warm", lambda: ask(kept))
    yield course.measured(name, "cold", lambda: ask(client()))


def simple(course: Course) -> Iterator[Figures]:
    """What one would write first. They only fetch the bytes: nothing is decoded, and nobody else's calls are minded."""
    far, people = course.far, course.people
    calls = [people[first : first + IN_A_CALL] for first in range(0, len(people), IN_A_CALL)]
    url = f"{far.url}/me/calendar/getSchedule"
    headers = {"Authorization": f"Bearer {TOKEN}", "Prefer": 'outlook.timezone="UTC"', "Accept-Encoding": "gzip"}

    def body(names: list[str]) -> dict[str, Any]:
        bounds = ((name, {"dateTime": at.strftime("%Y-%m-%dT%H:%M:%S"), "timeZone": "UTC"}) for name, at in
                  (("startTime", START), ("endTime", END)))  # fmt: skip
        return {"schedules": names, **dict(bounds), "availabilityViewInterval": 1440}

    def one(names: list[str], post: Callable[..., requests.Response]) -> int:
        answer = post(url, json=body(names), headers=headers, timeout=60)
        return answer.content.count(b'"scheduleId"')

    def pooled(session: requests.Session) -> int:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return sum(pool.map(lambda names: one(names, session.post), calls))

    def new_session() -> requests.Session:
        session = requests.Session()
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=AT_ONCE))
        return session

    kept = new_session()
    pooled(kept)
    yield course.measured("ThreadPool(4), a Session", "warm", lambda: pooled(kept))
    yield course.measured("ThreadPool(4), a Session", "cold", lambda: pooled(new_session()))
    one_by_one = requests.Session()
    yield course.measured("a Session, one by one", "warm", lambda: sum(one(n, one_by_one.post) for n in calls))
    yield course.measured("requests.post, one by one", "cold", lambda: sum(one(n, requests.post) for n in calls))


def measure(mailboxes: int, latency: float, rounds: int) -> list[Figures]:
    """All ways, one after the other, on this machine."""
    people = [f"person{number:05}@tenant.example" for number in range(mailboxes)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _set_up(folder)
        from django.test.utils import override_settings

        course = Course(stack.enter_context(endpoint(latency)), people, rounds)
        stores = {"embedded": "", "Redis": stack.enter_context(redis_server())}
        found: list[Figures] = []
        for store, url in stores.items():
            with override_settings(REDIS_URL=url, COORDINATION_FILE=folder / "coordination.sqlite3"):
                found += ours(f"{OURS}, lease: {store}", course)
        return [*found, *simple(course)]


def _set_up(folder: Path) -> None:
    import django

    os.environ.update(DATABASE_URL=f"sqlite:///{folder}/cadence.sqlite3", REDIS_URL="")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cadence_exchange.settings")
    django.setup()


def ideal(mailboxes: int, latency: float) -> float:
    """Seconds of as many rounds of four calls as are needed, and nothing else."""
    return math.ceil(math.ceil(mailboxes / IN_A_CALL) / AT_ONCE) * latency / 1000


def lines(found: Figures, mailboxes: int, latency: float) -> Iterator[Line]:
    """One way: times the ideal, and what the endpoint saw; only our client has goals."""
    name, counts = f"{found.name}, {found.state}", found.counts
    mine = found.name.startswith(OURS)
    note = f"{found.seconds.median * 1000:.0f} ms, CPU {found.cpu.median * 1000:.0f} ms"
    if not mine:
        note += f", {counts['calls']:g} calls, {counts['connections']:g} connections, {counts['refused']:g} refused"
    goal = GOALS[found.state] if mine else None
    yield Line(f"{name} / ideal", found.seconds.times(1 / ideal(mailboxes, latency)), "×", goal, note)
    if mine:
        yield Line.count(f"{name}, calls", counts["calls"], goal=at_most(math.ceil(mailboxes / IN_A_CALL)))
        yield Line.count(f"{name}, most at once", counts["most_at_once"], goal=at_most(AT_ONCE))
        yield Line.count(f"{name}, connections", counts["connections"], "", at_most(AT_ONCE))
        yield Line.count(f"{name}, refused with 429", counts["refused"], goal=at_most(0))


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--mailboxes", type=int, default=400)
    parser.add_argument("--latency", type=float, default=50.0, help="milliseconds")
    given = parser.parse_args()
    machine = this_machine(["requests", "urllib3", "msgspec", "redis"])
    figures = measure(given.mailboxes, given.latency, given.rounds)
    best = f"ideal: {ideal(given.mailboxes, given.latency) * 1000:.0f} ms"
    waits = f"{given.latency:.0f} ms a call and {CONNECT_MS:.0f} ms more for a connection's first"
    title = f"{given.mailboxes} mailboxes over HTTP, {waits}; {best}"
    found = [line for way in figures for line in lines(way, given.mailboxes, given.latency)]
    return publish(Report(title, machine, found), given.json)


if __name__ == "__main__":
    sys.exit(main())
