"""What Microsoft said a moment ago is not asked again: how old it may be, whose it is, and what it may hold."""

from __future__ import annotations

import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
import time_machine
from cryptography.fernet import Fernet
from django.db import connections
from django.utils import timezone

from freebusy.cache import calendars as remembered
from freebusy.cache.calendars import Calendars
from freebusy.cache.sealing import seal, seal_problem
from freebusy.cache.segments import Calendar, Segment
from freebusy.core.intervals import HOUR, Interval, to_instant
from freebusy.core.schedule import FreeBusyStatus, Schedule, ScheduleItem, Unreadable
from freebusy.tasks import forget_old_calendars
from sandbox import Sandbox
from sandbox.calendars import Event
from sandbox.messages import Request, Response
from tenants.coordination.cache import shared_cache
from tenants.disconnecting import disconnect
from tenants.models import Account
from tests.conftest import READER
from tests.factories import Api, make_account, make_api_key
from tests.freebusy.asking import codes, mailbox, question
from tests.freebusy.conftest import Ask


@pytest.fixture
def asked(contoso: Account, microsoft: Sandbox) -> list[tuple[list[str], str, str]]:
    """The getSchedule calls from here on: names, and the days of the window."""
    handle, found = microsoft.handle, list[tuple[list[str], str, str]]()

    def handled(request: Request) -> Response:
        if request.path.endswith("getSchedule"):
            body = json.loads(request.body)
            names = [address.partition("@")[0] for address in body["schedules"]]
            found.append((names, *(body[edge]["dateTime"][5:13] for edge in ("startTime", "endTime"))))
        return handle(request)

    microsoft.handle = handled  # type: ignore[method-assign]  # the simulator, not the product
    return found


@pytest.fixture
def clock(contoso: Account) -> Iterator[Any]:
    """From the consent on, time stands still until shifted."""
    with time_machine.travel(timezone.now(), tick=False) as traveller:
        yield traveller


@pytest.fixture
def other_process() -> Callable[[], None]:
    """What follows is asked of a process that has nothing at hand yet."""
    return remembered._memory.cache_clear


def days(first: int, last: int, **more: Any) -> dict[str, Any]:
    """From one day of March 2027 to the end of another, by UTC."""
    return {"start": f"2027-03-{first:02}T00:00:00Z", "end": f"2027-03-{last + 1:02}T00:00:00Z", **more}


def without_age(answer: dict[str, Any]) -> list[Any]:
    return [{**box, "as_of": None} for box in (*answer["attendees"], *answer["rooms"])]


# --- how old ------------------------------------------------------------------------------------------------------
def test_the_same_question_within_its_age_costs_no_call_and_says_when_microsoft_was_asked(
    availability: Ask, microsoft: Sandbox, clock: Any
) -> None:
    first = availability(question("ann@contoso.example"))
    began = timezone.now()
    microsoft.counters.reset()
    clock.shift(59)
    again = availability(question("ann@contoso.example"))
    assert microsoft.counters["requests"] == 0
    assert again == first
    assert datetime.fromisoformat(again["as_of"]) == datetime.fromisoformat(again["attendees"][0]["as_of"]) == began


@pytest.mark.parametrize(("age", "calls"), [(59.9, 0), (60, 0), (60.1, 1)])
def test_an_answer_is_as_old_as_the_caller_accepts_and_no_older(
    availability: Ask, microsoft: Sandbox, clock: Any, age: float, calls: int
) -> None:
    availability(question("ann@contoso.example"))
    microsoft.counters.reset()
    clock.shift(age)
    availability(question("ann@contoso.example", max_age_seconds=60))
    assert microsoft.counters["get_schedule"] == calls


def test_age_zero_forces_a_read_and_what_it_reads_serves_the_next(
    availability: Ask, microsoft: Sandbox, clock: Any
) -> None:
    ann = mailbox(microsoft, "fresh")
    assert codes(availability(question(ann))["attendees"][0]) == []
    start = datetime.fromisoformat("2027-03-16T10:00:00+01:00")
    microsoft.directory.add_event(ann, Event(start=start, end=start + timedelta(hours=1)))
    assert codes(availability(question(ann))["attendees"][0]) == []
    assert codes(availability(question(ann, max_age_seconds=0))["attendees"][0]) == ["OUTLOOK_BUSY"]
    microsoft.counters.reset()
    assert codes(availability(question(ann))["attendees"][0]) == ["OUTLOOK_BUSY"]
    assert microsoft.counters["requests"] == 0


