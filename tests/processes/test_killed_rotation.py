"""A rotation of keys that is killed without warning, again and again, and still comes to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from cryptography.fernet import Fernet

from tests.processes.installation import ROOT, Installation

ROWS = 900
FILL = f"""
from django.utils import timezone
from microsoft.secret import Secret
from tenants.models import Account, Connection, TokenRecord
now = timezone.now()
accounts = Account.objects.bulk_create([Account(slug=f"a{{n}}", domains=[f"a{{n}}.example"]) for n in range({ROWS})])
connections = Connection.objects.bulk_create([Connection(account=account) for account in accounts])
for connection in connections:
    TokenRecord.objects.create(connection=connection, refresh_token=Secret("r"), access_token=Secret("a"),
                               access_expires_at=now, refreshed_at=now, refresh_due_at=now)
"""
READ = """
import json
from tenants import keys
from tenants.models import TokenRecord
rows = list(TokenRecord.objects.all())
assert all((row.refresh_token.reveal(), row.access_token.reveal()) == ("r", "a") for row in rows)
print(json.dumps({"rows": len(rows), "missing": keys.missing_keys()}))
"""


def test_a_rotation_killed_at_any_moment_leaves_every_row_readable_and_is_finished_by_the_next(
    installation: Installation,
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    installation.services["FERNET_KEYS"] = old
    installation.manage("shell", "-c", FILL)
    installation.services["FERNET_KEYS"] = f"{new},{old}"
    for lines in (1, 1, 2):  # of progress, until the kill
        killed = subprocess.Popen(
            [sys.executable, "manage.py", "rotate_encryption_keys"],
            cwd=ROOT,
            env=installation.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert killed.stderr
        for _ in range(lines):
            killed.stderr.readline()
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        killed.stderr.close()
        assert installation.manage("shell", "-c", READ) == {"rows": ROWS, "missing": []}
    done = installation.manage("rotate_encryption_keys")
    assert done["rows"] == 2 * ROWS
    assert installation.manage("rotate_encryption_keys") == {"rows": 2 * ROWS, "rewritten": 0}
    installation.services["FERNET_KEYS"] = new
    assert installation.manage("shell", "-c", READ) == {"rows": ROWS, "missing": []}
