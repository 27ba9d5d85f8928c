"""The HTTP door against real sockets: trust, time and size."""

from __future__ import annotations

import gzip
import ssl
import threading

import pytest
import trustme

from microsoft.errors import Misconfigured, Refused, Unavailable
from microsoft.http import MAX_BODY_BYTES, Deadline, build_session, exchange, retry_after_seconds, within
from tests.microsoft.conftest import StillClock, send, serving

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in (*BUNDLES, *PROXIES, *(proxy.lower() for proxy in PROXIES)):
        monkeypatch.delenv(name, raising=False)


def ask(url, *, session=None, headers=None, seconds=30.0, method="GET", body=None):
    session = session or build_session(None, 4)
    return exchange(session, method, url, headers=headers or {}, body=body, deadline=Deadline.after(seconds))


def answering(status=200, body=b"{}", headers=None):
    return lambda handler, _: send(handler, status, body, headers)


def test_an_answer_comes_whole_with_headers_in_any_case():
    with serving(answering(418, b"short and stout", {"Request-Id": "abc"})) as server:
        answer = ask(server.url)
    assert (answer.status, answer.body, answer.headers.get("request-id")) == (418, b"short and stout", "abc")


def test_an_answer_is_decompressed():
    with serving(answering(200, gzip.compress(b"x" * 1000), {"Content-Encoding": "gzip"})) as server:
        assert ask(server.url).body == b"x" * 1000
        assert server.requests[0][2]["Accept-Encoding"] == "gzip"


def test_a_chunked_answer_comes_whole():
    def behave(handler, _):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")

    with serving(behave) as server:
        assert ask(server.url).body == b"hello world"


def cut_content_length(handler, _):
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"{")
    handler.close_connection = True


def cut_chunks(handler, _):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"5\r\nhe")
    handler.close_connection = True


def cut_gzip(handler, _):
    send(handler, 200, gzip.compress(b"x" * 1000)[:-9], {"Content-Encoding": "gzip"})


def no_gzip_at_all(handler, _):
    send(handler, 200, b"plain", {"Content-Encoding": "gzip"})


def unasked_encoding(handler, _):
    send(handler, 200, b"?", {"Content-Encoding": "br"})


def drop(handler, _):
    handler.close_connection = True


