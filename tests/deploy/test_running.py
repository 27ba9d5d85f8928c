"""The deployed commands at work, taken from the files themselves: read-only tree, user 65534, PostgreSQL and Redis."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.deploy.installed import Deployed, Footprint, footprint, image_tree
from tests.deploy.reading import command, health_command
from tests.processes.installation import http, wait_until
from tests.services import postgres, redis_server

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("processes")]
SERVERS = ("web", "worker", "beat")


@dataclass
class Life:
    """What was seen of one installation from its first command to its end."""

    before: Footprint
    refused: str = ""
    migrated: tuple[int, str] = (-1, "")
    healthz: int = 0
    readyz: int = 0
    parts: dict[str, bool] = field(default_factory=dict)
    answer: int = 0
    known: str = ""
    well: dict[str, tuple[int, str]] = field(default_factory=dict)
    misconfigured: dict[str, tuple[int, str]] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    after: Footprint = field(default_factory=dict)


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployed]:
    """Own services, also where the run has some: what is deployed has them to itself."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # pytest's own folders are closed to other users
        services = {
            "DATABASE_URL": stack.enter_context(postgres()),
            "REDIS_URL": stack.enter_context(redis_server()),
        }
        made = Deployed(folder, services=services, tree=image_tree(folder))
        stack.callback(_give_back, made.tree)
        stack.callback(made.stop)
        made.start_sandbox()
        yield made


def _give_back(tree: Path) -> None:
    """So that a user who is not root can remove it."""
    for path in [tree, *tree.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)


@pytest.fixture(scope="module")
def life(deployed: Deployed) -> Life:
    """One life for all tests here: a start takes seconds, and what is left behind shows at its end only."""
    seen = Life(before=footprint(deployed.tree))
    seen.refused = deployed.run("web", ["python", "-c", "open('written', 'w')"]).stderr
    for service in SERVERS:
        done = deployed.run(service, command(service), FERNET_KEYS_FILE="/nowhere")
        seen.misconfigured[service] = done.returncode, done.stderr
    done = deployed.run("migrate", command("migrate"))
    seen.migrated = done.returncode, done.stderr

    for service in SERVERS:
        deployed.start(service)
    wait_until("the web server", deployed._web_answers)
    seen.healthz = http().get(f"{deployed.url}/healthz", timeout=30).status_code
    wait_until("a heartbeat by way of beat, Redis and worker", lambda: _parts(deployed)["worker_heartbeat"])
    seen.readyz = http().get(f"{deployed.url}/readyz", timeout=30).status_code
    seen.parts = _parts(deployed)
    key = deployed.connect()
    answer = deployed.ask(key)
    seen.answer, seen.known = answer.status_code, answer.json()["attendees"][0]["state"]
    for service in SERVERS:
        asked = health_command(service)
        if asked:
            words = [word.replace("8000", str(deployed.web_port)) for word in asked]
            done = deployed.run(service, words, HOSTNAME=socket.gethostname())
            seen.well[service] = done.returncode, done.stdout + done.stderr

    for service in SERVERS:
        seen.ended[service], _ = deployed.end(service)
    seen.after = footprint(deployed.tree)
    return seen


def _parts(deployed: Deployed) -> dict[str, bool]:
    lines = http().get(f"{deployed.url}/readyz", timeout=30).text.splitlines()
    return {part["part"]: part["ok"] for part in map(json.loads, lines)}


def test_the_tree_can_not_be_written_to(life: Life) -> None:
    assert "Permission denied" in life.refused


def test_the_database_is_brought_up_to_date(life: Life) -> None:
    assert life.migrated[0] == 0, life.migrated[1]


def test_web_is_alive_and_ready(life: Life) -> None:
    assert (life.healthz, life.readyz) == (200, 200)


def test_worker_and_beat_deliver_a_heartbeat(life: Life) -> None:
    assert life.parts and all(life.parts.values()), life.parts


def test_a_customer_connects_and_calendars_are_read(life: Life) -> None:
    assert (life.answer, life.known) == (200, "known")


def test_each_health_check_finds_its_process_well(life: Life) -> None:
    assert {service: status for service, (status, _) in life.well.items()} == {"web": 0, "worker": 0}, life.well


@pytest.mark.parametrize("service", SERVERS)
def test_a_health_check_finds_out_when_its_process_is_gone(service: str, life: Life, deployed: Deployed) -> None:
    asked = health_command(service)
    if asked is None:
        assert service == "beat"  # which has nothing to be asked by; see compose.yaml
    else:
        words = [word.replace("8000", str(deployed.web_port)).replace("timeout 10", "timeout 1") for word in asked]
        assert deployed.run(service, words, HOSTNAME=socket.gethostname()).returncode != 0


def test_term_to_the_main_process_ends_each_in_the_time_that_is_allowed(life: Life) -> None:
    assert life.ended == dict.fromkeys(SERVERS, 0)


@pytest.mark.parametrize("service", SERVERS)
def test_a_bad_setting_ends_the_start_with_the_status_that_prevents_another(service: str, life: Life) -> None:
    status, said = life.misconfigured[service]
    assert status == 3, said
    assert "cadence.E001: FERNET_KEYS_FILE cannot be used" in said


def test_after_all_that_nothing_in_the_tree_has_changed(life: Life) -> None:
    assert life.after == life.before
