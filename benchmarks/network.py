"""400 mailboxes over HTTP: `python -m benchmarks.network [--mailboxes N] [--latency MS] [--json FILE]`.

The product's own client with its lease, in the embedded store and in Redis, beside simple ways to make the same calls,
against `benchmarks.graph_endpoint` in its own process. Goals are checked at the end; exit status 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
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

from tests.services import free_port, redis_server

ROOT = Path(__file__).resolve().parents[1]
CONNECT_MS = 40.0
RUNS = 5
AT_ONCE, IN_A_CALL = 4, 20
GOALS = {"warm": 1.4, "cold": 1.6}
START = datetime(2030, 1, 7, tzinfo=UTC)
END = START + timedelta(days=14)
TOKEN = "a" * 2200


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one way: seconds of each run, seconds of CPU of the client, and what the endpoint saw in a run."""

    name: str
    state: str
    seconds: list[float]
    cpu: list[float]
    counts: dict[str, float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


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


def measured(name: str, state: str, far: Endpoint, ask: Callable[[], int], wanted: int) -> Figures:
    """Five runs of one way; each must have read everybody."""
    seconds, cpu = [], []
    far.reset()
    for _ in range(RUNS):
        began, used = time.perf_counter(), time.process_time()
        read = ask()
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
        if read != wanted:
            raise SystemExit(f"{name}: {read} of {wanted} were read")
    counts = {what: number / RUNS if what != "most_at_once" else number for what, number in far.counts().items()}
    return Figures(name, state, seconds, cpu, counts)


def ours(name: str, far: Endpoint, people: list[str]) -> Iterator[Figures]:
    """`GraphClient` behind `ReaderGate`: connections of its own for each run, and those of the run before."""
    from microsoft.graph import GraphClient, MailboxSchedule
    from microsoft.http import Deadline, build_session
    from microsoft.secret import Secret
    from tenants.places import ReaderGate

    class Tokens:
        def bearer(self, rejected: Secret | None = None) -> Secret:
            return Secret(TOKEN)

    def client() -> GraphClient:
        return GraphClient(far.url, build_session(None, 32), gate=ReaderGate("tenant/reader"))

    def ask(graph: GraphClient) -> int:
        report = graph.get_schedule(people, START, END, token=Tokens(), deadline=Deadline.after(60.0))
        return sum(isinstance(found, MailboxSchedule) for found in report.results.values())

    kept = client()
    ask(kept)
    yield measured(name, "warm", far, lambda: ask(kept), len(people))
    yield measured(name, "cold", far, lambda: ask(client()), len(people))


def simple(far: Endpoint, people: list[str]) -> Iterator[Figures]:
    """What one would write first. They only fetch the bytes: nothing is decoded, and nobody else's calls are minded."""
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
    yield measured("ThreadPool(4), a Session", "warm", far, lambda: pooled(kept), len(people))
    yield measured("ThreadPool(4), a Session", "cold", far, lambda: pooled(new_session()), len(people))
    one_by_one = requests.Session()
    yield measured(
        "a Session, one by one", "warm", far, lambda: sum(one(names, one_by_one.post) for names in calls), len(people)
    )
    yield measured(
        "requests.post, one by one", "cold", far, lambda: sum(one(n, requests.post) for n in calls), len(people)
    )


def measure(mailboxes: int, latency: float) -> list[Figures]:
    """All ways, one after the other, on this machine."""
    people = [f"person{number:05}@tenant.example" for number in range(mailboxes)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _set_up(folder)
        from django.test.utils import override_settings

        far = stack.enter_context(endpoint(latency))
        stores = {"embedded": "", "Redis": stack.enter_context(redis_server())}
        found: list[Figures] = []
        for store, url in stores.items():
            with override_settings(REDIS_URL=url, COORDINATION_FILE=folder / "coordination.sqlite3"):
                found += ours(f"our client, lease: {store}", far, people)
        return [*found, *simple(far, people)]


def _set_up(folder: Path) -> None:
    import django

    os.environ.update(DATABASE_URL=f"sqlite:///{folder}/cadence.sqlite3", REDIS_URL="")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cadence_exchange.settings")
    django.setup()


def ideal(mailboxes: int, latency: float) -> float:
    """Seconds of as many rounds of four calls as are needed, and nothing else."""
    return math.ceil(math.ceil(mailboxes / IN_A_CALL) / AT_ONCE) * latency / 1000


def missed(figures: list[Figures], mailboxes: int, latency: float) -> list[str]:
    """Which goals our client did not reach."""
    failures = []
    for found in figures:
        if not found.name.startswith("our client"):
            continue
        ratio = found.median / ideal(mailboxes, latency)
        goals = {
            f"{ratio:.2f} × ideal, at most {GOALS[found.state]}": ratio <= GOALS[found.state],
            "exact number of calls": found.counts["calls"] == math.ceil(mailboxes / IN_A_CALL),
            "no 429": found.counts["refused"] == 0,
            "four at a time": found.counts["most_at_once"] <= AT_ONCE,
            "four connections": found.counts["connections"] <= AT_ONCE,
        }
        failures += [f"{found.name}, {found.state}: {goal}" for goal, reached in goals.items() if not reached]
    return failures


def show(figures: list[Figures], mailboxes: int, latency: float) -> None:
    """The table for people."""
    best = ideal(mailboxes, latency)
    print(f"{mailboxes} mailboxes, {latency:.0f} ms a call, {CONNECT_MS:.0f} ms more for a connection's first:")
    print(f"ideal {best * 1000:.0f} ms; medians of {RUNS}")
    print(
        f"{'':34s} {'':5s} {'ms':>7s} {'spread':>11s} {'× ideal':>8s} {'CPU ms':>7s} "
        f"{'calls':>6s} {'conns':>6s} {'429':>4s}"
    )
    for found in figures:
        spread = f"{min(found.seconds) * 1000:.0f}-{max(found.seconds) * 1000:.0f}"
        print(
            f"{found.name:34s} {found.state:5s} {found.median * 1000:7.0f} {spread:>11s} {found.median / best:8.2f} "
            f"{statistics.median(found.cpu) * 1000:7.0f} {found.counts['calls']:6g} {found.counts['connections']:6g} "
            f"{found.counts['refused']:4g}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mailboxes", type=int, default=400)
    parser.add_argument("--latency", type=float, default=50.0, help="milliseconds")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args()
    figures = measure(given.mailboxes, given.latency)
    show(figures, given.mailboxes, given.latency)
    if given.json:
        machine = {"python": platform.python_version(), "machine": platform.platform(), "cores": os.cpu_count()}
        best = ideal(given.mailboxes, given.latency)
        rows = [
            {
                "way": found.name, "state": found.state, "seconds": found.seconds, "median": found.median,
                "times_ideal": found.median / best, "cpu_seconds": statistics.median(found.cpu), **found.counts,
            }
            for found in figures
        ]  # fmt: skip
        document = {"machine": machine, "mailboxes": given.mailboxes, "ideal_seconds": best, "ways": rows}
        given.json.write_text(json.dumps(document, indent=2) + "\n")
    failures = missed(figures, given.mailboxes, given.latency)
    print("\n" + ("\n".join(f"missed: {failure}" for failure in failures) or "All goals reached."))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
