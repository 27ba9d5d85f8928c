"""The terminal demo as a person starts it: real processes, free ports, a folder of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
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
PATIENCE_SECONDS = 300.0  # for a start on a busy machine; nothing is judged by how fast it was
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


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a demo that was started once and ended, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    demo = Demo(folder / "var", free_ports(), folder / "output")
    try:
        demo.wait_until_ready()
    finally:
        demo.stop(signal.SIGTERM)
    return folder / "var", demo.text


@pytest.fixture
def folder(lived_in: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of that folder, to be started again."""
    return shutil.copytree(lived_in[0], tmp_path / "demo")


def landing_page(demo: Demo) -> str:
    """Cadence Admin's first page, for whom the printed name and password let in."""
    with requests.Session() as session:
        url = demo.url("/admin/")
        session.get(url, timeout=30)
        who = re.search(r"as (\w+) with password (\S+):", demo.text)
        assert who
        fields = {"username": who[1], "password": who[2], "csrfmiddlewaretoken": session.cookies["csrftoken"]}
        answer = session.post(f"{url}login/?next=/admin/", data=fields, timeout=30)
    assert answer.status_code == 200
    return answer.text


def reasons(page: str) -> dict[str, str]:
    """Account → the code beside it, in the list of those that need somebody."""
    return dict(
        re.findall(r'/accounts/([\w-]+)/".*?data-name="Reason">[^<]*<span class="under">(\w+)<', page, re.DOTALL)
    )


REASONS = {
    "proseware": "AADSTS65001",
    "litware": "AADSTS53003",
    "tailspin": "AADSTS50173",
    "wingtip": "AADSTS50076",
    "relecloud": "AADSTS50105",
    "woodgrove": "AADSTS90002",
    "fourth-coffee": "MailboxNotEnabledForRESTAPI",
    "margies": "canary_empty",
    "lucerne": "TooManyRequests",
}


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
    page = landing_page(demo)
    assert reasons(page) == REASONS
    for words in ("not connected yet", "disconnected"):
        assert words in page
    assert days_with_probes(page) > 14
    assert len(list((folder / "mails").iterdir())) > 5
    assert mode_of(folder / "demo.json") == 0o600
    assert processes_naming(str(folder))
    assert demo.stop() == 0
    assert processes_naming(str(folder)) == []


def days_with_probes(page: str) -> int:
    """Of the trend's table."""
    return len(re.findall(r'<th scope="row">\d{4}-\d\d-\d\d</th><td>[1-9]', page))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_printed_command_line_asks_for_slots(start: Start, folder: Path) -> None:
    demo = start(folder).wait_until_ready()
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


def test_a_second_start_keeps_the_data_and_a_reset_forgets_them(
    start: Start, folder: Path, lived_in: tuple[Path, str]
) -> None:
    kept = (folder / "demo.json").read_text()
    link = re.search(r"/connect/[\w-]+/", lived_in[1])
    assert link

    second = start(folder).wait_until_ready()  # on other ports, too
    assert "Account contoso is already connected, since" in second.text
    assert "history:" not in second.text
    assert second.text.count("Outlook Event") > 10
    assert second.url(r"/connect/[\w-]+/").endswith(link[0])
    assert (folder / "demo.json").read_text() == kept
    while_running = short(folder, "--reset")
    assert while_running.returncode == 1
    assert "A demo is already running" in while_running.stderr
    assert second.stop(signal.SIGTERM) == 0

    assert short(folder, "--reset").returncode == 0
    assert not folder.exists()


def test_what_is_broken_stays_broken_and_what_works_works_after_a_second_start(start: Start, folder: Path) -> None:
    demo = start(folder).wait_until_ready()
    page = landing_page(demo)
    assert reasons(page) == REASONS
    assert days_with_probes(page) > 14
    # The sandbox, which has just started, knows them and what is wrong with them.
    accounts = requests.get(f"{demo.url('/_sandbox/')}accounts", timeout=30).json()
    mailboxes = {account["upn"].partition("@")[2]: account["has_mailbox"] for account in accounts}
    assert (mailboxes["adatum.example"], mailboxes["fourth-coffee.example"]) == (True, False)
    key = re.search(r"Authorization: Bearer (\w[\w-]+)'", demo.text)
    assert key
    window = {"start": "2030-01-07T00:00:00Z", "end": "2030-01-08T00:00:00Z"}
    answer = requests.post(
        demo.url("/api/v1/docs/").replace("docs/", "accounts/adatum/availability/"),
        headers={"Authorization": f"Bearer {key[1]}"},
        json={"attendees": [{"email": "person1@adatum.example"}], **window},
        timeout=30,
    )
    assert [each["state"] for each in answer.json()["attendees"]] == ["known"], answer.text


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


def test_a_process_that_ends_early_is_named_with_the_end_of_its_log(start: Start, folder: Path) -> None:
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