def test_nothing_is_kept_for_more_than_an_hour(availability: Ask, microsoft: Sandbox, clock: Any) -> None:
    availability(question("ann@contoso.example"))
    clock.shift(3601)
    microsoft.counters.reset()
    availability(question("ann@contoso.example", max_age_seconds=3600))
    assert microsoft.counters["get_schedule"] == 1


def test_what_is_read_later_keeps_nothing_of_what_was_read_before_for_longer(
    contoso: Account,
    availability: Ask,
    microsoft: Sandbox,
    clock: Any,
    other_process: Callable[[], None],
    settings: Any,
) -> None:
    availability(question("ann@contoso.example", **days(1, 5)))
    clock.shift(1800)
    availability(question("ann@contoso.example", **days(6, 10)))
    microsoft.counters.reset()
    other_process()
    clock.shift(1799)
    availability(question("ann@contoso.example", **days(1, 10, max_age_seconds=3600)))
    assert microsoft.counters["requests"] == 0
    clock.shift(2)
    name = Calendars.of(contoso, contoso.connection, 0).name("ann@contoso.example")
    if settings.REDIS_URL:  # whose clock is its own
        with redis.Redis.from_url(settings.REDIS_URL) as server:
            assert 0 < server.pttl(f"{settings.REDIS_NAMESPACE}:cached:{name}") <= 1_800_000
    else:
        assert shared_cache().get_many([name]) == {}


def test_the_whole_answer_is_as_old_as_its_oldest_part(availability: Ask, clock: Any) -> None:
    availability(question("ann@contoso.example"))
    began = timezone.now()
    clock.shift(30)
    answer = availability(question("bob@contoso.example", "ann@contoso.example"))
    bob, ann = (datetime.fromisoformat(person["as_of"]) for person in answer["attendees"])
    assert (ann, bob) == (began, began + timedelta(seconds=30))
    assert datetime.fromisoformat(answer["as_of"]) == began


def test_slots_say_how_old_they_are_too(slots: Ask, clock: Any) -> None:
    slots(question("ann@contoso.example"))
    began = timezone.now()
    clock.shift(30)
    assert datetime.fromisoformat(slots(question("ann@contoso.example"))["as_of"]) == began


# --- only the rest ------------------------------------------------------------------------------------------------
def test_windows_of_the_same_days_share_a_read(availability: Ask, asked: list[Any]) -> None:
    availability(question("ann@contoso.example", start="2027-03-16T08:00:00Z", end="2027-03-16T09:00:00Z"))
    availability(question("ann@contoso.example", start="2027-03-16T14:30:00Z", end="2027-03-16T23:00:00Z"))
    assert asked == [(["ann"], "03-16T00", "03-17T00")]


def test_only_those_who_were_not_read_are_asked_for(availability: Ask, asked: list[Any]) -> None:
    availability(question("ann@contoso.example", **days(1, 10)))
    availability(question("ann@contoso.example", "bob@contoso.example", **days(1, 10)))
    assert [names for names, _, _ in asked] == [["ann"], ["bob"]]


def test_only_the_days_that_were_not_read_are_asked_for(availability: Ask, asked: list[Any]) -> None:
    availability(question("ann@contoso.example", **days(1, 10)))
    availability(question("ann@contoso.example", **days(1, 20)))
    availability(question("ann@contoso.example", **days(5, 15)))
    assert asked == [(["ann"], "03-01T00", "03-11T00"), (["ann"], "03-11T00", "03-21T00")]


def test_two_who_miss_different_days_are_one_call(availability: Ask, asked: list[Any]) -> None:
    availability(question("ann@contoso.example", **days(1, 10)))
    availability(question("ann@contoso.example", "bob@contoso.example", **days(1, 20)))
    assert asked[1:] == [(["ann", "bob"], "03-01T00", "03-21T00")]


