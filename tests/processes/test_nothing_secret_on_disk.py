"""What real processes leave behind: database, queue, logs at DEBUG; none of it holds what nobody may keep."""

from __future__ import annotations

import subprocess
import sys

import redis

from sandbox.calendars import POISON
from sandbox.tokens import ACCESS_PREFIX, CODE_PREFIX, REFRESH_PREFIX
from tests.processes.installation import ROOT, Installation, wait_until

SEND_TASKS = (
    "from tenants.tasks import refresh_due_tokens; from freebusy.tasks import probe_due_connections\n"
    "refresh_due_tokens.delay(); probe_due_connections.delay()"
)

# Of what is remembered of ann's calendar: whose it is, and anything it says in words.
CLEAR = (b"ann@", b"contoso.example", b"Berlin", b"busy", b"tentative", b"oof", b"workingElsewhere", b"09:00")


def test_database_queue_and_logs_hold_no_subject_token_code_or_key(installation: Installation) -> None:
    installation.start_web(workers=2)
    installation.start_worker()
    key = installation.connect()
    assert installation.ask(key).status_code == 200
    installation.expire_tokens()
    sent = subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", SEND_TASKS], cwd=ROOT, env=installation.environment(), check=False
    )
    assert sent.returncode == 0
    log = installation.folder / "worker.log"
    wait_until("both tasks", lambda: log.read_bytes().count(b"succeeded in") >= 2)
    assert installation.ask(key).status_code == 200

    places = {
        str(path): path.read_bytes()
        for path in installation.folder.rglob("*")
        if path.is_file() and "sandbox" not in path.relative_to(installation.folder).parts[0]
    }
    if queue := installation.services.get("REDIS_URL"):
        with redis.Redis.from_url(queue) as server:
            places |= {repr(name): server.dump(name) or b"" for name in server.scan_iter()}
    assert any(place.endswith("web.log") for place in places)
    needles = [text.encode() for text in (POISON, ACCESS_PREFIX, REFRESH_PREFIX, CODE_PREFIX, key)]
    assert [(place, needle) for place, held in places.items() for needle in needles if needle in held] == []
    remembered = {place: held for place, held in places.items() if "coordination" in place or ":cached:" in place}
    assert any(b"gAAAAA" in held for held in remembered.values())  # as every encrypted value begins
    assert [(place, word) for place, held in remembered.items() for word in CLEAR if word in held] == []
