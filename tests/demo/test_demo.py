"""The terminal demo as a person starts it: real processes, free ports, a folder of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[2]
LAST_LINE = "Ctrl-C ends everything."
PATIENCE_SECONDS = 120.0  # for a start on a busy machine; nothing is judged by how fast it was
# What a caller may have set for other work. None of it may reach the demo's processes.
STRANGE_ENVIRONMENT = {
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "PUBLIC_URL": "https://elsewhere.example",
    "ALLOWED_HOSTS": "elsewhere.example",
    "DJANGO_SECRET_KEY_FILE": "/nowhere",
    "FERNET_KEYS": "no key",
    "DEBUG": "perhaps",
    "MICROSOFT_CA_BUNDLE": "/nowhere",
    "MICROSOFT_CLIENT_ID": "another",
    "REQUESTS_CA_BUNDLE": "/nowhere",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "DJANGO_SETTINGS_MODULE": "nothing",
    "GUNICORN_CMD_ARGS": "--bind 127.0.0.1:1",
}

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("processes")]


class Demo:
    """One run of `python -m demo`; what it prints goes to a file."""

    def __init__(self, folder: Path, ports: tuple[int, int, int], output: Path) -> None:
        self.output = output
        web, https, http = (str(port) for port in ports)
        where = ["--var", str(folder), "--port", web, "--https-port", https, "--http-port", http]
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "demo", *where],
                cwd=ROOT,
                env={**os.environ, **STRANGE_ENVIRONMENT},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait_until_ready(self) -> Demo:
        end = time.monotonic() + PATIENCE_SECONDS
        while LAST_LINE not in self.text:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < end, self.text
            time.sleep(0.05)
        return self

    def url(self, pattern: str) -> str:
        found = re.search(rf"http://localhost:\d+{pattern}", self.text)
        assert found, self.text
        return found[0]

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


Start = Callable[[Path], Demo]


def free_ports() -> tuple[int, int, int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        web, https, http = (each.getsockname()[1] for each in sockets)
    return web, https, http


def processes_naming(text: str) -> list[str]:
    """Command lines and environments of this machine's processes that hold `text`, those of the test itself apart."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            known = command + (folder / "environ").read_bytes().decode(errors="replace")
        except OSError:  # it has ended, or is not ours to look at
            continue
        if text in known and int(folder.name) != os.getpid():
            found.append(f"{folder.name} {command}")
    return found


def short(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "demo", "--var", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts demos; whatever a failed test leaves is ended."""
    running: list[Demo] = []

    def _start(folder: Path) -> Demo:
        running.append(Demo(folder, free_ports(), tmp_path / f"output{len(running)}"))
        return running[-1]

    yield _start
    for demo in running:
        if demo.process.poll() is None:
            demo.stop(signal.SIGTERM)


def test_the_demo_does_the_main_job_stays_and_leaves_nothing_running(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo = start(folder).wait_until_ready()

    for page in ("Connect your Microsoft 365 calendars", "Permissions requested", "Your calendars are connected"):
        assert page in demo.text
    assert "state enabled, reads through cadence-service@contoso.example, health healthy" in demo.text
    assert "verified by a real read" in demo.text
    calendars, _, slots = demo.text.partition("An hour for")
    assert calendars.count("Outlook Event") > 10
    for who in ("ann", "bob", "cleo", "dan", "ivy", "room1", "room2"):
        assert re.search(rf"^  {who} .*Outlook Event", calendars, re.MULTILINE), who
    assert re.search(r"^  hal +optional +unknown +no_access", calendars, re.MULTILINE)
    assert re.search(r"\d\d:\d\d–\d\d:\d\d +room\d.* hal$", slots, re.MULTILINE)
    assert re.search(r"^  OUTLOOK_BUSY +somebody required is busy +\d+$", slots, re.MULTILINE)
    assert re.search(r"\d\d:\d\d–\d\d:\d\d +OUTLOOK_BUSY \(", slots)

    consent = requests.get(demo.url(r"/connect/[\w-]+/"), timeout=10)
    assert (consent.status_code, 'name="mode"' in consent.text) == (200, True)
    assert requests.get(demo.url("/admin/"), timeout=10).status_code == 200
    assert requests.get(demo.url("/api/v1/docs/"), timeout=10).status_code == 200
    assert requests.get(demo.url("/_sandbox/"), timeout=10).status_code == 200
    assert mode_of(folder / "demo.json") == 0o600
    assert processes_naming(str(folder))
    assert demo.stop() == 0
    assert processes_naming(str(folder)) == []


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_printed_command_line_asks_for_slots(start: Start, tmp_path: Path) -> None:
    demo = start(tmp_path / "demo").wait_until_ready()
    key = re.search(r"Authorization: Bearer (\w[\w-]+)'", demo.text)
    body = re.search(r"-d '(\{.*\})'", demo.text)
    assert key and body
    answer = requests.post(
        demo.url("/api/v1/accounts/contoso/slots/"),
        headers={"Authorization": f"Bearer {key[1]}"},
        json=json.loads(body[1]),
        timeout=30,
    )
    assert answer.status_code == 200
    assert len(answer.json()["slots"]) <= 3
    assert answer.json()["withheld"]["offered"] > 0


def test_a_second_start_keeps_the_data_and_a_reset_forgets_them(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    first = start(folder).wait_until_ready()
    kept = (folder / "demo.json").read_text()
    link = first.url(r"/connect/[\w-]+/").rpartition("/connect/")[2]
    while_running = short(folder, "--reset")
    assert while_running.returncode == 1
    assert "A demo is already running" in while_running.stderr
    assert first.stop(signal.SIGTERM) == 0

    second = start(folder).wait_until_ready()  # on other ports, too
    assert "Account contoso is already connected, since" in second.text
    assert second.text.count("Outlook Event") > 10
    assert second.url(r"/connect/[\w-]+/").endswith(link)
    assert (folder / "demo.json").read_text() == kept
    assert second.stop() == 0

    assert short(folder, "--reset").returncode == 0
    assert not folder.exists()


def test_a_taken_port_is_one_line_with_the_way_round_it(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = short(folder, "--port", str(port))
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert f"Port {port} is taken by another program. Take another one: make demo PORT=" in result.stderr
    assert processes_naming(str(folder)) == []


def test_a_process_that_ends_early_is_named_with_the_end_of_its_log(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo = start(folder).wait_until_ready()
    sandbox = next(line for line in processes_naming(str(folder)) if "-m sandbox" in line)
    (folder / "logs" / "sandbox.log").write_text("the last thing it said\n")
    os.kill(int(sandbox.partition(" ")[0]), signal.SIGKILL)
    assert demo.process.wait(PATIENCE_SECONDS) == 1
    assert "demo: sandbox has ended unexpectedly (exit status -9)" in demo.text
    assert "the last thing it said" in demo.text
    assert processes_naming(str(folder)) == []


def test_a_folder_with_other_files_is_neither_used_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for arguments in ((), ("--reset",)):
        result = short(tmp_path, *arguments)
        assert result.returncode == 1
        assert "holds other files" in result.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