def test_a_person_is_the_same_in_any_case_and_as_a_room(availability: Ask, asked: list[Any]) -> None:
    availability(question("Ann@Contoso.example"))
    availability(question(rooms=("ann@contoso.EXAMPLE",)))
    assert [names for names, _, _ in asked] == [["Ann"]]


@pytest.mark.parametrize("length", [{"days": 60, "hours": 20}, {"days": 61}, {"days": 60, "hours": 23, "minutes": 59}])
@pytest.mark.parametrize("start", ["2027-01-01T12:00:00+00:00", "2027-01-01T23:00:00+00:00"])
def test_a_window_of_one_call_stays_one_call_when_days_begin_in_between(
    availability: Ask, asked: list[Any], start: str, length: dict[str, int]
) -> None:
    end = datetime.fromisoformat(start) + timedelta(**length)
    for _ in range(2):
        availability(question("ann@contoso.example", start=start, end=end.isoformat()))
    assert len(asked) == 1


# --- the same answer ----------------------------------------------------------------------------------------------
WINDOWS = [
    ("2027-03-26T09:07:30+01:00", "2027-03-26T17:00:00+01:00"),
    ("2027-03-24T00:00:00+01:00", "2027-03-28T12:00:00+02:00"),  # Europe's clocks change on the 28th
    ("2027-03-28T01:30:00+01:00", "2027-03-28T03:30:00+02:00"),
    ("2027-03-13T00:00:00-05:00", "2027-03-15T00:00:00-04:00"),  # America's on the 14th
    ("2027-03-10T00:00:00+01:00", "2027-04-05T00:00:00+02:00"),
    ("2027-03-20T22:15:00+01:00", "2027-03-21T02:45:00+01:00"),
    ("2027-02-20T00:00:00Z", "2027-06-20T13:37:00Z"),
]


@pytest.mark.parametrize("order", [1, -1])
def test_what_is_remembered_answers_like_a_new_read(
    api: Api, availability: Ask, consent: Any, microsoft: Sandbox, order: int
) -> None:
    twin = make_account("north", domains=["contoso.example"])  # the same mailboxes, remembered apart
    assert consent(twin, READER).status_code == 200
    fresh = Api(make_api_key(twin))
    people = ["ann@contoso.example", "bob@contoso.example", "eve@contoso.example", "nobody@contoso.example"]
    hours = mailbox(microsoft, "far", zone="America/New_York", pattern="ordinary")
    rooms = ("room1@contoso.example", "room2@contoso.example")
    for start, end in WINDOWS[::order]:
        asked = question(*people, hours, rooms=rooms, start=start, end=end, include_ignored=True)
        kept = availability({**asked, "max_age_seconds": 3600})
        read = fresh.post("north", "availability", {**asked, "max_age_seconds": 0}).json()
        assert without_age(kept) == without_age(read)
        assert without_age(availability({**asked, "max_age_seconds": 3600})) == without_age(read)


def test_an_item_over_the_seam_of_two_reads_is_given_once(availability: Ask, microsoft: Sandbox) -> None:
    night = mailbox(microsoft, "night", ("2027-03-10T22:00:00Z", "2027-03-11T02:00:00Z", "oof"))
    availability(question(night, **days(10, 10)))
    availability(question(night, **days(11, 11)))
    microsoft.counters.reset()
    (person,) = availability(question(night, **days(10, 11)))["attendees"]
    assert [(block["start"][:16], block["end"][:16]) for block in person["blocks"]] == [
        ("2027-03-10T23:00", "2027-03-11T03:00")
    ]
    assert microsoft.counters["requests"] == 0


def test_another_process_finds_the_same(
    availability: Ask, microsoft: Sandbox, other_process: Callable[[], None], clock: Any
) -> None:
    crowd = [f"{name}@contoso.example" for name in ("ann", "bob", "eve", "nobody")]
    first = availability(question(*crowd, rooms=("room1@contoso.example",), include_ignored=True))
    microsoft.counters.reset()
    other_process()
    assert availability(question(*crowd, rooms=("room1@contoso.example",), include_ignored=True)) == first
    assert microsoft.counters["requests"] == 0


