"""Counting: cheap, declared, and the same sum whoever counts, in whichever process, over either store."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from microsoft import watching
from tenants import measuring
from tenants.coordination import coordinator
from tenants.metrics import METRICS, Kind, UndeclaredMetric
from tests.services import redis_server

ROOT = Path(__file__).resolve().parents[2]
PROBES = ("probes", ("ok",), "")


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A throwaway Redis or Valkey."""
    with redis_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "redis"])
def _store(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.REDIS_URL = request.getfixturevalue("redis_url") if request.param == "redis" else ""
    settings.REDIS_NAMESPACE = f"test-{uuid4()}"


@pytest.mark.usefixtures("_store")
def test_what_many_threads_count_is_summed() -> None:
    def work() -> None:
        for _ in range(500):
            measuring.count("probes", outcome="ok")
            measuring.flush() if threading.get_ident() % 7 == 0 else None

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert measuring.totals() == {PROBES: 4000.0}


@pytest.mark.usefixtures("_store")
def test_a_fork_counts_what_was_pending_once_and_what_it_counts_itself_too() -> None:
    """As a prefork server does it: the parent counted and used the store before it forked."""
    measuring.count("probes", by=10, outcome="ok")
    measuring.flush()
    measuring.count("probes", by=100, outcome="ok")
    children = [multiprocessing.get_context("fork").Process(target=_child) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert measuring.totals() == {PROBES: 113.0}


def _child() -> None:
    measuring.count("probes", outcome="ok")
    measuring.flush()
    os._exit(0)  # as members of a pool do, past all exit handlers


COUNT = """
import django
django.setup()
from tenants import measuring
measuring.count("probes", by=float(__import__("sys").argv[1]), outcome="ok")
"""


def test_a_process_that_ends_adds_what_it_counted(settings: Any, tmp_path: Path) -> None:
    settings.REDIS_URL = ""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "cadence_exchange.settings",
        "DATABASE_URL": f"sqlite:///{tmp_path}/data.sqlite3",
        "REDIS_URL": "",
    }
    for number in ("3", "4"):
        subprocess.run([sys.executable, "-c", COUNT, number], cwd=ROOT, env=environment, check=True)
    assert Path(settings.COORDINATION_FILE).parent == tmp_path
    assert measuring.totals() == {PROBES: 7.0}


def test_while_the_store_is_away_counts_wait_for_it(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REDIS_URL = ""
    measuring.count("probes", outcome="ok")
    with monkeypatch.context() as patch:
        patch.setattr(type(coordinator()), "add", _away)
        measuring.flush()
    measuring.count("probes", outcome="ok")
    assert measuring.totals() == {PROBES: 2.0}


def _away(*_: Any) -> None:
    raise sqlite3.OperationalError("disk I/O error")


def test_what_is_counted_is_added_without_being_asked(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REDIS_URL = ""
    added = threading.Event()
    monkeypatch.setattr(measuring, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(measuring, "flush", added.set)
    measuring.count("probes", outcome="ok")
    assert added.wait(30)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: measuring.count("nobody_declared_this"),
        lambda: measuring.count("probes"),
        lambda: measuring.count("probes", result="ok"),
        lambda: measuring.count("probes", outcome="ok", account="contoso"),
        lambda: measuring.count("probe_seconds"),
        lambda: measuring.observe("probes", 1.0, outcome="ok"),
        lambda: measuring.count("connections", state="enabled", health="healthy"),
    ],
)
def test_what_the_table_does_not_have_cannot_be_counted(wrong: Any) -> None:
    with pytest.raises(UndeclaredMetric):
        wrong()
    assert measuring.totals() == {}


def test_sums_of_another_version_are_left_out() -> None:
    sums = {'["probes",["ok","contoso"],""]': 1.0, '["gone",[],""]': 1.0, "not json": 1.0, '["probes",["ok"],""]': 5.0}
    coordinator().add(measuring.NAME, sums)
    assert measuring.totals() == {PROBES: 5.0}


@pytest.mark.parametrize(("seconds", "edge"), [(0.0, "0.005"), (0.005, "0.005"), (0.0051, "0.01"), (20.1, "+Inf")])
def test_a_duration_falls_into_the_first_bucket_that_holds_it(seconds: float, edge: str) -> None:
    measuring.observe("probe_seconds", seconds)
    assert measuring.totals() == {
        ("probe_seconds", (), edge): 1.0,
        ("probe_seconds", (), "sum"): pytest.approx(seconds),
    }


def test_names_and_labels_follow_the_rules_of_prometheus() -> None:
    for name, metric in METRICS.items():
        assert name == metric.name
        assert metric.help.endswith(".")
        assert name.replace("_", "").isalnum()
        assert not name.endswith(("_total", "_count", "_bucket", "_sum"))
        assert (metric.kind is Kind.HISTOGRAM) <= name.endswith("_seconds")
        assert not {"le", "account", "tenant", "email", "mailbox", "request", "path"} & set(metric.labels)


def test_a_watcher_is_told_once_of_each_exchange_however_often_it_was_registered() -> None:
    heard: list[watching.Event] = []
    watchers = list(watching._watchers)
    try:
        watching.watch(heard.append)
        watching.watch(heard.append)
        watching.tell(watching.DetailsSent())
    finally:
        watching._watchers[:] = watchers
    assert heard == [watching.DetailsSent()]
