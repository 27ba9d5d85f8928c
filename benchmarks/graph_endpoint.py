"""A Graph far away on loopback, in its own process: getSchedule after a fixed delay, and four calls at a time.

    python -m benchmarks.graph_endpoint PORT LATENCY_MS CONNECT_MS

A connection's first call takes CONNECT_MS more, for the round trips of TCP and TLS. A fifth call at once is refused
with 429 and `Retry-After: 1`. `GET /counts` tells what was seen, `POST /reset` forgets it. Each mailbox has a fortnight
of ten items a day, so an answer has some 0.8 MB; it is plain HTTP and not compressed.
"""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.loopback import Peer, answer, serve_peers

ITEMS = 140
LIMIT = 4
_NAME = b"@NAME@"


def _mailbox() -> bytes:
    items = [
        {
            "isPrivate": False,
            "status": "busy",
            "subject": "Review of what was agreed",
            "location": "Room 4",
            "isMeeting": True,
            "isRecurring": False,
            "isException": False,
            "isReminderSet": True,
            "start": {
                "dateTime": f"2030-01-{7 + number // 10:02}T{8 + number % 10:02}:00:00.0000000",
                "timeZone": "UTC",
            },
            "end": {"dateTime": f"2030-01-{7 + number // 10:02}T{8 + number % 10:02}:30:00.0000000", "timeZone": "UTC"},
        }
        for number in range(ITEMS)
    ]
    return json.dumps({"scheduleId": _NAME.decode(), "availabilityView": "2" * 14, "scheduleItems": items}).encode()


_MAILBOX = _mailbox()


class _Endpoint:
    def __init__(self, latency: float, connect: float) -> None:
        self.latency = latency
        self.connect = connect
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forgets what was seen."""
        self.counts = {"calls": 0, "refused": 0, "connections": 0, "most_at_once": 0}

    def begin(self) -> bool:
        """Whether one more call is admitted."""
        self.counts["calls"] += 1
        if self.in_flight >= LIMIT:
            self.counts["refused"] += 1
            return False
        self.in_flight += 1
        self.counts["most_at_once"] = max(self.counts["most_at_once"], self.in_flight)
        return True


class _Peer(Peer):
    def __init__(self, endpoint: _Endpoint, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._endpoint = endpoint
        self._new = True

    def respond(self, method: bytes, path: bytes, head: bytes, body: bytes) -> None:
        endpoint = self._endpoint
        if path == b"/counts":
            self.write(answer(endpoint.counts))
        elif path == b"/reset":
            endpoint.reset()
            self.write(answer({}))
        else:
            wait = endpoint.latency + (endpoint.connect if self._new else 0.0)
            endpoint.counts["connections"] += self._new
            self._new = False
            if not endpoint.begin():
                self.write(answer({}, "429 Too Many Requests", "Retry-After: 1\r\n"))
                return
            names = [name.encode() for name in json.loads(body)["schedules"]]
            value = b",".join(_MAILBOX.replace(_NAME, name) for name in names)
            self._loop.call_later(wait, self._end, answer(b'{"value":[' + value + b"]}"))

    def _end(self, given: bytes) -> None:
        self._endpoint.in_flight -= 1
        self.write(given)


async def _serve(port: int, latency: float, connect: float) -> None:
    loop, endpoint = asyncio.get_running_loop(), _Endpoint(latency, connect)
    await serve_peers(port, lambda: _Peer(endpoint, loop))


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 1000, float(sys.argv[3]) / 1000))