def bomb(handler, _):
    send(handler, 200, gzip.compress(b"0" * (MAX_BODY_BYTES + 1)), {"Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    "behave", [cut_content_length, cut_chunks, cut_gzip, no_gzip_at_all, unasked_encoding, drop, bomb]
)
def test_a_broken_answer_is_unavailable(behave):
    with serving(behave) as server, pytest.raises(Unavailable) as broken:
        ask(server.url)
    assert broken.value.code == "microsoft_unavailable"


def test_a_body_just_below_the_limit_is_taken():
    with serving(answering(200, b"0" * MAX_BODY_BYTES)) as server:
        assert len(ask(server.url).body) == MAX_BODY_BYTES


def test_nobody_listening_is_unavailable():
    with serving(answering()) as server:
        url = server.url
    with pytest.raises(Unavailable) as failed:
        ask(url)
    assert failed.value.code == "microsoft_unavailable"
    assert url not in str(failed.value)


@pytest.mark.parametrize("url", ["nowhere", "ftp://localhost/x", "http://"])
def test_an_address_nobody_can_use_is_our_fault(url):
    with pytest.raises(Misconfigured):
        ask(url)


def drip_body(server_box):
    def behave(handler, _):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while not server_box[0].released.wait(0.02):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    return behave


def drip_headers(server_box):
    def behave(handler, _):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not server_box[0].released.wait(0.02):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    return behave


def hang(server_box):
    return lambda handler, _: server_box[0].released.wait()


@pytest.mark.parametrize("make", [drip_body, drip_headers, hang])
def test_a_server_that_never_finishes_cannot_outlive_the_deadline(make):
    box = []
    with serving(make(box)) as server:
        box.append(server)
        deadline = Deadline.after(0.3)
        with pytest.raises(Unavailable) as late:
            within(deadline, lambda: exchange(build_session(None, 1), "GET", server.url, headers={}, body=None,
                                              deadline=deadline))  # fmt: skip
        assert not server.released.is_set(), "the call came back although the server is still busy with it"
    assert late.value.code == "timeout"


def test_a_slow_drip_ends_at_the_deadline_without_being_left_behind():
    box = []
    with serving(drip_body(box)) as server:
        box.append(server)
        with pytest.raises(Unavailable) as late:
            ask(server.url, seconds=0.3)
        assert not server.released.is_set()
    assert late.value.code == "timeout"


def test_nothing_is_sent_after_the_deadline():
    with serving(answering()) as server:
        with pytest.raises(Unavailable) as late:
            ask(server.url, seconds=0.0)
        assert server.requests == []
    assert late.value.code == "timeout"


def test_connections_are_kept_and_a_503_makes_a_new_one():
    statuses = iter([200, 200, 503, 200, 200])
    with serving(lambda handler, _: send(handler, next(statuses), b"{}")) as server:
        session = build_session(None, 4)
        assert [ask(server.url, session=session).status for _ in range(5)] == [200, 200, 503, 200, 200]
        first, second, third, fourth, fifth = server.ports
    assert first == second == third
    assert fourth != third
    assert fifth == fourth


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_not_followed(status):
    with serving(answering(status, b"", {"Location": "/elsewhere"})) as server:
        assert ask(server.url).status == status
        assert len(server.requests) == 1


def test_cookies_of_one_answer_are_not_sent_with_the_next_request():
    with serving(answering(200, b"{}", {"Set-Cookie": "fpc=tenant-a; Path=/"})) as server:
        session = build_session(None, 1)
        ask(server.url, session=session)
        ask(server.url, session=session)
        assert "Cookie" not in server.requests[1][2]


def test_netrc_never_replaces_our_authorization(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(answering()) as server:
        ask(server.url, headers={"Authorization": "Bearer ours"})
        ask(server.url)
        assert server.requests[0][2]["Authorization"] == "Bearer ours"
        assert "Authorization" not in server.requests[1][2]


def test_a_proxy_of_the_environment_is_used(monkeypatch):
    with serving(answering(200, b"by proxy")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert ask("http://graph.invalid/v1.0/me").body == b"by proxy"
        assert proxy.requests[0][1] == "http://graph.invalid/v1.0/me"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture
def tls_server(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA).configure_cert(context)
    with serving(answering(200, b"trusted"), context=context) as server:
        yield server


@pytest.fixture
def bundles(authority, tmp_path):
    right, wrong = tmp_path / "right.pem", tmp_path / "wrong.pem"
    authority.cert_pem.write_to_path(str(right))
    trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.write_to_path(str(wrong))
    return {"right": str(right), "wrong": str(wrong), "none": None, "absent": str(tmp_path / "absent.pem")}


@pytest.mark.parametrize(
    ("configured", "environment", "trusted", "why"),
    [
        ("right", "none", True, "ours alone"),
        ("right", "wrong", True, "ours wins over the environment's"),
        ("wrong", "right", False, "ours wins even when only the environment's would do"),
        ("none", "right", True, "the environment's serves when we have none"),
        ("none", "wrong", False, "and it is really used"),
        ("none", "none", False, "the system store does not know our authority"),
    ],
)
@pytest.mark.parametrize("variable", BUNDLES)
def test_our_ca_bundle_wins_over_the_environments(
    tls_server, bundles, monkeypatch, configured, environment, trusted, why, variable
):
    if bundles[environment]:
        monkeypatch.setenv(variable, bundles[environment])
    session = build_session(bundles[configured], 1)
    if trusted:
        assert ask(tls_server.url, session=session).body == b"trusted", why
    else:
        with pytest.raises(Unavailable):
            ask(tls_server.url, session=session)


def test_a_ca_bundle_that_is_not_there_is_our_fault(tls_server, bundles):
    with pytest.raises(Misconfigured):
        ask(tls_server.url, session=build_session(bundles["absent"], 1))


def test_work_within_a_deadline_gives_its_result_or_its_error():
    deadline = Deadline.after(30)
    assert within(deadline, lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        within(deadline, lambda: 1 // 0)


def test_an_error_of_ours_arrives_without_the_frames_that_held_the_token():
    def work():
        token = "clear-token"
        try:
            raise ValueError(token)
        except ValueError:
            raise Refused("other") from None

    with pytest.raises(Refused) as refused:
        within(Deadline.after(30), work)
    assert refused.value.__context__ is None
    frames = [entry.frame.f_locals for entry in refused.traceback]
    assert not any("clear-token" in str(list(local.values())) for local in frames)


def test_work_begins_only_before_the_deadline():
    begun = threading.Event()
    with pytest.raises(Unavailable):
        within(Deadline.after(0.0), begun.set)
    assert not begun.is_set()


def test_a_deadline_counts_down_and_stays_at_nothing():
    clock = StillClock()
    deadline = Deadline.after(10, clock=clock)
    assert (deadline.remaining(), deadline.expired) == (10, False)
    clock.sleep(11)
    assert (deadline.remaining(), deadline.expired) == (0, True)


@pytest.mark.parametrize(("seconds", "remaining"), [(3, 3), (10, 10), (30, 10)])
def test_a_shorter_deadline_is_never_later_than_the_first(seconds, remaining):
    assert Deadline.after(10, clock=StillClock()).at_most(seconds).remaining() == remaining


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("2.128", 2.128),
        ("0", 0),
        ("-5", 0),
        (" 7 ", 7),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10),
        ("Thu, 01 Jan 1970 00:16:30 GMT", 0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(value, seconds):
    assert retry_after_seconds(value, wall_clock=lambda: 1000.0) == seconds


def test_the_wall_clock_is_the_machines_unless_given():
    assert retry_after_seconds("Thu, 01 Jan 1970 00:00:00 GMT") == 0
