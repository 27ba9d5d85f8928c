"""Kill -9 of a worker in the middle of its refreshes, while Microsoft takes each refresh token only once.

Microsoft's own tokens stay valid after their use, so nothing is lost by a kill. With one-time tokens the answers that
had not been committed are lost, and nothing else: KILLS says how often (`make kill-worker`: 50 times).
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet

from sandbox import Sandbox
from sandbox.messages import Request, Response
from sandbox.options import CLIENT_ID
from sandbox.server import Server
from sandbox.tokens import Grant
from tests.processes.installation import BIN, PATIENCE_SECONDS, Installation, wait_until

KILLS = int(os.environ.get("KILLS", "3"))
CONNECTIONS = 200
SCOPES = ("openid", "profile", "offline_access", "Calendars.Read")
# The rows of connected customers whose first refresh is due; their tokens are put in from outside.
CONNECTED = """
from datetime import timedelta
from django.utils import timezone
from tenants.models import Account, Connection, TokenRecord
now = timezone.now()
for number in range({connections}):
    name = f"customer{{number}}"
    account = Account.objects.create(slug=name, name=name, domains=[name + ".example"])
    connection = Connection.objects.create(
        account=account, state="enabled", mode="service_account", reader=f"cadence-service@{{name}}.example",
        tenant_id=name, reader_oid=name, connected_at=now, probe_due_at=now + timedelta(days=1))
    TokenRecord.objects.create(
        connection=connection, refresh_token="", access_token="", access_expires_at=now, refreshed_at=now,
        refresh_due_at=now + timedelta(days=1))
"""


class Witness(Sandbox):
    """A sandbox that remembers when it gave whom new tokens, by the monotonic clock of this process."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self.answered: list[tuple[float, str]] = []
        self.refused: list[str] = []

    def handle(self, request: Request) -> Response:
        who = self.caller(request)
        response = super().handle(request)
        if who and request.path.endswith("/token"):
            with self._lock:
                if response.status == 200:
                    self.answered.append((time.monotonic(), who.upn))
                else:
                    self.refused.append(who.upn)
        return response

    def new_token(self, upn: str) -> str:
        """A refresh token as a consent gives it."""
        account = self.directory.find(upn)
        assert account
        self.grants.consent(account.tenant.tid, account.oid, SCOPES)
        now = self.clock.now()
        return self.mint.refresh(
            Grant(
                oid=account.oid,
                tid=account.tenant.tid,
                client_id=CLIENT_ID,
                scopes=SCOPES,
                issued=now,
                expires=now + 90 * 86_400,
                generation=self.grants.generation(account.oid),
                auth_time=now,
            )
        )


def nobody_is_served() -> bool:
    """Each connection to the sandbox has a thread of its own, which ends when all that came over it is answered."""
    return not any("process_request_thread" in thread.name for thread in threading.enumerate())


class Killable(Installation):
    """An installation whose Microsoft and whose rows the test can look into; its worker looks for work at once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.services.setdefault("FERNET_KEYS", Fernet.generate_key().decode())
        self.fernet = Fernet(self.services["FERNET_KEYS"].split(",")[0])

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "LOG_LEVEL": "WARNING", "TICK_SECONDS": "5", "SWEEP_WIDTH": "32"}

    def start_worker(self) -> None:
        self.spawn("worker", str(BIN / "celery"), "-A", "cadence_exchange", "worker", "-B", "--pool", "threads")

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Runs one SQL statement, with %s for values, in a transaction of its own."""
        url = self.services["DATABASE_URL"]
        if url.startswith("sqlite:///"):
            db = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20)
            try:
                with db:
                    return db.execute(statement.replace("%s", "?"), values).fetchall()
            finally:
                db.close()
        with psycopg.connect(url, autocommit=True) as server:
            done = server.execute(statement, values)  # type: ignore[arg-type]
            return done.fetchall() if done.description else []


