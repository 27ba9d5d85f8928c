"""Mailboxes at which whole calls fail: found, set aside, tried again alone; over HTTP."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freebusy import set_aside
from freebusy.models import KnownMailbox
from freebusy.probes import probe
from freebusy.targets import targets
from microsoft.graph import MailboxFailure, MailboxSchedule, ScheduleReport
from microsoft.schedule_report import failure
from sandbox import Sandbox
from sandbox.server import Server
from tenants import breakers, microsoft365
from tenants.coordination import coordinator
from tenants.coordination.embedded import SqliteCoordinator
from tenants.health import Health
from tenants.models import Account, HealthCheck
from tests.conftest import READER
from tests.freebusy.asking import mailbox, question
from tests.freebusy.conftest import Ask

READER_KEY = "tenant/oid"
ILL = "p7@contoso.example"


class Clock:
    """What this module takes for the time."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(set_aside, "time", clock)
    return clock


@pytest.fixture
def on_sockets() -> tuple[str, ...]:
    return ("http://localhost:",)


@pytest.fixture
def over_http(contoso: Account, microsoft: Sandbox, settings: Any, tmp_path: Path) -> Iterator[Sandbox]:
    """Graph on a socket of its own, so that a call which hangs is cut by our side."""
    with Server(microsoft, state_dir=tmp_path) as server:
        settings.MICROSOFT_GRAPH_URL = f"{server.http_url}/v1.0"
        yield microsoft


def report(*ill: str, well: tuple[str, ...] = ("ann@x",)) -> ScheduleReport:
    found: dict[str, MailboxSchedule | MailboxFailure] = {name: failure("timeout") for name in ill}
    found |= {name: MailboxSchedule(()) for name in well}
    return ScheduleReport(found, (), None, frozenset(ill))


# --- how long -----------------------------------------------------------------------------------------------------
def test_a_mailbox_is_left_out_for_ten_minutes_and_then_tried_alone(clock: Clock) -> None:
    set_aside.learn(READER_KEY, (), report("Ill@x".casefold()))
    assert list(set_aside.plan(READER_KEY, ["ILL@x", "ann@x"]).left_out) == ["ill@x"]
    clock.now += 599.0
    assert set_aside.plan(READER_KEY, ["ill@x"]).left_out["ill@x"].code == "timeout"
    clock.now += 2.0
    plan = set_aside.plan(READER_KEY, ["Ill@x", "ann@x"])
    assert (plan.left_out, plan.alone) == ({}, {"ill@x"})


def test_one_question_at_a_time_tries_it_again(clock: Clock) -> None:
    set_aside.learn(READER_KEY, (), report("ill@x"))
    clock.now += 601.0
    assert set_aside.plan(READER_KEY, ["ill@x"]).alone == {"ill@x"}
    assert set_aside.plan(READER_KEY, ["ill@x"]).alone == frozenset()
    clock.now += set_aside.TRIAL_SECONDS + 1.0  # whoever tried it died
    assert set_aside.plan(READER_KEY, ["ill@x"]).alone == {"ill@x"}


@pytest.mark.parametrize(("times", "minutes"), [(1, 10), (2, 20), (3, 40), (5, 160), (6, 240), (9, 240)])
def test_each_time_that_it_fails_again_it_is_left_out_longer(clock: Clock, times: int, minutes: int) -> None:
    for _ in range(times):
        set_aside.learn(READER_KEY, {"ill@x"}, report("ill@x"))
    clock.now += minutes * 60.0 - 1.0
    assert set_aside.plan(READER_KEY, ["ill@x"]).left_out
    clock.now += 2.0
    assert set_aside.plan(READER_KEY, ["ill@x"]).alone


def test_whoever_is_well_again_is_forgotten(clock: Clock) -> None:
    set_aside.learn(READER_KEY, (), report("ill@x"))
    clock.now += 601.0
    alone = set_aside.plan(READER_KEY, ["ill@x"]).alone
    set_aside.learn(READER_KEY, alone, report(well=("ill@x",)))
    assert set_aside.plan(READER_KEY, ["ill@x"]) == set_aside.Plan()
    set_aside.learn(READER_KEY, (), report("ill@x"))
    clock.now += 601.0
    assert set_aside.plan(READER_KEY, ["ill@x"]).alone == {"ill@x"}


def test_readers_know_nothing_of_each_other(clock: Clock) -> None:
    set_aside.learn(READER_KEY, (), report("ill@x"))
    assert set_aside.plan("tenant/another", ["ill@x"]) == set_aside.Plan()
    assert set_aside.without("tenant/another", ["ill@x"]) == ["ill@x"]
    found = set_aside.readers()
    assert set_aside.may_concern(READER_KEY, found)
    assert not set_aside.may_concern("tenant/another", found)


def test_many_at_once_are_not_the_mailboxes_fault(clock: Clock) -> None:
    names = [f"p{number}@x" for number in range(4)]
    assert set_aside.learn(READER_KEY, (), report(*names)) == 0
    assert set_aside.learn(READER_KEY, (), report(*names, well=tuple(f"w{number}@x" for number in range(80)))) == 4


def test_no_address_is_kept_in_clear(clock: Clock, settings: Any) -> None:
    set_aside.learn(READER_KEY, (), report("ill-mailbox@contoso.example"))
    store = coordinator()
    assert set_aside.readers()
    if isinstance(store, SqliteCoordinator):
        kept = b"".join(
            path.read_bytes() for path in Path(settings.COORDINATION_FILE).parent.glob("coordination.sqlite3*")
        )
        assert b"set-aside" in kept
        assert b"ill-mailbox" not in kept
        assert READER_KEY.encode() not in kept


