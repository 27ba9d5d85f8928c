"""Re-encrypts stored tokens with the newest key."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tenants import keys
from tenants.management.json_command import JsonCommand


class Command(JsonCommand):
    help = "Brings every stored token under the newest of FERNET_KEYS; safe to repeat and to interrupt."

    def run(self, **options: Any) -> dict[str, object]:
        totals = keys.Rotation(0, 0)
        for totals in keys.rotate():
            self.say(f"{totals.rows} values looked at, {totals.rewritten} rewritten")
        return asdict(totals)
