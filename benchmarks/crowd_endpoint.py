"""A Graph on loopback, in its own process, with as many mailboxes as one asks for: getSchedule after a fixed delay.

    python -m benchmarks.crowd_endpoint PORT LATENCY_MS

There are 500 different calendars of 14 days; mailbox `person1234@…` has that of number 234. `GET /counts` tells how
many calls there were, `GET /reset` forgets it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

from benchmarks.loopback import answer, serve
from tests.freebusy.core import workloads

DIFFERENT = 500
FIRST_DAY, DAYS = "2026-03-23", 14  # the European clock change inside
_NUMBER = re.compile(r"person(\d+)@")


def person(number: int) -> str:
    return f"person{number}@contoso.example"


class CrowdEndpoint:
    """The entries were written before the first call; a call costs no more than joining them."""

    def __init__(self, latency: float) -> None:
        people = workloads.graph_people(DIFFERENT, DAYS, FIRST_DAY)
        entries = workloads.graph_response(people, FIRST_DAY, DAYS)["value"]
        for entry in entries:
            del entry["scheduleId"]
        self._entries = [json.dumps(entry, separators=(",", ":"))[1:] for entry in entries]
        self._latency = latency
        self._calls = 0

    def answer(self, method: bytes, path: bytes, head: bytes, body: bytes) -> tuple[bytes, float]:
        """The whole answer and the seconds to wait before it."""
        if path == b"/counts":
            return answer({"calls": self._calls}), 0.0
        if path == b"/reset":
            self._calls = 0
            return answer({}), 0.0
        self._calls += 1
        entries = ",".join(self._entry(address) for address in json.loads(body)["schedules"])
        return answer(f'{{"value":[{entries}]}}'.encode()), self._latency

    def _entry(self, address: str) -> str:
        found = _NUMBER.match(address)
        assert found is not None
        return f'{{"scheduleId":"{address}",{self._entries[int(found[1]) % DIFFERENT]}'


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), CrowdEndpoint(float(sys.argv[2]) / 1000).answer))