# --- whose --------------------------------------------------------------------------------------------------------
def test_the_policy_of_the_moment_judges_what_is_remembered(
    contoso: Account, availability: Ask, microsoft: Sandbox
) -> None:
    maybe = mailbox(microsoft, "maybe", ("2027-03-16T10:00:00+01:00", "2027-03-16T11:00:00+01:00", "tentative"))
    assert codes(availability(question(maybe))["attendees"][0]) == []
    Account.objects.filter(pk=contoso.pk).update(policy="cautious")
    microsoft.counters.reset()
    assert codes(availability(question(maybe))["attendees"][0]) == ["OUTLOOK_TENTATIVE"]
    assert microsoft.counters["requests"] == 0


def test_an_account_never_sees_what_another_has_read(availability: Ask, consent: Any, microsoft: Sandbox) -> None:
    availability(question("ann@contoso.example"))
    twin = make_account("north", domains=["contoso.example"])
    assert consent(twin, READER).status_code == 200
    microsoft.counters.reset()
    assert Api(make_api_key(twin)).post("north", "availability", question("ann@contoso.example")).status_code == 200
    assert microsoft.counters["get_schedule"] == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"tenant_id": "00000000-0000-4000-8000-000000000001"},
        {"reader_oid": "00000000-0000-4000-8000-000000000002"},
        {"connected_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"connected_at": None},
        {"pk": 4711},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_everything_on_which_an_answer_depends_is_in_its_name(contoso: Account, changed: dict[str, Any]) -> None:
    before = Calendars.of(contoso, contoso.connection, 0)
    for name, value in changed.items():
        setattr(contoso.connection, name, value)
    after = Calendars.of(contoso, contoso.connection, 0)
    assert after.name("ann@contoso.example") != before.name("ann@contoso.example")


def test_another_graph_is_another_name(contoso: Account, settings: Any) -> None:
    before = Calendars.of(contoso, contoso.connection, 0)
    settings.MICROSOFT_GRAPH_URL = "https://graph.example/v1.0"
    assert Calendars.of(contoso, contoso.connection, 0).owner != before.owner


def test_a_reconnect_begins_anew(
    contoso: Account,
    availability: Ask,
    consent: Any,
    microsoft: Sandbox,
    django_capture_on_commit_callbacks: Any,
) -> None:
    availability(question("ann@contoso.example"))
    old = Calendars.of(contoso, contoso.connection, 0).name("ann@contoso.example")
    assert shared_cache().get_many([old])
    with django_capture_on_commit_callbacks(execute=True):
        assert consent(contoso).status_code == 200
    assert shared_cache().get_many([old]) == {}
    microsoft.counters.reset()
    availability(question("ann@contoso.example"))
    assert microsoft.counters["get_schedule"] == 1


def test_a_disconnect_deletes_what_was_remembered(
    contoso: Account, api: Api, django_capture_on_commit_callbacks: Any
) -> None:
    assert api.post("contoso", "availability", question("ann@contoso.example")).status_code == 200
    name = Calendars.of(contoso, contoso.connection, 0).name("ann@contoso.example")
    assert shared_cache().get_many([name])
    with django_capture_on_commit_callbacks(execute=True):
        disconnect(contoso, why="test", actor="test")
    assert shared_cache().get_many([name]) == {}
    assert api.post("contoso", "availability", question("ann@contoso.example")).status_code == 409


def test_what_a_lost_key_protects_is_read_again(
    availability: Ask, microsoft: Sandbox, other_process: Callable[[], None], settings: Any, contoso: Account
) -> None:
    availability(question("ann@contoso.example"))
    name = Calendars.of(contoso, contoso.connection, 0).name("ann@contoso.example")
    (kept,) = shared_cache().get_many([name]).values()
    shared_cache().put_many({name: (Fernet(Fernet.generate_key()).encrypt(b"?"), 60.0)}, 100)
    other_process()
    microsoft.counters.reset()
    availability(question("ann@contoso.example"))
    assert microsoft.counters["get_schedule"] == 1
    assert shared_cache().get_many([name])[name] != kept


def test_the_shared_cache_says_nothing_of_whom_and_what(availability: Ask, settings: Any) -> None:
    if settings.REDIS_URL:
        return
    settings.ANSWERS_KEPT_HOURS = 0  # that store is another, in the same file, and names the account
    availability(question("ann@contoso.example", rooms=("room1@contoso.example",)))
    held = b"".join(path.read_bytes() for path in settings.COORDINATION_FILE.parent.glob("coordination*"))
    clear = [b"ann", b"contoso", b"room1", b"Europe/Berlin", b"busy", b"oof"]
    assert [word for word in clear if word in held] == []


def test_what_is_over_is_deleted_although_nobody_asks_again(availability: Ask, clock: Any, settings: Any) -> None:
    if settings.REDIS_URL:
        return
    availability(question("ann@contoso.example"))
    clock.shift(3601)
    forget_old_calendars()
    assert shared_cache().prune() == 0


# --- what cannot be read ------------------------------------------------------------------------------------------
def test_a_dead_address_does_not_cost_a_call_each_time(availability: Ask, microsoft: Sandbox, clock: Any) -> None:
    people = question("ann@contoso.example", "nobody@contoso.example")
    first = availability(people)
    microsoft.counters.reset()
    clock.shift(30)
    assert availability(people) == first
    assert first["attendees"][1]["problem"]["code"] == "not_found"
    assert microsoft.counters["requests"] == 0
    clock.shift(31)
    mailbox(microsoft, "nobody")
    assert [person["state"] for person in availability(people)["attendees"]] == ["known", "known"]


def test_a_failure_that_may_pass_is_not_remembered(availability: Ask, microsoft: Sandbox) -> None:
    moved = mailbox(microsoft, "moved", trouble="ErrorMailboxMoveInProgress")
    people = question("ann@contoso.example", moved)
    assert availability(people)["attendees"][1]["problem"]["code"] == "unavailable"
    microsoft.directory.set_trouble(moved, "")
    microsoft.counters.reset()
    assert availability(people)["attendees"][1]["state"] == "known"
    assert (microsoft.counters["get_schedule"], microsoft.counters["mailboxes"]) == (1, 1)


def test_a_call_that_was_refused_as_a_whole_is_remembered_of_nobody(availability: Ask, microsoft: Sandbox) -> None:
    microsoft.control.set({"faults": [{"path": "getSchedule", "status": 403, "times": 1}]})
    assert availability(question("ann@contoso.example"))["attendees"][0]["problem"]["code"] == "no_access"
    assert availability(question("ann@contoso.example"))["attendees"][0]["state"] == "known"


# --- without Microsoft --------------------------------------------------------------------------------------------
def down(microsoft: Sandbox) -> None:
    fault = {"path": "getSchedule", "status": 503, "retry_after": "120", "times": None}
    microsoft.control.set({"clear_faults": True, "faults": [fault]})


def test_what_is_remembered_is_answered_while_microsoft_is_down_and_its_breaker_open(
    api: Api, availability: Ask, microsoft: Sandbox
) -> None:
    first = availability(question("ann@contoso.example"))
    down(microsoft)
    for _ in range(8):
        assert api.post("contoso", "availability", question("bob@contoso.example")).status_code == 503
    assert availability(question("ann@contoso.example"))["attendees"] == first["attendees"]
    ann, bob = availability(question("ann@contoso.example", "bob@contoso.example"))["attendees"]
    assert ann == first["attendees"][0]
    assert (bob["state"], bob["problem"]["code"], bob["problem"]["retryable"]) == ("unknown", "unavailable", True)


def test_age_zero_is_never_answered_from_memory_even_when_microsoft_is_down(
    api: Api, availability: Ask, microsoft: Sandbox
) -> None:
    availability(question("ann@contoso.example"))
    down(microsoft)
    answer = api.post("contoso", "availability", question("ann@contoso.example", max_age_seconds=0))
    assert answer.status_code == 503
    assert answer["Retry-After"]


# --- the same moment ----------------------------------------------------------------------------------------------
def together(api: Api, bodies: list[dict[str, Any]], slug: str = "contoso") -> list[Any]:
    def ask(body: dict[str, Any]) -> Any:
        try:
            return api.post(slug, "availability", body)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(ask, bodies))


