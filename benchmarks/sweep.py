"""Sweeps of many connections against a slow endpoint: `python -m benchmarks.sweep [--number N] [--json FILE]`.

The product's own `refresh_due` and `probe_due`, on throwaway SQLite and PostgreSQL with Redis, against
`benchmarks.token_endpoint` in its own process. Goals are checked at the end; exit status 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from cryptography.fernet import Fernet

from benchmarks.token_endpoint import ORIGIN
from tests.services import free_port, postgres, redis_server

ROOT = Path(__file__).resolve().parents[1]
LATENCY = 0.020
FEWER = 5  # memory is compared with a run of a fifth
GOALS = {"refresh": 15.0, "probe": 15.0}  # times faster than one after the other, in one process
TWO_PROCESSES = 1.5
CALLS = {"refresh": "token", "probe": "schedule"}


@dataclass(frozen=True, slots=True)
class Bench:
    """One database with one endpoint."""

    name: str
    endpoint: str
    environment: dict[str, str]

    def step(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "benchmarks.installation", *arguments]
        subprocess.run(command, env=self.environment, cwd=ROOT, check=True)

    def sweep(self, work: str, *, processes: int = 1, split: bool = False) -> dict[str, Any]:
        """All of it once, by so many processes that begin together; their figures added up."""
        self.step("due")
        self._ask("/reset")
        command = [sys.executable, "-m", "benchmarks.installation", work, *(["--split"] if split else [])]
        running = [
            subprocess.Popen(command, env=self.environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(processes)
        ]
        for process in running:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise SystemExit(f"{work} did not start")
        for process in running:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        results = [json.loads(process.communicate()[0]) for process in running]
        seconds = max(result["ended"] for result in results) - min(result["began"] for result in results)
        return {
            **results[0],
            "seconds": seconds,
            "done": sum(result["done"] for result in results),
            "cpu_seconds": sum(result["cpu_seconds"] for result in results),
            "transactions": sum(result["transactions"] for result in results),
            "rows": sum(result["rows"] for result in results),
            "calls": self._ask("/counts"),
        }

    def _ask(self, path: str) -> dict[str, int]:
        with requests.Session() as session:
            session.trust_env = False
            return dict(session.get(self.endpoint + path, timeout=10).json())


@contextmanager
def endpoint() -> Iterator[str]:
    """The cheap Microsoft in its own process."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.token_endpoint", str(port), str(LATENCY * 1000)]
    with subprocess.Popen(command, cwd=ROOT) as server:
        url = f"http://127.0.0.1:{port}"
        end = time.monotonic() + 30
        while True:
            try:
                requests.get(url + "/counts", timeout=1, proxies={"http": ""})
                break
            except requests.ConnectionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        try:
            yield url
        finally:
            server.terminate()


