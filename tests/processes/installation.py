"""A whole installation of real processes: sandbox, web server, worker; for what only several processes show."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import redis
import requests

from sandbox.browser import sign_in
from sandbox.options import CLIENT_ID, CLIENT_SECRET
from tests.services import free_port

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
EXPIRE = """
from datetime import timedelta
from django.utils import timezone
from tenants.models import TokenRecord
past = timezone.now() - timedelta(hours=1)
TokenRecord.objects.update(access_expires_at=past, refresh_due_at=past)
"""
PATIENCE_SECONDS = 60.0  # for a start or a stop; passing does not depend on how fast it is


def wait_until(what: str, ready: Any) -> Any:
    """The first true value of `ready()`."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (value := ready()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)
    return value


def own_services(folder: Path) -> dict[str, str]:
    """A database of this test's own: on the PostgreSQL and Redis of the run, else embedded, beside its files."""
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        return {"DATABASE_URL": f"sqlite:///{folder}/cadence.sqlite3"}
    server = os.environ["DATABASE_URL"]
    name = f"cadence_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(f'CREATE DATABASE "{name}"')
    # Processes of the product take the whole Redis; the tests of the same run use number 0.
    queue = os.environ["REDIS_URL"].rpartition("/")[0] + "/9"
    redis.Redis.from_url(queue).flushdb()
    secrets = {key: os.environ[key] for key in ("DJANGO_SECRET_KEY", "FERNET_KEYS")}
    return {**secrets, "DATABASE_URL": f"{server.rpartition('/')[0]}/{name}", "REDIS_URL": queue}


def http() -> requests.Session:
    """A session that ignores what the machine's environment says of proxies and certificates."""
    session = requests.Session()
    session.trust_env = False
    return session


def last_object(output: str) -> dict[str, Any]:
    """A command's last line as JSON, or {} when it printed none."""
    last = output.strip().splitlines()[-1:]
    return dict(json.loads(last[0])) if last and last[0].startswith("{") else {}


@dataclass
class Installation:
    """Started step by step by a test; `stop` ends every process by itself."""

    folder: Path
    web_port: int = field(default_factory=free_port)
    https_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.services = own_services(self.folder)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.web_port}"

    def environment(self) -> dict[str, str]:
        """Only what the product is told; nothing of the machine but PATH and HOME."""
        return {
            **self.services,
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "PUBLIC_URL": self.url,
            "BIND": f"127.0.0.1:{self.web_port}",
            "MICROSOFT_CLIENT_ID": CLIENT_ID,
            "MICROSOFT_CLIENT_SECRET": CLIENT_SECRET,
            "MICROSOFT_AUTHORITY_URL": f"https://localhost:{self.https_port}",
            "MICROSOFT_GRAPH_URL": f"https://localhost:{self.https_port}/v1.0",
            "MICROSOFT_CA_BUNDLE": str(self.folder / "sandbox" / "ca.pem"),
            "LOG_LEVEL": "DEBUG",
        }

    def spawn(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.running[name] = subprocess.Popen(
            command, cwd=ROOT, env=self.environment(), stdout=log, stderr=log, start_new_session=True
        )

    def manage(self, *arguments: str) -> dict[str, Any]:
        """Runs a command; its last line as JSON, or {} when it prints none."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment(), capture_output=True
        )
        assert done.returncode == 0, done.stderr.decode()
        return last_object(done.stdout.decode())

    def start_sandbox(self) -> None:
        self.spawn(
            "sandbox",
            *(sys.executable, "-m", "sandbox", "--state-dir", str(self.folder / "sandbox")),
            *("--https-port", str(self.https_port), "--http-port", str(self.http_port)),
            *("--redirect-uri", f"{self.url}/connect/callback/"),
        )
        wait_until("the sandbox", lambda: b"sandbox ready" in (self.folder / "sandbox.log").read_bytes())

    def start_web(self, workers: int = 2) -> None:
        self.spawn("web", str(BIN / "gunicorn"), "cadence_exchange.wsgi", "--workers", str(workers), "--threads", "32")
        wait_until("the web server", self._web_answers)

    def start_worker(self) -> None:
        self.spawn(
            "worker", str(BIN / "celery"), "-A", "cadence_exchange", "worker", "-B", "--pool", "threads", "-l", "DEBUG"
        )
        wait_until("the worker", lambda: b"ready." in (self.folder / "worker.log").read_bytes())

    def _web_answers(self) -> bool:
        try:
            return http().get(f"{self.url}/healthz", timeout=5).ok
        except requests.ConnectionError:
            return False

    def kill(self, name: str) -> None:
        """The whole family at once, as a machine that loses power."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Each main process by itself; a worker whose whole group is signalled may hang."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.wait(PATIENCE_SECONDS)
        self.running.clear()

    def control(self, **settings: Any) -> None:
        answer = http().post(f"http://localhost:{self.http_port}/_sandbox/set", json=settings, timeout=30)
        assert answer.ok, answer.text

    def counter(self, name: str) -> int:
        counters = http().get(f"http://localhost:{self.http_port}/_sandbox/counters", timeout=30).json()
        return int(counters.get(name, 0))

    def connect(self, slug: str = "contoso", upn: str = "cadence-service@contoso.example") -> str:
        """Makes an account, consents through its pages, and returns an API key for it."""
        made = self.manage(
            *("create_account", slug, "--name", slug.title(), "--domain", f"{slug}.example"),
            *("--time-zone", "Europe/Berlin"),
        )
        browser = http()
        page = browser.get(made["consent_url"], timeout=30)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token
        form = {"mode": "service_account", "csrfmiddlewaretoken": token[1]}
        to_microsoft = browser.post(made["consent_url"], data=form, allow_redirects=False, timeout=30)
        back = browser.get(sign_in(to_microsoft.headers["Location"], upn), timeout=30)
        assert back.status_code == 200, back.text
        return str(self.manage("create_api_key", "test", "--account", slug)["key"])

    def expire_tokens(self) -> None:
        """As if the access token's hour were over: the stored times move into the past."""
        self.manage("shell", "-c", EXPIRE)

    def ask(self, key: str, *, slug: str = "contoso", email: str = "ann@contoso.example") -> requests.Response:
        """One availability question of a day, for which Microsoft is asked."""
        start = datetime.now(UTC).replace(microsecond=0)
        body = {
            "attendees": [{"email": email}],
            "start": start.isoformat(),
            "end": (start + timedelta(days=1)).isoformat(),
            "max_age_seconds": 0,
        }
        headers = {"Authorization": f"Bearer {key}"}
        return http().post(f"{self.url}/api/v1/accounts/{slug}/availability/", json=body, headers=headers, timeout=60)
