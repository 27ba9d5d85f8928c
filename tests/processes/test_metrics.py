"""/metrics of real processes: web processes and a forking worker make one sum; a dropped key is said at a start."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from prometheus_client.parser import text_string_to_metric_families

from tenants.fields import key_id
from tests.processes.installation import Installation, http, wait_until

TOKEN = "metrics-token-of-the-tests"


def metrics(installation: Installation) -> dict[str, float]:
    """Every line by its name and its labels' values, in the labels' order: `cadence_connections healthy enabled`."""
    answer = http().get(f"{installation.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {" ".join([s.name, *s.labels.values()]): s.value for family in families for s in family.samples}


def readyz(installation: Installation) -> dict[str, dict[str, Any]]:
    answer = http().get(f"{installation.url}/readyz", timeout=30)
    return {line["part"]: line for line in map(json.loads, answer.text.splitlines())}


def start_forking_worker(installation: Installation) -> None:
    celery = str(Path(sys.executable).parent / "celery")
    installation.spawn("worker", celery, "-A", "cadence_exchange", "worker", "-B", "--pool", "prefork", "-c", "2")


def test_web_processes_and_a_forking_worker_count_into_one_sum(installation: Installation) -> None:
    installation.services |= {"METRICS_TOKEN": TOKEN, "TICK_SECONDS": "5"}
    installation.start_web(workers=2)
    start_forking_worker(installation)
    key = installation.connect()
    for _ in range(30):
        assert http().get(f"{installation.url}/", timeout=30).ok
    assert installation.ask(key).ok
    installation.expire_tokens()
    wait_until("both signs of life", lambda: all(part["ok"] for part in readyz(installation).values()))
    wait_until("the refresh", lambda: metrics(installation).get("cadence_token_refreshes_total refreshed"))
    # The answer that shows it is counted by its process within seconds, and the sum stays there.
    wait_until("the pages", lambda: metrics(installation).get("cadence_web_requests_total GET home 200", 0) >= 30)
    found = metrics(installation)
    assert found["cadence_web_requests_total GET home 200"] == 30
    assert found["cadence_web_request_seconds_count home"] == 30
    assert found["cadence_connections healthy enabled"] == 1
    assert {found[f"cadence_source_up {name}"] for name in ("sums", "database", "broker", "heartbeats")} == {1.0}
    assert max(found[f"cadence_heartbeat_age_seconds {process}"] for process in ("worker", "beat")) < 120


def test_a_dropped_key_is_one_error_line_at_the_start_of_each_and_they_start_all_the_same(
    installation: Installation,
) -> None:
    old = Fernet.generate_key().decode()
    installation.services |= {"METRICS_TOKEN": TOKEN, "FERNET_KEYS": old}
    installation.start_web(workers=1)
    installation.connect()
    installation.stop()
    installation.start_sandbox()
    installation.services["FERNET_KEYS"] = Fernet.generate_key().decode()
    installation.start_web(workers=1)
    installation.start_worker()
    for name in ("web", "worker"):
        wait_until(f"the line of {name}", lambda name=name: said(installation, name, key_id(old)))
    assert readyz(installation)["encryption_keys"] == {
        "part": "encryption_keys",
        "ok": False,
        "detail": f"keys still in use are not among FERNET_KEYS: {key_id(old)}",
        "needed": True,
    }
    assert metrics(installation)["cadence_encryption_keys_missing"] == 1
    assert old not in "".join((installation.folder / f"{name}.log").read_text() for name in ("web", "worker"))


def said(installation: Installation, name: str, key: str) -> bool:
    lines = (installation.folder / f"{name}.log").read_text().splitlines()
    return any('"ERROR"' in line and "keys still in use are missing" in line and key in line for line in lines)
