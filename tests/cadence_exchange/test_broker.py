"""The embedded broker: a message is there whole or not at all, and a real worker takes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from typing import Any
from uuid import uuid4

import pytest
from kombu import Connection, Queue

from cadence_exchange import broker
from cadence_exchange.celery import app

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60.0
PRODUCERS, EACH = 4, 50
TEXT = "ünïcode " * 2000  # far more than one write takes


@pytest.fixture
def connect(tmp_path: Path) -> Callable[[], Connection]:
    """Makes connections to a broker of the test's own."""
    broker.register()
    folders = broker.options(tmp_path / "broker")
    return lambda: Connection("embedded://", transport_options=folders)


@pytest.fixture
def name() -> str:
    """A queue's name of the test's own: kombu remembers for the whole process which queues it has bound."""
    return f"work-{uuid4().hex}"


def put(link: Connection, name: str, messages: list[Any]) -> None:
    queue = link.SimpleQueue(name)
    for message in messages:
        queue.put(message)
    queue.close()


def wait_until(ready: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_messages_come_in_the_order_they_were_sent(connect: Callable[[], Connection], name: str) -> None:
    with connect() as link:
        put(link, name, list(range(10)))
        queue = link.SimpleQueue(name)
        received = [queue.get(timeout=5) for _ in range(10)]
        assert [message.payload for message in received] == list(range(10))
        with pytest.raises(Empty):
            queue.get(block=False)


def test_a_message_waits_for_a_consumer_that_starts_later(connect: Callable[[], Connection], name: str) -> None:
    with connect() as link:
        put(link, name, ["hello"])
    with connect() as link:
        assert link.SimpleQueue(name).get(timeout=5).payload == "hello"


PRODUCE = """
import sys
from pathlib import Path
from kombu import Connection
from cadence_exchange import broker
broker.register()
with Connection("embedded://", transport_options=broker.options(Path(sys.argv[1]))) as link:
    queue = link.SimpleQueue(sys.argv[5])
    sys.stdin.readline()
    for number in range(int(sys.argv[3])):
        queue.put({"of": sys.argv[2], "number": number, "text": sys.argv[4]})
"""


def test_a_consumer_beside_fast_producers_never_sees_half_a_message(
    connect: Callable[[], Connection], name: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PRODUCE, str(tmp_path / "broker")]
    producers = [
        subprocess.Popen([*command, str(number), str(EACH), TEXT, name], cwd=ROOT, stdin=subprocess.PIPE, text=True)
        for number in range(PRODUCERS)
    ]
    with connect() as link, ThreadPoolExecutor(PRODUCERS) as pool:
        queue = link.SimpleQueue(name)
        sent = [pool.submit(producer.communicate, "go\n", PATIENCE_SECONDS) for producer in producers]
        received = []
        for _ in range(PRODUCERS * EACH):
            message = queue.get(timeout=PATIENCE_SECONDS)
            message.ack()
            received.append(message.payload)
        for result in sent:
            result.result()
    assert all(message["text"] == TEXT for message in received)
    assert len({(message["of"], message["number"]) for message in received}) == PRODUCERS * EACH
    assert [producer.returncode for producer in producers] == [0] * PRODUCERS


def test_a_message_is_written_under_a_name_that_no_consumer_looks_for_and_then_renamed(
    connect: Callable[[], Connection], name: str, tmp_path: Path
) -> None:
    queue = tmp_path / "broker" / "queue"
    with connect() as link:
        put(link, name, ["hello"])
    (written,) = queue.iterdir()
    assert written.name.endswith(f".{name}.msg")
    (queue / f".{written.name}.part").write_text("half a mess")
    with connect() as link:
        waiting = link.SimpleQueue(name)
        assert waiting.get(timeout=5).payload == "hello"
        with pytest.raises(Empty):
            waiting.get(block=False)


def test_two_consumers_share_the_messages_without_doubling_one(connect: Callable[[], Connection], name: str) -> None:
    with connect() as link:
        put(link, name, list(range(60)))

    def consume(_: int) -> list[int]:
        with connect() as link:
            queue, taken = link.SimpleQueue(name), []
            while True:
                try:
                    message = queue.get(block=False)
                    message.ack()  # one that is not comes back when its consumer leaves
                    taken.append(message.payload)
                except Empty:
                    return taken

    with ThreadPoolExecutor(2) as pool:
        taken = [number for part in pool.map(consume, range(2)) for number in part]
    assert sorted(taken) == list(range(60))


BIND = """
import sys
from pathlib import Path
from kombu import Connection
from cadence_exchange import broker
broker.register()
with Connection("embedded://", transport_options=broker.options(Path(sys.argv[1]))) as link:
    channel = link.default_channel
    sys.stdin.readline()
    for number in range(200):
        channel.exchange_declare(f"shared-{number}", "direct")
        channel.queue_bind(f"queue-{sys.argv[2]}", f"shared-{number}", "key")
"""


def test_processes_that_bind_their_queues_at_once_lose_none_and_read_no_half_table(tmp_path: Path) -> None:
    binders = [
        subprocess.Popen(
            [sys.executable, "-c", BIND, str(tmp_path / "broker"), str(number)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for binder in binders:
        assert binder.stdin
        binder.stdin.write("go\n")
        binder.stdin.flush()
    assert [binder.communicate(timeout=PATIENCE_SECONDS)[1] for binder in binders] == [""] * 3
    tables = [json.loads(file.read_text()) for file in (tmp_path / "broker" / "control").glob("shared-*.exchange")]
    assert [len(table) for table in tables] == [3] * 200


def test_the_celery_application_uses_the_address_of_the_settings(settings: Any) -> None:
    assert app.conf.broker_url == settings.CELERY_BROKER_URL
    assert app.conf.task_ignore_result is True
    assert Queue("celery").name == app.conf.task_default_queue


# --- a real worker --------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a migrated installation."""
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "cadence_exchange.settings",
        "DATABASE_URL": f"sqlite:///{tmp_path}/cadence.sqlite3",
    }
    migrate = [sys.executable, "manage.py", "migrate", "--noinput", "--verbosity", "0"]
    subprocess.run(migrate, cwd=ROOT, env=environment, check=True, timeout=120)
    return environment


@pytest.fixture
def worker(installed: dict[str, str], tmp_path: Path) -> Iterator[Path]:
    """A worker without beat; gives its log. It alone is signalled: its whole group at once may hang."""
    log = tmp_path / "worker.log"
    command = [sys.executable, "-m", "celery", "-A", "cadence_exchange", "worker", "--pool", "solo", "-l", "INFO"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=installed, stdout=out, stderr=out, start_new_session=True)
    try:
        wait_until(lambda: b"ready." in log.read_bytes() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)


SEND = """
import django
django.setup()
from tenants.tasks import heartbeat
heartbeat.delay()
"""
DESCRIBE = """
import django
django.setup()
from tenants import heartbeat
print(heartbeat.describe(heartbeat.Process.WORKER))
"""


@pytest.mark.processes
@pytest.mark.xdist_group("processes")
def test_a_task_sent_by_a_web_process_is_done_by_the_worker(installed: dict[str, str], worker: Path) -> None:
    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=installed, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(SEND)
    wait_until(lambda: b"succeeded in" in worker.read_bytes())
    assert run(DESCRIBE).strip().endswith("s ago")


@pytest.mark.processes
@pytest.mark.xdist_group("processes")
def test_a_worker_with_a_bad_environment_does_not_start(installed: dict[str, str]) -> None:
    command = [sys.executable, "-m", "celery", "-A", "cadence_exchange", "worker", "--pool", "solo"]
    done = subprocess.run(
        command, cwd=ROOT, env={**installed, "DEBUG": "maybe"}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    assert "DEBUG" in done.stderr
    assert "True or False" in done.stderr
