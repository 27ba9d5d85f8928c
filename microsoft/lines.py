"""Connections to one origin, kept open, with one HTTP/1.1 request at a time on each: what requests' adapter asks.

A sweep over many tenants is made of nothing but such requests, and what urllib3 and http.client do around one costs
more than twice what it takes to send it and read its answer (benchmarks/README.md). No proxies here.
https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import select
import socket
import ssl
from collections import deque
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from urllib3.exceptions import ProtocolError, ReadTimeoutError
from urllib3.util import Timeout

_RECEIVED = 64 * 1024
_MOST_HEAD = 64 * 1024
_MOST_CHUNK_LINE = 1024
_WITHOUT_BODY = frozenset({204, 304})


class BadAnswer(ProtocolError):
    """What came is no whole HTTP answer. Never holds any of it."""


class Headers(Mapping[str, str]):
    """Looked up in any case; a name that came twice has its values joined."""

    __slots__ = ("_by_name",)

    def __init__(self, by_name: dict[str, str]) -> None:
        self._by_name = by_name

    def __getitem__(self, name: str) -> str:
        return self._by_name[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


class Lines:
    """The connections to one origin, for many threads. At most `kept` of those that nobody uses stay open."""

    def __init__(self, origin: str, trust: ssl.SSLContext | None, kept: int) -> None:
        parts = urlsplit(origin)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._trust = trust
        self._kept = kept
        self._free: deque[_Line] = deque()
        self._named = f"Host: {parts.netloc.rpartition('@')[2]}\r\n"

    def urlopen(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], *, timeout: Timeout, **_: object
    ) -> Reply:
        """The answer with its body unread; as urllib3's pool does it for requests, with less around it.

        Raises OSError, and urllib3's ReadTimeoutError and ProtocolError.
        """
        line = self._free_line() or self._new_line(_seconds(timeout.connect_timeout))
        try:
            line.seconds = _seconds(timeout.read_timeout)
            line.send(_head(method, url, self._named, headers) + (body or b""))
            return Reply(self, line)
        except TimeoutError:
            line.close()
            raise ReadTimeoutError(None, None, "no answer in time") from None  # type: ignore[arg-type]
        except BaseException:
            line.close()
            raise

    def give_back(self, line: _Line) -> None:
        """For the next request."""
        if len(self._free) < self._kept:
            self._free.append(line)
        else:
            line.close()

    def close(self) -> None:
        """What is in use stays open until its answer is read."""
        while (line := self._free_line()) is not None:
            line.close()

    def _free_line(self) -> _Line | None:
        """The one used last, so that those not needed fall silent and are closed by the other side."""
        while self._free:
            try:
                line = self._free.pop()
            except IndexError:  # another thread took it
                break
            if not line.spoke():
                return line
            line.close()
        return None

    def _new_line(self, seconds: float | None) -> _Line:
        plain = socket.create_connection((self._host, self._port), timeout=seconds)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _Line(self._trust.wrap_socket(plain, server_hostname=self._host) if self._trust else plain)
        except BaseException:
            plain.close()
            raise


class _Line:
    """One connection. `held`: bytes that have arrived and are not read yet. `seconds`: how long a step may take."""

    __slots__ = ("_poll", "_socket", "held", "seconds")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)
        self.held = b""
        self.seconds: float | None = None

    def send(self, data: bytes) -> None:
        self._socket.settimeout(self.seconds)
        self._socket.sendall(data)

    def receive(self) -> bytes:
        """What comes next; nothing when the other side has ended."""
        if self.held:
            data, self.held = self.held, b""
            return data
        return self._socket.recv(_RECEIVED)

    def until(self, end: bytes, most: int) -> bytes:
        """Everything before `end`, of which no more than `most` bytes are awaited."""
        data = self.receive()
        while (at := data.find(end)) < 0:
            more = self.receive() if len(data) <= most else b""
            if not more:
                raise BadAnswer("cut short or endless")
            data += more
        self.held = data[at + len(end) :]
        return data[:at]

    def spoke(self) -> bool:
        """Whether something came although nothing was asked: mostly the end."""
        return bool(self.held) or bool(self._poll.poll(0))

    def close(self) -> None:
        self._socket.close()


class Reply:
    """One answer. The connection is given back once the body was read to its end, and else closed with the answer."""

    __slots__ = ("_body", "_line", "_lines", "_reusable", "headers", "status")

    def __init__(self, lines: Lines, line: _Line) -> None:
        self._lines = lines
        self._line: _Line | None = line
        version, self.status, fields = _read_head(line)
        while self.status < 200:  # interim: the answer proper follows
            version, self.status, fields = _read_head(line)
        self.headers = Headers(fields)
        self._reusable = version != "HTTP/1.0" and "close" not in fields.get("connection", "").lower()
        self._body = self._chunks(line)

    def read1(self, _most: int = -1, *, decode_content: bool = False) -> bytes:
        """What comes next of the body, as it was sent; nothing at its end. Raises when it is cut short."""
        try:
            return next(self._body, b"")
        except TimeoutError:
            raise ReadTimeoutError(None, None, "no whole answer in time") from None  # type: ignore[arg-type]

    def close(self) -> None:
        """Closes the connection unless it was given back."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _chunks(self, line: _Line) -> Iterator[bytes]:
        length, coding = self.headers.get("content-length"), self.headers.get("transfer-encoding")
        if self.status in _WITHOUT_BODY:
            pass
        elif coding is not None:
            if coding.strip().lower() != "chunked":
                raise BadAnswer("a coding that was not asked for")
            yield from _by_chunks(line)
        elif length is not None:
            yield from _exactly(line, _number(length, 10))
        else:
            self._reusable = False
            while data := line.receive():
                yield data
        if self._reusable:
            self._line = None
            self._lines.give_back(line)


def _seconds(given: object) -> float | None:
    """None: for ever."""
    return float(given) if isinstance(given, int | float) else None


def _exactly(line: _Line, size: int) -> Iterator[bytes]:
    while size:
        data = line.receive()
        if not data:
            raise BadAnswer("cut short")
        if len(data) > size:
            data, line.held = data[:size], data[size:]
        size -= len(data)
        yield data


def _by_chunks(line: _Line) -> Iterator[bytes]:
    while size := _number(_chunk_line(line).partition(b";")[0].decode("latin-1"), 16):
        yield from _exactly(line, size)
        if _chunk_line(line):
            raise BadAnswer("a chunk longer than it says")
    while _chunk_line(line):  # trailers, which nobody asked for
        pass


def _chunk_line(line: _Line) -> bytes:
    return line.until(b"\r\n", _MOST_CHUNK_LINE)


def _head(method: str, target: str, named: str, headers: Mapping[str, str]) -> bytes:
    """Names and values were checked by requests: nothing in them breaks out of its line."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"{method} {target} HTTP/1.1\r\n{named}{fields}\r\n".encode("latin-1")


def _read_head(line: _Line) -> tuple[str, int, dict[str, str]]:
    """Version, status and fields by their names in lower case."""
    first, *rest = line.until(b"\r\n\r\n", _MOST_HEAD).decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if not version.startswith("HTTP/1."):
        raise BadAnswer("no HTTP")
    fields: dict[str, str] = {}
    for field in rest:
        name, _, value = field.partition(":")
        name, value = name.lower(), value.strip()
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return version, _number(status[:3], 10), fields


def _number(text: str, base: int) -> int:
    text = text.strip()
    if not text.isalnum() or not text.isascii():
        raise BadAnswer("no number where one must be")
    try:
        return int(text, base)
    except ValueError:
        raise BadAnswer("no number where one must be") from None