@contextmanager
def bench(kind: str) -> Iterator[Bench]:
    """`sqlite`, or `postgresql` with Redis, as an installation has them."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url = stack.enter_context(endpoint())
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "DJANGO_SECRET_KEY": Fernet.generate_key().decode(),
            "FERNET_KEYS": Fernet.generate_key().decode(),
            "MICROSOFT_CLIENT_ID": "c" * 36,
            "MICROSOFT_CLIENT_SECRET": "s" * 40,
            "MICROSOFT_AUTHORITY_URL": ORIGIN,
            "MICROSOFT_GRAPH_URL": f"{url}/v1.0",
            "BENCHMARK_ENDPOINT": url,
            "LOG_LEVEL": "WARNING",
            "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
        }
        if kind == "postgresql":
            environment["DATABASE_URL"] = stack.enter_context(postgres())
            environment["REDIS_URL"] = stack.enter_context(redis_server())
        yield Bench(kind, url, environment)


def measure(kind: str, work: str, number: int) -> dict[str, Any]:
    """One database, one kind of sweep: alone, split by part, by two processes, and with fewer rows for the memory."""
    with bench(kind) as few:
        few.step("fill", str(number // FEWER))
        fewer = few.sweep(work)
    with bench(kind) as all_of_them:
        all_of_them.step("fill", str(number))
        one = all_of_them.sweep(work)
        split = all_of_them.sweep(work, split=True)
        two = all_of_them.sweep(work, processes=2)
    ideal = number * LATENCY
    calls = CALLS[work]
    return {
        "database": kind,
        "work": work,
        "connections": number,
        "done": [one["done"], two["done"]],
        "seconds": one["seconds"],
        "faster_than_one_by_one": ideal / one["seconds"],
        "seconds_of_two_processes": two["seconds"],
        "two_processes_faster": one["seconds"] / two["seconds"],
        "cpu_us_per_connection": one["cpu_seconds"] / number * 1e6,
        "cpu_us_by_part": {part: seconds / number * 1e6 for part, seconds in split["parts"].items()},
        "calls_per_connection": [one["calls"].get(calls, 0) / number, two["calls"].get(calls, 0) / number],
        "discovery_calls": [one["calls"].get("discovery", 0), two["calls"].get("discovery", 0)],
        "rows_per_transaction": one["rows"] / max(one["transactions"], 1),
        "memory_grown_mb": {number // FEWER: fewer["memory_grown_kb"] / 1024, number: one["memory_grown_kb"] / 1024},
    }


def missed(result: dict[str, Any]) -> list[str]:
    """The goals that a result does not reach, in words."""
    number = result["connections"]
    few, many = result["memory_grown_mb"].values()
    checks = {
        f"{GOALS[result['work']]:.0f} times faster than one by one": result["faster_than_one_by_one"]
        >= GOALS[result["work"]],
        f"two processes {TWO_PROCESSES} times as fast": result["two_processes_faster"] >= TWO_PROCESSES,
        "every connection done": result["done"] == [number, number],
        "one call a connection": result["calls_per_connection"] == [1.0, 1.0],
        "at most one discovery a process": all(
            calls <= number for calls, number in zip(result["discovery_calls"], (1, 2), strict=True)
        ),
        "memory flat": many <= few * 1.5 + 10,
    }
    return [f"{result['database']}, {result['work']}: {goal}" for goal, reached in checks.items() if not reached]


def show(result: dict[str, Any]) -> None:
    """One result for people."""
    print(f"\n{result['database']}, {result['work']} of {result['connections']:,}, {LATENCY * 1000:.0f} ms a call:")
    rows: list[tuple[str, str]] = [
        ("one process", f"{result['seconds']:.2f} s, {result['faster_than_one_by_one']:.1f} × one by one"),
        ("two processes", f"{result['seconds_of_two_processes']:.2f} s, {result['two_processes_faster']:.2f} × one"),
        ("CPU of a connection", f"{result['cpu_us_per_connection']:.0f} µs"),
        *((f"  {part}", f"{us:.0f} µs") for part, us in result["cpu_us_by_part"].items()),
        ("calls of a connection", " / ".join(f"{calls:g}" for calls in result["calls_per_connection"])),
        ("discovery calls", " / ".join(map(str, result["discovery_calls"]))),
        ("rows in a transaction", f"{result['rows_per_transaction']:.0f}"),
        ("memory grown", ", ".join(f"{number:,}: {mb:.1f} MB" for number, mb in result["memory_grown_mb"].items())),
    ]
    for name, value in rows:
        print(f"  {name:32s} {value}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--work", choices=list(CALLS), action="append")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args()
    results = []
    for kind in given.database or ["sqlite", "postgresql"]:
        for work in given.work or list(CALLS):
            results.append(measure(kind, work, given.number))
            show(results[-1])
    if given.json:
        machine = {"python": platform.python_version(), "machine": platform.platform(), "cores": os.cpu_count()}
        given.json.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")
    failures = [failure for result in results for failure in missed(result)]
    print("\n" + ("\n".join(f"missed: {failure}" for failure in failures) or "All goals reached."))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
