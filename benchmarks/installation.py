"""Connections in a throwaway database, and the two sweeps over them, for one process of the sweep benchmark.

    python -m benchmarks.installation fill 10000            # migrates, fills
    python -m benchmarks.installation refresh [--split]     # waits for a line on standard input, then sweeps
    python -m benchmarks.installation probe [--split]

DATABASE_URL and the other variables come from `benchmarks.sweep`; each prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import django
from django.core.management import call_command

from benchmarks.token_endpoint import ORIGIN

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cadence_exchange.settings")
django.setup()

import requests  # noqa: E402
from cryptography.fernet import MultiFernet  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection as database  # noqa: E402
from django.utils import timezone  # noqa: E402
from msal import ConfidentialClientApplication  # noqa: E402
from requests.adapters import HTTPAdapter  # noqa: E402

from freebusy import probes  # noqa: E402
from microsoft import entra_door, graph_crew  # noqa: E402
from microsoft.secret import Secret  # noqa: E402
from tenants import microsoft365, refreshing  # noqa: E402
from tenants.lifecycle import State  # noqa: E402
from tenants.models import Account, Connection, TokenRecord  # noqa: E402

PAGE = 500


def fill(number: int) -> None:
    """That many enabled connections in use, of as many tenants, with tokens of the size that Entra sends."""
    call_command("migrate", verbosity=0)
    now = timezone.now()
    for start in range(0, number, PAGE):
        names = [f"tenant-{index}" for index in range(start, min(start + PAGE, number))]
        accounts = Account.objects.bulk_create(
            Account(slug=name, name=name, domains=[f"{name}.example"], time_zone="UTC") for name in names
        )
        connections = Connection.objects.bulk_create(
            Connection(
                account=account,
                state=State.ENABLED.value,
                tenant_id=f"00000000-0000-4000-8000-{start + index:012d}",
                reader_oid=f"00000000-0000-4000-9000-{start + index:012d}",
                reader=f"reader@{account.slug}.example",
                connected_at=now,
                last_used_at=now,
                probe_due_at=now,
            )
            for index, account in enumerate(accounts)
        )
        TokenRecord.objects.bulk_create(
            TokenRecord(
                connection=connection,
                refresh_token=Secret("r" * 1400),
                access_token=Secret("a" * 2200),
                access_expires_at=now + timedelta(hours=1),
                refreshed_at=now,
                refresh_due_at=now,
            )
            for connection in connections
        )


def make_due() -> None:
    """All of them, as after an outage; the access tokens have an hour left."""
    now = timezone.now()
    TokenRecord.objects.update(refresh_due_at=now, access_expires_at=now + timedelta(hours=1))
    Connection.objects.update(probe_due_at=now)


class _Loopback(HTTPAdapter):
    """MSAL insists on https; the endpoint speaks plain HTTP, so that no TLS of this machine's own is measured."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.url = (request.url or "").replace(ORIGIN, os.environ["BENCHMARK_ENDPOINT"])
        return super().send(request, *args, **kwargs)


def run(work: str, *, split: bool) -> dict[str, Any]:
    """One sweep of this process, when the line comes that starts it."""
    entra = microsoft365.entra_for(Account(cloud="global"))
    entra._door._session.mount(ORIGIN, _Loopback(pool_maxsize=settings.SWEEP_WIDTH))
    sweep: Callable[[], Any] = refreshing.refresh_due if work == "refresh" else probes.probe_due
    database.ensure_connection()
    pages: list[int] = []

    def noting(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if many and "UPDATE" in sql:
            pages.append(len(params))
        return execute(sql, params, many, context)

    before = _peak_kilobytes()
    print("ready", flush=True)
    sys.stdin.readline()
    cpu, began = time.process_time(), time.monotonic()
    with database.execute_wrapper(noting), _splitting(work) if split else _whole() as parts:
        done = sweep()
    return {
        "began": began,  # on the machine's monotonic clock, which all processes share
        "ended": time.monotonic(),
        "cpu_seconds": time.process_time() - cpu,
        "done": done.refreshed if work == "refresh" else done,
        "other": {k: v for k, v in done.as_json().items() if k != "refreshed"} if work == "refresh" else {},
        "transactions": len(pages),
        "rows": sum(pages),
        "memory_grown_kb": _peak_kilobytes() - before,
        "parts": dict(parts),
    }


def _peak_kilobytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def _whole() -> Iterator[dict[str, float]]:
    yield {}


@contextmanager
def _splitting(work: str) -> Iterator[dict[str, float]]:
    """CPU seconds by part, each without the parts inside it; the clocks themselves cost some 2 µs a call."""
    spent: defaultdict[str, float] = defaultdict(float)
    inner: defaultdict[int, list[float]] = defaultdict(list)

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **kwargs: Any) -> Any:
            stack = inner[threading.get_ident()]
            stack.append(0.0)
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                whole = time.thread_time() - began
                spent[part] += whole - stack.pop()
                if stack:
                    stack[-1] += whole

        return measured

    targets: list[tuple[str, Any, str]] = [
        ("decrypt", MultiFernet, "decrypt"),
        ("encrypt", MultiFernet, "encrypt"),
        ("msal", ConfidentialClientApplication, "acquire_token_by_refresh_token"),
        ("http", HTTPAdapter, "send"),
        ("claim", refreshing, "_claim") if work == "refresh" else ("claim", probes._Probes, "_claim"),
        ("write", refreshing._Run, "write") if work == "refresh" else ("write", probes._Probes, "_write"),
        ("breakers, times and errors", refreshing._Run, "ask") if work == "refresh" else ("look", probes, "look"),
    ]
    door = entra_door if work == "refresh" else graph_crew
    targets.append(("http", door, "exchange"))
    patches = [mock.patch.object(owner, name, timed(part, getattr(owner, name))) for part, owner, name in targets]
    for patch in patches:
        patch.start()
    began = time.process_time()
    try:
        yield spent
    finally:
        spent["loop, threads, the rest"] = time.process_time() - began - sum(spent.values())
        for patch in patches:
            patch.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=["fill", "due", "refresh", "probe"])
    parser.add_argument("number", type=int, nargs="?", default=0)
    parser.add_argument("--split", action="store_true")
    given = parser.parse_args()
    if given.step == "fill":
        fill(given.number)
    elif given.step == "due":
        make_due()
    else:
        print(json.dumps(run(given.step, split=given.split)), flush=True)


if __name__ == "__main__":
    main()