def test_without_the_store_nothing_is_left_out(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # nobody listens there
    assert set_aside.learn(READER_KEY, (), report("ill@x")) == 1
    assert set_aside.plan(READER_KEY, ["ill@x"]) == set_aside.Plan()
    assert set_aside.readers() == frozenset()


# --- through the API ----------------------------------------------------------------------------------------------
@pytest.fixture
def people(over_http: Sandbox, settings: Any) -> list[str]:
    """Twenty, of whom one makes calls hang."""
    settings.ANSWER_DEADLINE_SECONDS = 6.0
    people = [mailbox(over_http, f"p{number}") for number in range(20)]
    over_http.control.set({"faults": [{"path": "getSchedule", "delay": 7.0, "times": None, "mailbox": '"' + ILL}]})
    return people


def until_nothing_is_in_flight(microsoft: Sandbox) -> None:
    """Calls that were given up go on at Microsoft."""
    while microsoft.throttle.flying(READER):
        time.sleep(0.02)


def unread(answer: dict[str, Any]) -> dict[str, str]:
    return {person["email"]: person["problem"]["code"] for person in answer["attendees"] if person["problem"]}


def test_a_mailbox_that_hangs_is_unknown_the_others_are_known_and_the_next_question_does_not_ask_it(
    availability: Ask, microsoft: Sandbox, people: list[str]
) -> None:
    microsoft.counters.reset()
    assert unread(availability(question(*people))) == {ILL: "timeout"}
    until_nothing_is_in_flight(microsoft)
    assert (microsoft.counters["max_concurrent"] <= 4, microsoft.counters["throttled"]) == (True, 0)
    microsoft.counters.reset()
    assert unread(availability(question(*people))) == {ILL: "timeout"}
    assert [seen.mailboxes for seen in microsoft.counters.seen] == [19]


def test_after_its_time_it_is_asked_alone_and_comes_back(
    availability: Ask, microsoft: Sandbox, people: list[str], clock: Clock
) -> None:
    availability(question(*people))
    until_nothing_is_in_flight(microsoft)
    microsoft.control.set({"clear_faults": True})
    clock.now += set_aside.FIRST_SECONDS + 1.0
    microsoft.counters.reset()
    assert unread(availability(question(*people))) == {}
    assert sorted(seen.mailboxes for seen in microsoft.counters.seen) == [1, 19]
    microsoft.counters.reset()
    assert unread(availability(question(*people))) == {}
    assert [seen.mailboxes for seen in microsoft.counters.seen] == [20]


def test_one_that_still_hangs_is_set_aside_again_without_a_search(
    availability: Ask, microsoft: Sandbox, people: list[str], clock: Clock
) -> None:
    availability(question(*people))
    until_nothing_is_in_flight(microsoft)
    clock.now += set_aside.FIRST_SECONDS + 1.0
    microsoft.counters.reset()
    assert unread(availability(question(*people))) == {ILL: "timeout"}
    assert [seen.mailboxes for seen in microsoft.counters.seen if seen.mailboxes > 1] == [19]
    clock.now += set_aside.FIRST_SECONDS + 1.0
    assert set_aside.plan(quota_key(), [ILL]).left_out


def test_questions_for_it_alone_do_not_open_the_breaker_for_everybody(
    availability: Ask, api: Any, microsoft: Sandbox, people: list[str], contoso: Account, settings: Any
) -> None:
    settings.ANSWER_DEADLINE_SECONDS = 1.5
    for _ in range(6):
        assert api.post("contoso", "availability", question(ILL)).status_code == 503
    assert breakers.standing() == []
    assert unread(availability(question(people[0]))) == {}


def test_a_service_that_hangs_sets_nobody_aside(api: Any, microsoft: Sandbox, people: list[str]) -> None:
    microsoft.control.set({"clear_faults": True})
    microsoft.control.set({"faults": [{"path": "getSchedule", "delay": 7.0, "times": None}]})
    microsoft.counters.reset()
    assert api.post("contoso", "availability", question(*people)).status_code == 503
    assert set_aside.readers() == frozenset()


def quota_key() -> str:
    return Account.objects.get().connection.quota_key


def test_setting_aside_names_nobody_in_the_log(
    availability: Ask, people: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        availability(question(*people))
    [line] = [record for record in caplog.records if record.name == "freebusy.set_aside"]
    assert line.__dict__["mailboxes"] == 1
    assert "p7" not in str(line.__dict__)


# --- in probes ----------------------------------------------------------------------------------------------------
def test_a_mailbox_of_the_sample_that_hangs_does_not_make_the_connection_bad(
    contoso: Account, over_http: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freebusy.probes.PATIENCE_SECONDS", 6.0)
    people = [mailbox(over_http, f"p{number}") for number in range(19)]
    KnownMailbox.objects.bulk_create(
        KnownMailbox(account=contoso, address=address, last_asked_at=contoso.created_at) for address in people
    )
    over_http.control.set({"faults": [{"path": "getSchedule", "delay": 7.0, "times": None, "mailbox": '"' + ILL}]})
    assert probe(contoso.connection) is Health.HEALTHY
    assert HealthCheck.objects.latest("pk").outcome == "ok"
    [target] = targets([contoso.connection.pk])
    assert {memory.address for memory in target.sample} == set(people) - {ILL}


def test_a_probe_for_which_people_leave_no_calls_says_nothing_of_the_connection(
    contoso: Account, microsoft: Sandbox, settings: Any
) -> None:
    checks = HealthCheck.objects.count()
    settings.GRAPH_CALLS = settings.GRAPH_CALLS_FOR_PEOPLE = 1
    microsoft.counters.reset()
    probe(contoso.connection)
    assert microsoft.counters["get_schedule"] == 0
    assert HealthCheck.objects.count() == checks
    assert breakers.whole_open(microsoft365.graph_service(contoso)) is None
    assert contoso.connection.reader == READER
