"""A Graph on loopback, in its own process, that knows the people of one workload: getSchedule after a fixed delay.

    python -m benchmarks.calendar_endpoint PORT LATENCY_MS WORKLOAD

Its answers were made before the first call. `GET /counts` tells how many calls there were and how many at once for one
reader (the bearer token), `GET /reset` forgets both.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

from benchmarks.loopback import answer, serve
from tests.freebusy.core import workloads

DOMAIN = "contoso.example"


def person(number: int) -> str:
    """The address of a workload's person."""
    return f"person{number}@{DOMAIN}"


def room(number: int) -> str:
    """The address of a workload's room."""
    return f"room{number}@{DOMAIN}"


class CalendarEndpoint:
    """Calendars by address, whole, whatever the window asked for: the workload has no other events."""

    def __init__(self, name: str, latency: float) -> None:
        work = workloads.make(name)
        frame = work["frame"]
        owners = {
            **{person(number): owner for number, owner in enumerate(work["people"])},
            **{room(number): owner for number, owner in enumerate(work["rooms"])},
        }
        answered = workloads.graph_response(list(owners.values()), frame["first_day"], frame["days"])["value"]
        self._entries = {
            address: json.dumps({**entry, "scheduleId": address}).encode()
            for address, entry in zip(owners, answered, strict=True)
        }
        self._latency = latency
        self._calls = 0
        self._at_once: Counter[bytes] = Counter()
        self._most_at_once = 0

    def answer(self, method: bytes, path: bytes, head: bytes, body: bytes) -> tuple[bytes, float]:
        """The whole answer and the seconds to wait before it."""
        if path == b"/counts":
            return answer({"calls": self._calls, "most_at_once": self._most_at_once}), 0.0
        if path == b"/reset":
            self._calls = self._most_at_once = 0
            return answer({}), 0.0
        self._calls += 1
        reader = head.partition(b"authorization:")[2].partition(b"\r\n")[0]
        self._at_once[reader] += 1
        self._most_at_once = max(self._most_at_once, self._at_once[reader])
        asyncio.get_running_loop().call_later(self._latency, self._at_once.subtract, {reader: 1})
        asked = json.loads(body)["schedules"]
        entries = b",".join(self._entries[address.lower()] for address in asked)
        return answer(b'{"value":[' + entries + b"]}"), self._latency


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), CalendarEndpoint(sys.argv[3], float(sys.argv[2]) / 1000).answer))