@pytest.fixture
def crowded(transactional_db: None, consent: Any, microsoft: Sandbox) -> Api:
    """An account whom many threads ask at once, of a Microsoft that takes its time."""
    account = make_account("contoso")
    assert consent(account, READER).status_code == 200
    api = Api(make_api_key(account))
    assert api.get("contoso").status_code == 200  # the key's use is noted
    microsoft.options.latency = 0.3
    microsoft.counters.reset()
    return api


def held_until(microsoft: Sandbox, waiting: int) -> None:
    """Graph gives no answer before so many threads wait for the read of another."""
    handle = microsoft.handle

    def handled(request: Request) -> Response:
        while request.path.endswith("getSchedule") and threads_that_wait() < waiting:
            time.sleep(0.01)
        return handle(request)

    microsoft.handle = handled  # type: ignore[method-assign]  # the simulator, not the product


def threads_that_wait() -> int:
    stacks = [[call.name for call in traceback.extract_stack(frame)] for frame in sys._current_frames().values()]
    return sum("_read_for_all" in names and "land_all" not in names and names[-1] == "wait" for names in stacks)


def test_twenty_threads_with_the_same_question_share_its_two_calls(crowded: Api, microsoft: Sandbox) -> None:
    people = [mailbox(microsoft, f"p{number}") for number in range(30)]
    answers = together(crowded, [question(*people)] * 20)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert (microsoft.counters["get_schedule"], microsoft.counters["mailboxes"]) == (2, 30)


