"""/healthz and /readyz: answered for any Host, without a redirect, and honest about each part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.test import Client
from django.utils import timezone

from cadence_exchange.celery import app
from tenants import heartbeat, tasks
from tenants.models import Account

PARTS = ["database", "cache", "broker", "encryption_keys", "worker_heartbeat", "beat_heartbeat"]


@pytest.fixture
def strict_host(settings: Any) -> None:
    """As in production: one host, https only."""
    settings.ALLOWED_HOSTS = ["exchange.example"]
    settings.SECURE_SSL_REDIRECT = True


def parts(answer: Any) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in answer.content.decode().splitlines()]
    return {line["part"]: line for line in lines}


@pytest.mark.usefixtures("strict_host")
@pytest.mark.parametrize("host", ["exchange.example", "10.0.0.7:8000", "anything.example", "not a host!", ""])
def test_healthz_answers_any_host_without_a_redirect_and_touches_no_database(host: str) -> None:
    answer = Client().get("/healthz", headers={"host": host})  # pytest refuses the database here
    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.usefixtures("strict_host")
@pytest.mark.django_db
@pytest.mark.parametrize("host", ["exchange.example", "10.0.0.7:8000", "not a host!"])
def test_readyz_answers_any_host_without_a_redirect(host: str) -> None:
    assert Client().get("/readyz", headers={"host": host}).status_code == 200


@pytest.mark.usefixtures("strict_host")
def test_other_pages_still_mind_the_host_and_the_scheme() -> None:
    assert Client().get("/", headers={"host": "anything.example"}, secure=True).status_code == 400
    assert Client().get("/", headers={"host": "exchange.example"}).status_code == 301


@pytest.mark.django_db
def test_readyz_has_a_json_line_per_part() -> None:
    answer = Client().get("/readyz")
    found = parts(answer)
    assert list(found) == PARTS
    assert all(set(line) == {"part", "ok", "detail", "needed"} for line in found.values())
    assert [name for name, line in found.items() if not line["ok"]] == ["worker_heartbeat", "beat_heartbeat"]


@pytest.mark.django_db
@pytest.mark.parametrize("process", heartbeat.Process)
def test_worker_and_beat_are_reported_and_do_not_make_a_web_process_unready(process: heartbeat.Process) -> None:
    part = f"{process}_heartbeat"
    before = Client().get("/readyz")
    heartbeat.report(process, timezone.now())
    after = Client().get("/readyz")
    assert (before.status_code, after.status_code) == (200, 200)
    assert [name for name, line in parts(after).items() if line != parts(before)[name]] == [part]
    assert not parts(before)[part]["ok"]
    assert parts(after)[part] == {"part": part, "ok": True, "detail": "0 s ago", "needed": False}


@pytest.mark.django_db
def test_a_silent_process_is_told_from_one_that_lives(microsoft: object) -> None:
    with time_machine.travel(datetime(2027, 3, 1, 9, 0, tzinfo=UTC), tick=False) as clock:
        heartbeat.report(heartbeat.Process.BEAT, timezone.now())
        heartbeat.report(heartbeat.Process.WORKER, timezone.now())
        clock.shift(heartbeat.STALE_SECONDS + 1)
        heartbeat.report(heartbeat.Process.BEAT, timezone.now())
        found = parts(Client().get("/readyz"))
        assert (found["beat_heartbeat"]["ok"], found["worker_heartbeat"]["ok"]) == (True, False)
        assert heartbeat.age(heartbeat.Process.WORKER) == heartbeat.STALE_SECONDS + 1


@pytest.mark.django_db
def test_sending_the_heartbeat_is_beats_sign_and_doing_it_the_workers() -> None:
    with app.connection_for_write(transport="memory") as link:
        tasks.heartbeat.apply_async(connection=link)
    assert heartbeat.age(heartbeat.Process.BEAT) is not None
    assert heartbeat.age(heartbeat.Process.WORKER) is None
    tasks.heartbeat()
    assert heartbeat.age(heartbeat.Process.WORKER) is not None


@pytest.mark.django_db
def test_a_lost_encryption_key_makes_unready(contoso: Account, settings: Any) -> None:
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert [name for name, line in parts(answer).items() if line["needed"] and not line["ok"]] == ["encryption_keys"]


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["redis://:hunter2@127.0.0.1:1/0"])
def test_a_cache_that_does_not_answer_makes_unready_and_its_password_is_not_shown(
    settings: Any, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}}
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert not parts(answer)["cache"]["ok"]
    assert parts(answer)["database"]["ok"]
    assert "hunter2" not in answer.content.decode() + caplog.text


def test_a_broker_without_its_folder_makes_unready(tmp_path: Path) -> None:
    found = ask(tmp_path, before=f"import shutil; shutil.rmtree({str(tmp_path / 'broker')!r})")
    assert found["status"] == 503
    assert found["parts"]["broker"]["detail"] == "NotADirectoryError"
    assert ask(tmp_path)["parts"]["broker"]["ok"]  # the next start makes it again


def test_without_a_table_readyz_is_503_in_lines_all_the_same(tmp_path: Path) -> None:
    found = ask(tmp_path)
    assert found["status"] == 503
    assert list(found["parts"]) == PARTS
    assert not found["parts"]["cache"]["ok"]
    assert not found["parts"]["encryption_keys"]["ok"]


ASK = """
import django, json, sys
django.setup()
exec(sys.argv[1])
from django.test import Client
answer = Client().get("/readyz")
lines = [json.loads(line) for line in answer.content.decode().splitlines()]
print(json.dumps({"status": answer.status_code, "parts": {line["part"]: line for line in lines}}))
"""


def ask(folder: Path, before: str = "") -> dict[str, Any]:
    """What a process says whose files lie in this folder and whose database has no table yet."""
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "cadence_exchange.settings",
        "DATABASE_URL": f"sqlite:///{folder}/empty.sqlite3",
    }
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", ASK, before]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))
