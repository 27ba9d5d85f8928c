"""Connections of our own against a socket that answers by a script, byte for byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from microsoft.errors import Misconfigured, Unavailable
from microsoft.http import Answer, Deadline, DoorSession, build_session, exchange

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Scripted:
    """Each accepted connection gives its answers one after the other, one for a request, and closes then."""

    def __init__(self, connections: Sequence[Sequence[bytes]]) -> None:
        self.requests: list[bytes] = []
        self.accepted = 0
        self._connections = connections
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._closed = threading.Semaphore(0)
        threading.Thread(target=self._serve, daemon=True).start()

    def wait_until_closed(self) -> None:
        """Until the next connection was closed on this side."""
        assert self._closed.acquire(timeout=10)

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        for answers in self._connections:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            with peer:
                for answer in answers:
                    self.requests.append(_request(peer))
                    peer.sendall(answer)
            self._closed.release()


def _request(peer: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = peer.recv(65536)
        if not more:
            break
        data += more
    return data


@contextmanager
def scripted(*connections: Sequence[bytes]) -> Iterator[Scripted]:
    server = Scripted(connections)
    try:
        yield server
    finally:
        server.close()


def ask(session: DoorSession, url: str, **headers: str) -> Answer:
    return exchange(session, "GET", f"{url}/x", headers=headers, body=None, deadline=Deadline.after(30.0))


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_a_connection_that_the_other_side_has_closed_is_not_used_again() -> None:
    with scripted([OK], [OK]) as server:
        session = build_session(None, 4)
        assert ask(session, server.url).body == b"ok"
        server.wait_until_closed()
        assert ask(session, server.url).body == b"ok"
        assert server.accepted == 2


@pytest.mark.parametrize(
    "last",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nok",
    ],
    ids=["said so", "the old version", "no length"],
)
def test_after_an_answer_that_ends_its_connection_comes_a_new_one(last: bytes) -> None:
    with scripted([last], [OK]) as server:
        session = build_session(None, 4)
        assert [ask(session, server.url).body for _ in range(2)] == [b"ok", b"ok"]
        assert server.accepted == 2


def test_interim_answers_are_not_the_answer() -> None:
    with scripted([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK]) as server:
        answer = ask(build_session(None, 4), server.url)
    assert (answer.status, answer.body) == (200, b"ok")


def test_chunks_with_extensions_and_trailers_leave_the_connection_usable() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
    with scripted([chunked, OK]) as server:
        session = build_session(None, 4)
        assert [ask(session, server.url).body for _ in range(2)] == [b"ok", b"ok"]
        assert server.accepted == 1


def test_an_answer_without_a_body_leaves_the_connection_usable() -> None:
    with scripted([b"HTTP/1.1 204 No Content\r\n\r\n", OK]) as server:
        session = build_session(None, 4)
        assert [ask(session, server.url).body for _ in range(2)] == [b"", b"ok"]
        assert server.accepted == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
    ],
    ids=["nothing", "cut", "other", "status", "negative", "two lengths", "coding", "size", "long chunk", "long head"],
)
def test_what_is_no_whole_answer_is_unavailable(answer: bytes) -> None:
    with scripted([answer]) as server, pytest.raises(Unavailable) as broken:
        ask(build_session(None, 4), server.url)
    assert broken.value.code == "microsoft_unavailable"


def test_a_header_cannot_break_out_of_its_line() -> None:
    with scripted([OK]) as server:
        with pytest.raises(Misconfigured):
            ask(build_session(None, 4), server.url, Authorization="Bearer a\r\nX-Other: b")
        assert server.requests == []


def test_a_request_names_its_host_and_its_target() -> None:
    with scripted([OK]) as server:
        ask(build_session(None, 4), server.url, Prefer="x")
    head = server.requests[0].decode().split("\r\n")
    assert head[0] == "GET /x HTTP/1.1"
    assert head[1] == f"Host: {server.url.removeprefix('http://')}"
    assert "Prefer: x" in head