def test_overlapping_questions_at_the_same_moment_ask_for_nobody_twice(crowded: Api, microsoft: Sandbox) -> None:
    people = [mailbox(microsoft, f"p{number}") for number in range(12)]
    answers = together(crowded, [question(*people[first : first + 6]) for first in range(7)])
    assert {person["state"] for answer in answers for person in answer.json()["attendees"]} == {"known"}
    assert microsoft.counters["mailboxes"] == 12


def test_age_zero_shares_with_nobody(crowded: Api, microsoft: Sandbox) -> None:
    together(crowded, [question("ann@contoso.example", max_age_seconds=0)] * 5)
    assert microsoft.counters["get_schedule"] == 5


def test_those_who_waited_learn_of_the_failure_of_the_read_they_waited_for(crowded: Api, microsoft: Sandbox) -> None:
    moved = mailbox(microsoft, "moved", trouble="ErrorMailboxMoveInProgress")
    held_until(microsoft, waiting=5)
    answers = together(crowded, [question("ann@contoso.example", moved)] * 6)
    assert {answer.json()["attendees"][1]["problem"]["code"] for answer in answers} == {"unavailable"}
    assert microsoft.counters["get_schedule"] == 1


def test_one_who_runs_out_of_time_leaves_the_read_to_those_who_have_some_left(
    crowded: Api, microsoft: Sandbox, settings: Any
) -> None:
    """The one with the short deadline asks first; Microsoft answers nobody before it has left."""
    handle, asked, left = microsoft.handle, threading.Event(), threading.Event()

    def handled(request: Request) -> Response:
        if request.path.endswith("getSchedule"):
            asked.set()
            left.wait()
        return handle(request)

    microsoft.handle = handled  # type: ignore[method-assign]  # the simulator, not the product
    settings.ANSWER_DEADLINE_SECONDS = 3.0
    with ThreadPoolExecutor(2) as pool:
        hasty = pool.submit(together, crowded, [question("ann@contoso.example")])
        asked.wait()
        settings.ANSWER_DEADLINE_SECONDS = 18.0
        patient = pool.submit(together, crowded, [question("ann@contoso.example")])
        assert [answer.status_code for answer in hasty.result()] == [503]
        left.set()
        assert [answer.status_code for answer in patient.result()] == [200]


def test_many_who_wait_for_a_microsoft_that_is_down_cost_it_one_question(crowded: Api, microsoft: Sandbox) -> None:
    down(microsoft)
    held_until(microsoft, waiting=5)
    answers = together(crowded, [question("ann@contoso.example")] * 6)
    assert {answer.status_code for answer in answers} == {503}
    assert [seen.status for seen in microsoft.counters.seen] == [503]


