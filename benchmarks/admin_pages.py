"""Cadence Admin in a large installation: `python -m benchmarks.admin_pages [--accounts N] [--json FILE]`.

10,000 accounts with 90 days of checks on throwaway PostgreSQL with Redis. Each page is asked for through Django itself,
in turns with an empty list of the admin, and compared with it: so the machine's speed cancels out. Goals are checked at
the end; exit status 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from tests.services import postgres, redis_server

ROOT = Path(__file__).resolve().parents[1]
EMPTY = "/admin/alerts/mail/"
PAGES = {
    "landing page": "/admin/",
    "its refresh": "/admin/status.json",
    "account list": "/admin/tenants/account/",
    "account list, last page": "/admin/tenants/account/?p=last",
    "account list, filtered": "/admin/tenants/account/?state=enabled&health=down",
}
GOAL = 3.0  # times an empty list, of landing page and account list
JUDGED = ("landing page", "account list")
ROUNDS, ASKED = 5, 10  # the median of so many rounds, each the mean of so many requests
DAYS, HOURS = 90, 48  # as long as sums are looked at, or kept
RAW = 100  # single checks of a connection: none of the pages may read them
SHARES = {  # of a thousand accounts
    "enabled healthy": 900, "enabled degraded": 20, "enabled down": 20, "enabled unknown": 20,
    "needs_consent unknown": 20, "disabled unknown": 10, "none": 10,
}  # fmt: skip


def measure(accounts: int) -> dict[str, Any]:
    """In a process of its own, with the environment of the throwaway services."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cadence_exchange.settings")
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection as database
    from django.test import Client
    from django.test.utils import CaptureQueriesContext, setup_test_environment

    setup_test_environment()
    call_command("migrate", verbosity=0)
    fill(accounts)
    browser = Client()
    browser.force_login(User.objects.create_superuser("root"))
    pages = {name: url.replace("p=last", f"p={accounts // 50}") for name, url in PAGES.items()}

    def ask(url: str) -> None:
        assert browser.get(url).status_code == 200, url

    def seconds(url: str) -> float:
        began = time.perf_counter()
        for _ in range(ASKED):
            ask(url)
        return (time.perf_counter() - began) / ASKED

    queries = {}
    for name, url in {"empty list": EMPTY, **pages}.items():
        ask(url)  # templates are compiled, content types and permissions read from here on
        with CaptureQueriesContext(database) as found:
            ask(url)
        queries[name] = len(found)
    rounds = [{name: seconds(url) for name, url in {"empty list": EMPTY, **pages}.items()} for _ in range(ROUNDS)]
    return {
        "accounts": accounts,
        "queries": queries,
        "milliseconds": {
            name: statistics.median(one[name] for one in rounds) * 1000 for name in ("empty list", *pages)
        },
        "times_an_empty_list": {
            name: statistics.median(one[name] / one["empty list"] for one in rounds) for name in pages
        },
    }


def fill(number: int) -> None:
    """Accounts as SHARES has them, with their sums of checks and some of the single ones."""
    from django.db import connection as database
    from django.utils import timezone

    from tenants.models import Account, Connection

    now = timezone.now()
    kinds = [kind for kind, share in SHARES.items() for _ in range(share)]
    accounts = Account.objects.bulk_create(
        [
            Account(slug=f"tenant-{n:05}", name=f"Tenant {n}", domains=[f"tenant-{n}.example"], time_zone="UTC")
            for n in range(number)
        ],
        batch_size=500,
    )
    rows = []
    for index, account in enumerate(accounts):
        # A stride that shares no factor with a thousand: each page of the list holds all kinds.
        state, _, health = kinds[index * 7 % len(kinds)].partition(" ")
        if state == "none":
            continue
        lost = state != "enabled"
        bad = lost or health in ("down", "degraded")
        rows.append(
            Connection(
                account=account,
                state=state,
                mode="service_account",
                health="healthy" if health == "unknown" else health,
                health_since=now - timedelta(hours=index % 500),
                tenant_id=f"00000000-0000-4000-8000-{index:012d}",
                reader=f"reader@{account.slug}.example",
                connected_at=now - timedelta(days=DAYS),
                last_used_at=now,
                last_check_at=now - (timedelta(days=1) if health == "unknown" else timedelta(minutes=index % 15)),
                last_check_outcome="unreachable" if bad else "ok",
                last_check_code="ErrorAccessDenied" if bad else "",
                reason_code="AADSTS50173" if lost else "",
                probe_due_at=now + timedelta(minutes=index % 15 + 1),
            )
        )
    Connection.objects.bulk_create(rows, batch_size=500)
    sums = "ok, suspicious, throttled, refused, unreachable, latency_count, latency_sum_ms, latency_max_ms"
    with database.cursor() as cursor:
        for period, count in (("day", DAYS), ("hour", HOURS)):
            starts = (
                f"generate_series(0, {count - 1}) AS n, "
                f"LATERAL (SELECT date_trunc('{period}', now()) - n * interval '1 {period}' AS start) AS at"
            )
            one = f"'{period}', start, 90, 1, 1, 1, 3, 95, 5000, 900"
            cursor.execute(
                f"INSERT INTO tenants_connectionchecks (connection_id, period, start, {sums}) "  # noqa: S608 - constants
                f"SELECT c.id, {one} FROM tenants_connection c, {starts}"
            )
            cursor.execute(f"INSERT INTO tenants_allchecks (period, start, {sums}) SELECT {one} FROM {starts}")  # noqa: S608
        cursor.execute(
            "INSERT INTO tenants_healthcheck (connection_id, at, outcome, latency_ms, code, microsoft_request_id) "
            "SELECT c.id, now() - n * interval '2 hours', 'ok', 50, '', '' "
            "FROM tenants_connection c, generate_series(1, %s) AS n",
            [RAW],
        )
        cursor.execute("ANALYZE")


def missed(result: dict[str, Any]) -> list[str]:
    """The goals that a result does not reach, in words."""
    times = result["times_an_empty_list"]
    return [f"{name}: {times[name]:.2f} times an empty list, not {GOAL:g}" for name in JUDGED if times[name] > GOAL]


def show(result: dict[str, Any]) -> None:
    """For people."""
    print(f"{result['accounts']:,} accounts, {DAYS} days of checks, PostgreSQL; median of {ROUNDS} rounds:")
    for name, milliseconds in result["milliseconds"].items():
        times = result["times_an_empty_list"].get(name)
        compared = f"{times:6.2f} × an empty list" if times else ""
        print(f"  {name:26s} {milliseconds:7.1f} ms {result['queries'][name]:4d} queries {compared}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.accounts)))
        return 0
    with postgres() as database_url, redis_server() as redis_url, tempfile.TemporaryDirectory() as home:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "DJANGO_SECRET_KEY": Fernet.generate_key().decode(),
            "FERNET_KEYS": Fernet.generate_key().decode(),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "LOG_LEVEL": "ERROR",
        }
        command = [sys.executable, "-m", "benchmarks.admin_pages", "--measure", "--accounts", str(given.accounts)]
        done = subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    result = json.loads(done.stdout.splitlines()[-1])
    show(result)
    if given.json:
        machine = {"python": platform.python_version(), "machine": platform.platform(), "cores": os.cpu_count()}
        given.json.write_text(json.dumps({"machine": machine, **result}, indent=2) + "\n")
    failures = missed(result)
    print("\n".join(f"missed: {failure}" for failure in failures) or "All goals reached.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
