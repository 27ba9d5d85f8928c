"""The simulated Microsoft 365 as whoever drives it: its verbs, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import requests

from demo.processes import Failed

_TIMEOUT_SECONDS = 30


class Microsoft:
    """`set(verbs)`, as docs/sandbox.md lists them; raises Failed with the sandbox's own words."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/_sandbox/set"
        self._session = requests.Session()
        self._session.trust_env = False  # localhost is reached through no proxy

    def __enter__(self) -> Microsoft:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def set(self, verbs: dict[str, Any]) -> None:
        """Runs them in their order."""
        answer = self._session.post(self._url, json=verbs, timeout=_TIMEOUT_SECONDS)
        if not answer.ok:
            raise Failed(f"The sandbox answered {answer.status_code}: {answer.text[:500]}")

    def stop_clock(self, at: datetime) -> None:
        """Its time stands still there."""
        self.set({"set_clock": at.isoformat(), "hold_clock": True})

    def run_clock(self) -> None:
        """Its time is the machine's again."""
        self.set({"set_clock": None})