@dataclass
class Trial:
    """Kills the worker of one installation again and again, and keeps account of every answer of Microsoft's."""

    installation: Killable
    microsoft: Witness
    die: random.Random
    lost: set[str] = field(default_factory=set)  # readers whose last answer was not committed
    lost_at_a_kill: list[int] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)  # seconds that a lost answer had been waiting when the kill came
    committed_after: list[float] = field(default_factory=list)  # seconds from an answer to its commit being seen

    def prepare(self) -> None:
        """Connected customers with fresh tokens."""
        for number in range(CONNECTIONS):
            self.microsoft.directory.add_tenant(f"customer{number}", people=0)
        self.installation.manage("shell", "-c", CONNECTED.format(connections=CONNECTIONS))
        self.connect_again(self.versions())

    def connect_again(self, readers: Any) -> None:
        """New tokens for these readers, as their customers' consents would bring them."""
        for upn in readers:
            sealed = self.installation.fernet.encrypt(self.microsoft.new_token(upn).encode())
            self.installation.rows(
                "UPDATE tenants_tokenrecord SET refresh_token = %s, failures = 0, last_failure_code = '' "
                "WHERE connection_id = (SELECT id FROM tenants_connection WHERE reader = %s)",
                sealed, upn,
            )  # fmt: skip

    def make_due(self) -> None:
        """All tokens are due, and what a dead worker had claimed is free: as if its lease were over."""
        past = (datetime.now(UTC) - timedelta(hours=1)).isoformat(sep=" ")
        self.installation.rows(
            "UPDATE tenants_tokenrecord SET access_expires_at = %s, refresh_due_at = %s, lease_holder = '', "
            "lease_until = NULL",
            past, past,
        )  # fmt: skip

    def versions(self) -> dict[str, int]:
        """Commits so far by reader; each good refresh adds one."""
        return dict(
            self.installation.rows(
                "SELECT c.reader, t.version FROM tenants_tokenrecord t "
                "JOIN tenants_connection c ON c.id = t.connection_id"
            )
        )

    def sweep_and_kill(self) -> None:
        """One worker's life, ended at a random moment of its sweep; before it, who had lost a token connects again."""
        self.connect_again(self.lost)
        before, answers = self.versions(), len(self.microsoft.answered)
        self.make_due()
        moment = self.die.randrange(CONNECTIONS * 9 // 10)
        self.installation.start_worker()
        with _Watch(self, before):
            wait_until("the sweep to get so far", lambda: len(self.microsoft.answered) - answers >= moment)
            time.sleep(self.die.uniform(0.0, 0.05))
            killed_at = time.monotonic()
            self.installation.kill("worker")
        wait_until("Microsoft to have served what the dead had sent", nobody_is_served)
        self._account(before, self.microsoft.answered[answers:], killed_at)

    def sweep_undisturbed(self) -> None:
        """One worker that refreshes everything, and is then stopped as it should be: nothing is lost."""
        before, answers = self.versions(), len(self.microsoft.answered)
        self.make_due()
        self.installation.start_worker()
        with _Watch(self, before):
            wait_until("the last answer", lambda: len(self.microsoft.answered) - answers >= CONNECTIONS)
            wait_until("the last commit", lambda: sum(self.versions().values()) >= sum(before.values()) + CONNECTIONS)
        self.installation.stop()

    def _account(self, before: dict[str, int], answers: list[tuple[float, str]], killed_at: float) -> None:
        after = self.versions()
        given = Counter(upn for _, upn in answers)
        lost = {upn: given[upn] - (after[upn] - before[upn]) for upn in given}
        # A refresh is one for all: nobody is asked for twice in one life, and nothing is stored that was not given.
        assert set(given.values()) <= {1}
        assert set(lost.values()) <= {0, 1}
        assert {upn for upn in after if after[upn] != before[upn]} <= set(given)
        assert self.microsoft.refused == []  # whatever had been committed before was good
        self.lost = {upn for upn, number in lost.items() if number}
        self.lost_at_a_kill.append(len(self.lost))
        self.waited += [max(0.0, killed_at - at) for at, upn in answers if lost[upn]]

    def report(self) -> str:
        """What the note about kills is written from."""
        commits = sorted(self.committed_after)
        lines = [
            f"kills: {len(self.lost_at_a_kill)}, connections due at each: {CONNECTIONS}",
            f"answers lost at a kill: most {max(self.lost_at_a_kill)}, all {sum(self.lost_at_a_kill)}",
            f"longest wait of a lost answer: {max(self.waited, default=0.0) * 1000:.0f} ms",
        ]
        if commits:
            median, longest = commits[len(commits) // 2], commits[-1]
            lines.append(f"from answer to commit: median {median * 1000:.0f} ms, longest {longest * 1000:.0f} ms")
        return "\n  ".join(["", *lines, ""])


class _Watch:
    """Looks for commits every few milliseconds while a sweep goes on."""

    def __init__(self, trial: Trial, before: dict[str, int]) -> None:
        self._trial, self._seen = trial, before
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE_SECONDS)

    def _look(self) -> None:
        while not self._over.wait(0.005):
            now_at, seen = time.monotonic(), self._trial.versions()
            answers = dict(map(reversed, self._trial.microsoft.answered[-CONNECTIONS:]))  # the last of each reader
            for upn, version in seen.items():
                if version > self._seen[upn] and upn in answers:
                    self._trial.committed_after.append(max(0.0, now_at - answers[upn]))
            self._seen = seen


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Callable[[str], Trial]]:
    """A trial with a kind of rotation."""
    installation, microsoft = Killable(tmp_path), Witness()
    ports = {"https_port": installation.https_port, "http_port": installation.http_port}
    with Server(microsoft, state_dir=tmp_path / "sandbox", **ports):
        installation.manage("migrate", "--noinput")

        def prepared(rotation: str) -> Trial:
            microsoft.options.rotation = rotation
            made = Trial(installation, microsoft, random.Random(KILLS))
            made.prepare()
            return made

        try:
            yield prepared
        finally:
            installation.stop()


def test_with_one_time_tokens_only_answers_that_were_not_committed_are_lost(
    trial: Callable[[str], Trial], capsys: pytest.CaptureFixture[str]
) -> None:
    strict = trial("strict")
    strict.sweep_undisturbed()
    for _ in range(KILLS):
        strict.sweep_and_kill()
    with capsys.disabled():
        sys.stdout.write(strict.report())

    strict.make_due()
    outcome = strict.installation.manage("refresh_tokens", "--all")
    assert outcome["refreshed"] == CONNECTIONS - len(strict.lost)
    assert outcome["failed"] + outcome["needs_consent"] == len(strict.lost)


def test_with_microsofts_own_tokens_a_kill_loses_nothing(trial: Callable[[str], Trial]) -> None:
    usual = trial("microsoft")
    for _ in range(max(1, KILLS // 10)):
        usual.sweep_and_kill()

    usual.make_due()
    outcome = usual.installation.manage("refresh_tokens", "--all")
    assert outcome == {"refreshed": CONNECTIONS, "skipped": 0, "failed": 0, "needs_consent": 0}
