"""A very cheap Microsoft on loopback, in its own process: discovery, token and getSchedule answers after a fixed delay.

    python -m benchmarks.token_endpoint PORT LATENCY_MS

`GET /counts` tells how often each kind was asked, `POST /reset` forgets it. Plain HTTP and canned bodies of the sizes
that Entra and Graph send, so that it costs next to nothing beside the client that is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

from benchmarks.loopback import answer, serve

ORIGIN = "https://login.benchmark.test"  # as the documents name it; the client maps it to this port
_ISSUER = f"{ORIGIN}/{{tenantid}}/v2.0"
_DISCOVERY = {
    "issuer": _ISSUER,
    "authorization_endpoint": f"{ORIGIN}/organizations/oauth2/v2.0/authorize",
    "token_endpoint": f"{ORIGIN}/organizations/oauth2/v2.0/token",
}
_TOKENS = {
    "token_type": "Bearer",
    "scope": "Calendars.Read openid profile",
    "expires_in": 3599,
    "ext_expires_in": 3599,
    "access_token": "a" * 2200,
    "refresh_token": "r" * 1400,
}
_ITEM = {
    "status": "busy",
    "start": {"dateTime": "2030-01-07T09:00:00.0000000", "timeZone": "UTC"},
    "end": {"dateTime": "2030-01-07T10:00:00.0000000", "timeZone": "UTC"},
}


class _Endpoint:
    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.counts: Counter[str] = Counter()
        self._canned = {"discovery": answer(_DISCOVERY), "token": answer(_TOKENS)}

    def answer(self, method: bytes, path: bytes, head: bytes, body: bytes) -> tuple[bytes, float]:
        """The whole answer and the seconds to wait before it."""
        if path == b"/counts":
            return answer(self.counts), 0.0
        if path == b"/reset":
            self.counts.clear()
            return answer({}), 0.0
        if path.endswith(b"/getSchedule"):
            self.counts["schedule"] += 1
            return _schedules(body), self.latency
        kind = "token" if method == b"POST" else "discovery"
        self.counts[kind] += 1
        return self._canned[kind], self.latency


def _schedules(body: bytes) -> bytes:
    asked = json.loads(body)["schedules"]
    value = [{"scheduleId": name, "availabilityView": "2", "scheduleItems": [_ITEM]} for name in asked]
    return answer({"value": value})


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), _Endpoint(float(sys.argv[2]) / 1000).answer))
