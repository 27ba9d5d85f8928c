"""One POST to a checked address: no redirect followed, no proxy asked, no answer kept, and never beyond its deadline.

The environment's proxies are left out on purpose: behind one, nobody here could say which address is spoken to.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from microsoft.http import CONNECT_SECONDS, Deadline, retry_after_seconds
from webhooks.addresses import AddressRefused, Place, Target, parse, resolve

GONE = 410
_READ_AT_MOST = 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt went. `error` is "" when the receiver took it; `status` None when it gave no answer."""

    status: int | None
    error: str
    latency_ms: int
    retry_after: float | None = None

    @property
    def delivered(self) -> bool:
        return not self.error


def post(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    private_hosts: Set[str],
    trust: ssl.SSLContext,
    deadline: Deadline,
) -> Outcome:
    """Sends the body; every way in which this can fail is an outcome, not an exception."""
    begun = time.monotonic()
    status, error, retry_after = None, "", None
    try:
        target = parse(url, private_hosts)
        places = resolve(target, private_hosts)
        with _connect(places, deadline) as plain, _secured(plain, target, trust, deadline) as line:
            status, retry_after = _exchange(line, target, headers, body, deadline)
            error = "" if 200 <= status < 300 else f"http_{status}"
    except AddressRefused as refused:
        error = refused.code
    except TimeoutError:
        error = "timeout"
    except ssl.SSLError:
        error = "tls"
    except (OSError, http.client.HTTPException):
        error = "timeout" if deadline.expired else "unreachable"
    return Outcome(status, error, round((time.monotonic() - begun) * 1000), retry_after)


def _connect(places: list[Place], deadline: Deadline) -> socket.socket:
    """The first of the checked addresses that answers."""
    failure: OSError = OSError("no address")
    for place in places:
        line = socket.socket(place.family, socket.SOCK_STREAM)
        try:
            line.settimeout(min(CONNECT_SECONDS, _left(deadline)))
            line.connect(place.sockaddr)
        except OSError as error:
            line.close()
            failure = error
        else:
            return line
    raise failure


def _secured(line: socket.socket, target: Target, trust: ssl.SSLContext, deadline: Deadline) -> socket.socket:
    line.settimeout(_left(deadline))
    return trust.wrap_socket(line, server_hostname=target.host) if target.scheme == "https" else line


def _exchange(
    line: socket.socket, target: Target, headers: Mapping[str, str], body: bytes, deadline: Deadline
) -> tuple[int, float | None]:
    """The answer's status, and for how many seconds it asks us to stay away."""
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = _Line(line, deadline)
    connection.request("POST", target.path, body, {**headers, "Host": target.name, "Connection": "close"})
    answer = connection.getresponse()
    # So that the receiver sees its answer taken; nobody looks at it, and the status alone counts.
    with contextlib.suppress(OSError, http.client.HTTPException):
        answer.read(_READ_AT_MOST)
    return answer.status, retry_after_seconds(answer.headers.get("Retry-After"))


def _left(deadline: Deadline) -> float:
    """Seconds for the next step; a timeout of 0 would mean not to wait at all."""
    if deadline.expired:
        raise TimeoutError
    return deadline.remaining()


class _Line:
    """A socket as http.client uses it, with the time left as timeout of each step: a slow drip ends in time too."""

    def __init__(self, line: socket.socket, deadline: Deadline) -> None:
        self._line = line
        self._deadline = deadline

    def sendall(self, data: Any) -> None:
        self._line.settimeout(_left(self._deadline))
        self._line.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._line, self._deadline))

    def close(self) -> None:
        """Whoever opened the socket closes it; http.client would do so before the body is read."""


class _Reader(io.RawIOBase):
    """What comes in, while there is time."""

    def __init__(self, line: socket.socket, deadline: Deadline) -> None:
        self._line = line
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._line.settimeout(_left(self._deadline))
        return self._line.recv_into(buffer)