# --- other processes ----------------------------------------------------------------------------------------------
WIDENED = Interval(*(to_instant(datetime(2027, 3, day, tzinfo=UTC)) for day in (15, 17)))  # to whole days


def claim_elsewhere(account: Account, *mailboxes: str, seconds: float = 60.0) -> list[str]:
    """Another process is reading these over the usual day; what it has claimed."""
    calendars = Calendars.of(account, account.connection, 0)
    names = [calendars.name_of_read(mailbox, WIDENED) for mailbox in mailboxes]
    assert shared_cache().claim(names, "elsewhere", seconds) == {}
    return names


def asking(api: Api, *mailboxes: str) -> Any:
    """A question on its way, which waits for the other process once it has looked; its answer's attendees."""
    pool = ThreadPoolExecutor(1)
    asked = pool.submit(together, api, [question(*mailboxes)])
    pool.shutdown(wait=False)
    return asked


def test_what_another_process_reads_is_waited_for(crowded: Api, microsoft: Sandbox) -> None:
    account = Account.objects.get()
    (name,) = claim_elsewhere(account, "ann@contoso.example")
    asked = asking(crowded, "ann@contoso.example")
    now = to_instant(timezone.now())
    calendars = Calendars.of(account, account.connection, now)
    busy = ScheduleItem(WIDENED.start + 10 * HOUR, WIDENED.start + 34 * HOUR, FreeBusyStatus.OOF)
    remembered_there = seal(
        calendars.name("ann@contoso.example"), Calendar((Segment(WIDENED, now, Schedule((busy,))),))
    )
    shared_cache().put_many({calendars.name("ann@contoso.example"): (remembered_there, 60.0)}, 100)
    shared_cache().release({name: None}, "elsewhere", 5.0)
    (answer,) = asked.result()
    assert answer.json()["attendees"][0]["state"] == "known"
    assert microsoft.counters["requests"] == 0


def test_why_another_process_could_not_read_is_told(crowded: Api, microsoft: Sandbox) -> None:
    names = claim_elsewhere(Account.objects.get(), "ann@contoso.example", "bob@contoso.example")
    asked = asking(crowded, "ann@contoso.example", "bob@contoso.example", "eva@contoso.example")
    while not microsoft.counters["get_schedule"]:  # eva is read meanwhile
        time.sleep(0.01)
    busy = Unreadable("unavailable", "Later, perhaps.", True)
    shared_cache().release({name: seal_problem(name, busy) for name in names}, "elsewhere", 60.0)
    (answer,) = asked.result()
    told = [person["problem"] and person["problem"]["message"] for person in answer.json()["attendees"]]
    assert told == ["Later, perhaps.", "Later, perhaps.", None]
    assert (microsoft.counters["get_schedule"], microsoft.counters["mailboxes"]) == (1, 1)


def test_when_another_process_gives_up_without_a_word_the_read_is_taken_over(crowded: Api, microsoft: Sandbox) -> None:
    (name,) = claim_elsewhere(Account.objects.get(), "ann@contoso.example")
    asked = asking(crowded, "ann@contoso.example")
    shared_cache().release({name: None}, "elsewhere", 5.0)
    (answer,) = asked.result()
    assert answer.json()["attendees"][0]["state"] == "known"
    assert microsoft.counters["get_schedule"] == 1


def test_the_claim_of_a_dead_process_ends_and_the_read_is_taken_over(crowded: Api, microsoft: Sandbox) -> None:
    claim_elsewhere(Account.objects.get(), "ann@contoso.example", seconds=0.5)
    (answer,) = together(crowded, [question("ann@contoso.example")])
    assert answer.json()["attendees"][0]["state"] == "known"
    assert microsoft.counters["get_schedule"] == 1


def test_whoever_waits_for_another_process_waits_no_longer_than_until_the_deadline(
    crowded: Api, microsoft: Sandbox, settings: Any
) -> None:
    settings.ANSWER_DEADLINE_SECONDS = 0.5
    claim_elsewhere(Account.objects.get(), "ann@contoso.example")
    (answer,) = together(crowded, [question("ann@contoso.example")])
    assert answer.status_code == 503
    assert microsoft.counters["requests"] == 0
