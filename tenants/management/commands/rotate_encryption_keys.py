"""Re-encrypts what is stored with the newest key."""

from __future__ import annotations

from typing import Any

from tenants import keys
from tenants.management.json_command import JsonCommand


class Command(JsonCommand):
    help = "Brings every stored secret under the newest of FERNET_KEYS; safe to repeat and to interrupt."

    def run(self, **options: Any) -> dict[str, object]:
        so_far = keys.Rotation(0, 0)
        for so_far in keys.rotate():
            self.say(f"{so_far.rows} of {so_far.total} values looked at, {so_far.rewritten} rewritten")
        return {"rows": so_far.rows, "rewritten": so_far.rewritten}
