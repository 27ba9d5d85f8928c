"""Delivering: what counts as delivered, when it is tried again, and that nothing is lost or sent beside the rules."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection as database
from django.utils import timezone

from microsoft.secret import Secret
from tenants.models import AuditEntry
from tests.factories import make_account
from tests.webhooks.conftest import MakeEndpoint
from tests.webhooks.receiver import Receiver
from webhooks import endpoints, pruning, sending
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.outbox import note_test
from webhooks.retrying import WAITS, wait_after
from webhooks.sending import send_due

NOON = datetime(2027, 3, 16, 12, 0, tzinfo=UTC)


def only() -> Delivery:
    return Delivery.objects.get()


# --- the schedule -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("attempts", "retry_after", "chance", "seconds"),
    [
        (1, None, 0.0, 60),
        (1, None, 1.0, 72),
        (3, None, 0.0, 1800),
        (8, None, 0.0, 86_400),
        (9, None, 0.0, None),
        (9, 60.0, 0.0, None),
        (1, 600.0, 0.0, 600),
        (4, 600.0, 0.0, 7200),
        (1, 10_000_000.0, 0.0, 86_400),
    ],
)
def test_how_long_a_failed_delivery_waits(
    attempts: int, retry_after: float | None, chance: float, seconds: int | None
) -> None:
    wait = wait_after(attempts, retry_after=retry_after, chance=chance)
    assert wait == (None if seconds is None else timedelta(seconds=seconds))


def test_all_waits_together_are_about_three_days() -> None:
    assert timedelta(days=2.5) < timedelta(seconds=sum(WAITS)) < timedelta(days=3)


# --- what counts --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_any_2xx_is_delivered_and_sent_no_second_time(
    receiver: Receiver, make_endpoint: MakeEndpoint, status: int
) -> None:
    endpoint, secret = make_endpoint(receiver.url)
    receiver.answers = [(status, {})]
    note_test(endpoint)
    assert (send_due(), send_due()) == (1, 0)
    [received] = receiver.received
    received.verify(secret)
    delivery = only()
    assert (delivery.standing, delivery.last_status, delivery.last_error) == ("delivered", status, "")
    assert delivery.attempts == 1 and delivery.latency_ms is not None and delivery.holder == ""


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 429, 500, 503])
def test_anything_else_is_tried_again_later_under_the_same_id(
    receiver: Receiver, make_endpoint: MakeEndpoint, status: int
) -> None:
    endpoint, secret = make_endpoint(receiver.url)
    receiver.answers = [(status, {"Location": receiver.url})]
    with time_machine.travel(NOON, tick=False) as clock:
        note_test(endpoint)
        assert send_due() == 1
        delivery = only()
        assert (delivery.standing, delivery.last_error) == ("waiting", f"http_{status}")
        assert delivery.next_try_at is not None
        assert NOON + timedelta(seconds=60) <= delivery.next_try_at <= NOON + timedelta(seconds=72)
        clock.shift(59)
        assert send_due() == 0
        clock.shift(14)
        assert send_due() == 1
        assert len(receiver.received) == 2  # so the redirect was not followed
        receiver.received[1].verify(secret)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert only().standing == "delivered"
    assert list(Attempt.objects.values_list("status", flat=True)) == [status, 204]


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("600", 600), ("Tue, 16 Mar 2027 12:10:00 GMT", 600), ("1", 60), ("soon", 60), ("99999999", 86_400)],
)
def test_a_receiver_may_ask_for_more_time(
    receiver: Receiver, make_endpoint: MakeEndpoint, retry_after: str, seconds: int
) -> None:
    endpoint, _ = make_endpoint(receiver.url)
    receiver.answers = [(503, {"Retry-After": retry_after})]
    with time_machine.travel(NOON, tick=False):
        note_test(endpoint)
        send_due()
        wait = only().next_try_at - NOON  # type: ignore[operator]
    assert timedelta(seconds=seconds) <= wait <= max(timedelta(seconds=seconds), timedelta(seconds=72))


def test_after_nine_attempts_over_three_days_a_delivery_has_failed(
    receiver: Receiver, make_endpoint: MakeEndpoint
) -> None:
    endpoint, _ = make_endpoint(receiver.url)
    receiver.answers = [(500, {})] * 20
    with time_machine.travel(NOON, tick=False) as clock:
        note_test(endpoint)
        while (delivery := only()).next_try_at is not None:
            clock.move_to(delivery.next_try_at)
            assert send_due() == 1
        assert timedelta(days=2.5) < timezone.now() - NOON < timedelta(days=3.5)
    assert (delivery.standing, delivery.attempts, delivery.failed_at is None) == ("failed", 9, False)
    assert len(receiver.received) == 9
    assert Attempt.objects.count() == 9


def test_410_disables_the_endpoint_and_what_waits_for_it_waits_until_it_is_enabled(
    receiver: Receiver, make_endpoint: MakeEndpoint
) -> None:
    account = make_account()
    endpoint, _ = make_endpoint(receiver.url, account)
    receiver.answers = [(410, {})]
    note_test(endpoint)
    send_due()
    endpoint.refresh_from_db()
    assert endpoint.disabled_at is not None and only().standing == "failed"
    entry = AuditEntry.objects.get(action="webhook_disabled")
    assert (entry.account, entry.details["why"]) == (account, "the receiver answered 410 Gone")
    waiting = note_test(endpoint)
    assert send_due() == 0
    assert endpoints.enable(endpoint.pk)
    assert send_due() == 1
    waiting.refresh_from_db()
    assert waiting.standing == "delivered"


def test_a_delivery_sent_again_starts_anew_under_its_old_id(receiver: Receiver, make_endpoint: MakeEndpoint) -> None:
    endpoint, _ = make_endpoint(receiver.url)
    note_test(endpoint)
    send_due()
    endpoints.deliver_again(only(), actor="root")
    assert (only().standing, only().attempts) == ("waiting", 0)
    assert send_due() == 1
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 1
    assert AuditEntry.objects.get().action == "webhook_delivered_again"


# --- the way there ------------------------------------------------------------------------------------------------
def test_over_tls_the_certificate_must_be_trusted_and_for_the_host(
    settings: Any, make_endpoint: MakeEndpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    trustme = pytest.importorskip("trustme")
    import ssl

    from tests.webhooks.receiver import receiving

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    settings.WEBHOOK_PRIVATE_HOSTS = frozenset({"127.0.0.1", "localhost"})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with receiving(context) as here:
        endpoint, secret = make_endpoint(here.url)
        note_test(endpoint)
        send_due()
        assert (only().last_error, here.received) == ("tls", [])
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        Delivery.objects.update(next_try_at=timezone.now())
        send_due()
        [received] = here.received
        received.verify(secret)
        Endpoint.objects.update(url=here.url.replace("127.0.0.1", "localhost"))  # not in the certificate
        note_test(endpoint)
        send_due()
        assert Delivery.objects.first().last_error == "tls"  # type: ignore[union-attr]


def test_a_name_that_moves_into_a_private_network_after_it_was_saved_is_not_spoken_to(
    settings: Any, receiver: Receiver, make_endpoint: MakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_PRIVATE_HOSTS = frozenset()
    port = int(receiver.url.split(":")[2].split("/")[0])
    moved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: moved)
    endpoint, _ = make_endpoint(f"https://hooks.example:{port}/")
    note_test(endpoint)
    send_due()
    assert (only().standing, only().last_error, receiver.received) == ("waiting", "address_not_allowed", [])


def test_the_connection_goes_to_the_address_that_was_checked_whatever_the_name_says_a_moment_later(
    make_endpoint: MakeEndpoint, receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_PRIVATE_HOSTS = frozenset()
    asked: list[str] = []
    connected: list[Any] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        address = "8.8.8.8" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    class Socket(socket.socket):
        def connect(self, address: Any) -> None:
            connected.append(address)
            raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "socket", Socket)
    endpoint, _ = make_endpoint("https://rebinding.example/")
    note_test(endpoint)
    send_due()
    assert (asked, connected) == (["rebinding.example"], [("8.8.8.8", 443)])
    assert only().last_error == "unreachable"


def test_no_proxy_of_the_environment_is_asked(
    receiver: Receiver, make_endpoint: MakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    endpoint, _ = make_endpoint(receiver.url)
    note_test(endpoint)
    send_due()
    assert only().standing == "delivered"


def test_nobody_listening_is_an_attempt_like_any_other(settings: Any, make_endpoint: MakeEndpoint) -> None:
    settings.WEBHOOK_PRIVATE_HOSTS = frozenset({"127.0.0.1"})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint, _ = make_endpoint(f"http://127.0.0.1:{port}/")
    note_test(endpoint)
    assert send_due() == 1
    assert (only().standing, only().last_status, only().last_error) == ("waiting", None, "unreachable")


@contextmanager
def answering(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that speaks as `talk` does, one connection at a time."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line, suppress(OSError):
                    talk(line)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        server.shutdown(socket.SHUT_RDWR)


def test_a_slow_drip_ends_with_the_time_for_an_answer(
    settings: Any, make_endpoint: MakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ANSWER_SECONDS", 0.6)

    def drip(line: socket.socket) -> None:
        line.recv(65_536)
        line.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        for _ in range(40):
            line.sendall(b"a")
            time.sleep(0.05)
        line.sendall(b"\r\n\r\n")  # a good answer, but too late

    settings.WEBHOOK_PRIVATE_HOSTS = frozenset({"127.0.0.1"})
    with answering(drip) as url:
        endpoint, _ = make_endpoint(url)
        note_test(endpoint)
        send_due()
    assert (only().last_status, only().last_error) == (None, "timeout")


def test_an_endless_answer_is_not_read(settings: Any, make_endpoint: MakeEndpoint) -> None:
    sent: list[int] = []

    def flood(line: socket.socket) -> None:
        line.recv(65_536)
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            sent.append(line.send(b"x" * 65_536))

    settings.WEBHOOK_PRIVATE_HOSTS = frozenset({"127.0.0.1"})
    with answering(flood) as url:
        endpoint, _ = make_endpoint(url)
        note_test(endpoint)
        send_due()
    assert only().standing == "delivered"
    assert sum(sent) < 64 * 1024 * 1024  # what the buffers of two sockets hold, and no more


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 hello\r\n\r\n", b"\x00" * 70_000])
def test_what_does_not_speak_http_gave_no_answer(settings: Any, make_endpoint: MakeEndpoint, answer: bytes) -> None:
    def talk(line: socket.socket) -> None:
        line.recv(65_536)
        line.sendall(answer)

    settings.WEBHOOK_PRIVATE_HOSTS = frozenset({"127.0.0.1"})
    with answering(talk) as url:
        endpoint, _ = make_endpoint(url)
        note_test(endpoint)
        send_due()
    assert (only().standing, only().last_status, only().last_error) == ("waiting", None, "unreachable")


# --- workers ------------------------------------------------------------------------------------------------------
class Killed(BaseException):
    """What SIGKILL leaves: whatever was not written yet is not written."""


def test_a_worker_killed_between_claim_and_result_leaves_a_row_that_comes_back(
    receiver: Receiver, make_endpoint: MakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, _ = make_endpoint(receiver.url)
    note_test(endpoint)

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(sending._Run, "_write", killed)
        with pytest.raises(Killed):
            send_due()
    assert send_due() == 0  # another worker leaves it alone while the claim holds
    with time_machine.travel(timezone.now() + timedelta(minutes=4), tick=False):
        assert send_due() == 1
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 1
    assert (len(receiver.received), only().standing, only().attempts) == (2, "delivered", 1)


def test_a_late_result_of_a_lost_claim_is_not_written(
    receiver: Receiver, make_endpoint: MakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, _ = make_endpoint(receiver.url)
    note_test(endpoint)
    receiver.answers = [(500, {})]
    write = sending._Run._write

    def overtaken(run: Any, results: Any) -> None:
        Delivery.objects.update(holder="another worker")
        write(run, results)

    monkeypatch.setattr(sending._Run, "_write", overtaken)
    send_due()
    assert (only().holder, only().attempts, Attempt.objects.count()) == ("another worker", 0, 0)


def test_an_endpoint_that_gives_no_answer_does_not_hold_up_the_others(
    settings: Any, receiver: Receiver, make_endpoint: MakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "WIDTH", 1)  # claims of eight
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    silent, _ = make_endpoint(f"http://127.0.0.1:{port}/")
    well, _ = make_endpoint(receiver.url)
    for _ in range(30):
        note_test(silent)
    note_test(well)
    attempts = send_due()
    assert len(receiver.received) == 1
    assert attempts < 31
    assert Delivery.objects.filter(endpoint=silent, attempts=0).exists()


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_a_time_send_everything_once(
    transactional_db: None, receiver: Receiver, make_endpoint: MakeEndpoint
) -> None:
    endpoint, _ = make_endpoint(receiver.url)
    for _ in range(150):
        note_test(endpoint)
    begin = threading.Barrier(2)
    made: list[int] = []

    def work() -> None:
        try:
            begin.wait(10)
            made.append(send_due())
        finally:
            database.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sum(made) == 150
    assert len(receiver.received) == len({received.headers["webhook-id"] for received in receiver.received}) == 150
    assert not Delivery.objects.filter(delivered_at=None).exists()


# --- secrets ------------------------------------------------------------------------------------------------------
def test_after_a_renewal_both_secrets_sign_for_three_days_and_then_the_new_one_alone(
    receiver: Receiver, make_endpoint: MakeEndpoint
) -> None:
    endpoint, old = make_endpoint(receiver.url)
    with time_machine.travel(NOON, tick=False) as clock:
        new = endpoints.renew_secret(endpoint, actor="root").reveal()
        note_test(endpoint)
        send_due()
        receiver.received[0].verify(old)
        receiver.received[0].verify(new)
        clock.shift(timedelta(days=3))
        note_test(endpoint)
        send_due()
        receiver.received[1].verify(new)
        with pytest.raises(ValueError, match="not signed"):
            receiver.received[1].verify(old)
        pruning.prune()
    assert (Endpoint.objects.get().previous_secret, Endpoint.objects.get().previous_until) == (None, None)


def test_a_secret_that_no_key_opens_stops_the_sending_and_loses_nothing(
    settings: Any, receiver: Receiver, make_endpoint: MakeEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    from cryptography.fernet import Fernet

    from webhooks.tasks import send_due_webhooks

    endpoint, _ = make_endpoint(receiver.url)
    note_test(endpoint)
    keys = settings.FERNET_KEYS
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    send_due_webhooks()
    assert "webhooks wait" in caplog.text
    settings.FERNET_KEYS = keys
    send_due_webhooks()
    assert only().standing == "delivered"


def test_secrets_come_under_a_new_encryption_key_with_the_tokens(settings: Any, make_endpoint: MakeEndpoint) -> None:
    from cryptography.fernet import Fernet

    from tenants.keys import rotate

    endpoint, old = make_endpoint("https://hooks.example/")
    new = endpoints.renew_secret(endpoint, actor="root").reveal()
    newest = Fernet.generate_key().decode()
    settings.FERNET_KEYS = [newest, *settings.FERNET_KEYS]
    list(rotate())
    settings.FERNET_KEYS = [newest]
    row = Endpoint.objects.get()
    assert (row.secret, row.previous_secret) == (Secret(new), Secret(old))


# --- pruning ------------------------------------------------------------------------------------------------------
def test_deliveries_are_forgotten_after_thirty_days_batch_by_batch(
    make_endpoint: MakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    endpoint, _ = make_endpoint("https://hooks.example/")
    for days in (29, 30, 31, 40, 50, 60):
        with time_machine.travel(NOON - timedelta(days=days), tick=False):
            delivery = note_test(endpoint)
            Attempt.objects.create(delivery=delivery, at=timezone.now(), status=500, latency_ms=1)
    with time_machine.travel(NOON, tick=False):
        assert pruning.prune() == 4
    assert Delivery.objects.count() == Attempt.objects.count() == 2
