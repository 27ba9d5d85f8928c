"""getSchedule: the limits of the documentation, and answers computed from the directory's events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sandbox.calendars import POISON, Event
from sandbox.people import Mailbox

START = datetime(2027, 3, 15, tzinfo=UTC)


@pytest.fixture
def token(client):
    return client.tokens("cadence-service@contoso.example")["access_token"]


def moment(when, zone="UTC"):
    return {"dateTime": when.replace(tzinfo=None).isoformat(), "timeZone": zone}


def entry(client, token, address, **fields):
    answer = client.ask(token, [address], **fields)
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["value"]
    return found


def add(sandbox, address, start, minutes, status="busy", **more):
    end = start + timedelta(minutes=minutes)
    sandbox.directory.add_event(address, Event(start=start, end=end, status=status, **more))


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"endTime": moment(START + timedelta(days=62, seconds=-1))}, 200, None),
        ({"endTime": moment(START + timedelta(days=62))}, 400, "ErrorTimeIntervalTooBig"),
        ({"endTime": moment(START)}, 400, "ErrorInvalidTimeInterval"),
        ({"endTime": moment(START - timedelta(days=1))}, 400, "ErrorInvalidTimeInterval"),
        ({"endTime": moment(START + timedelta(minutes=30))}, 200, None),
        ({"endTime": moment(START + timedelta(minutes=29))}, 400, "ErrorInvalidMergedFreeBusyInterval"),
        ({"endTime": moment(START + timedelta(minutes=29)), "availabilityViewInterval": 29}, 200, None),
        ({"availabilityViewInterval": 4}, 400, "ErrorInvalidMergedFreeBusyInterval"),
        ({"availabilityViewInterval": 5}, 200, None),
        ({"availabilityViewInterval": 1440}, 200, None),
        ({"availabilityViewInterval": 1441}, 400, "ErrorInvalidMergedFreeBusyInterval"),
        ({"availabilityViewInterval": "15"}, 200, None),
        ({"availabilityViewInterval": "soon"}, 400, "BadRequest"),
        ({"availabilityViewInterval": None}, 500, "InternalServerError"),
        ({"startTime": moment(START, "Nowhere/Land")}, 400, "TimeZoneNotSupportedException"),
        ({"startTime": {"dateTime": "yesterday", "timeZone": "UTC"}}, 400, "BadRequest"),
        ({"startTime": {"dateTime": "2027-03-15T00:00:00Z", "timeZone": "UTC"}}, 200, None),
        ({"prefer": "Nowhere/Land"}, 400, "TimeZoneNotSupportedException"),
        ({"prefer": "Pacific Standard Time"}, 200, None),
        ({"prefer": "Asia/Kathmandu"}, 200, None),
        ({"prefer": "tzone://Microsoft/Utc"}, 200, None),
    ],
)
def test_a_request_is_held_to_the_documented_limits(client, token, fields, status, code):
    answer = client.ask(token, ["joe@contoso.example"], **fields)
    assert (answer.status_code, answer.json().get("error", {}).get("code")) == (status, code)


@pytest.mark.parametrize(
    ("allowed", "asked", "status"), [(20, 20, 200), (20, 21, 400), (100, 100, 200), (100, 101, 400)]
)
def test_only_so_many_mailboxes_fit_a_call(client, token, sandbox, allowed, asked, status):
    sandbox.options.max_mailboxes = allowed
    answer = client.ask(token, [f"p{number}@contoso.example" for number in range(asked)])
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["error"]["code"] == "ErrorMailboxDataArrayTooBig"
        assert f"The allowed size = {allowed}; the actual size = {asked}." in answer.json()["error"]["message"]


def test_capitalised_property_names_work_too(client, token):
    answer = client.session.post(
        f"{client.graph}/me/calendar/getSchedule",
        json={
            "Schedules": ["joe@contoso.example"],
            "StartTime": moment(START),
            "EndTime": moment(START + timedelta(days=1)),
        },
        headers={"Authorization": f"Bearer {token}"},
        timeout=5,
    )
    assert answer.status_code == 200
    assert answer.json()["value"][0]["scheduleItems"][0]["start"]["timeZone"] == "UTC"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("nobody@contoso.example", "5009"),
        ("fay@fabrikam.example", "5009"),
        ("admin@contoso.example", "5009"),
        ("gil@contoso.example", "5006"),
        ("hal@contoso.example", "ErrorNoFreeBusyAccess"),
    ],
)
def test_an_unreadable_mailbox_has_an_error_and_nothing_else(client, token, address, code):
    found = entry(client, token, address)
    assert set(found) == {"scheduleId", "error"}
    assert (found["scheduleId"], found["error"]["responseCode"]) == (address, code)


def test_a_smaller_window_is_the_remedy_for_too_many_entries(client, token):
    found = entry(client, token, "gil@contoso.example", endTime=moment(START + timedelta(days=2)))
    assert len(found["scheduleItems"]) == 960


@pytest.mark.parametrize(("count", "error"), [(1000, None), (1001, "5006")])
def test_a_thousand_entries_are_the_most_in_a_window(client, token, sandbox, count, error):
    sandbox.directory.add_mailbox("full@contoso.example")
    for number in range(count):
        add(sandbox, "full@contoso.example", START + timedelta(minutes=number), 5)
    assert entry(client, token, "full@contoso.example").get("error", {}).get("responseCode") == error


def test_one_bad_mailbox_leaves_the_others_readable_in_the_order_asked(client, token):
    asked = ["nobody@contoso.example", "JOE@contoso.example", "hal@contoso.example", "room1@contoso.example"]
    value = client.ask(token, asked).json()["value"]
    assert [found["scheduleId"] for found in value] == asked
    assert ["error" in found for found in value] == [True, False, True, False]


def test_items_are_whole_and_half_open(client, token, sandbox):
    address = sandbox.directory.add_mailbox("exact@contoso.example").upn
    add(sandbox, address, START - timedelta(hours=1), 120)
    add(sandbox, address, START - timedelta(hours=1), 60)
    add(sandbox, address, START + timedelta(days=5), 60)
    add(sandbox, address, START + timedelta(hours=9, minutes=7, seconds=30), 37.5, "tentative")
    items = entry(client, token, address)["scheduleItems"]
    assert [(item["start"]["dateTime"], item["end"]["dateTime"], item["status"]) for item in items] == [
        ("2027-03-14T23:00:00.0000000", "2027-03-15T01:00:00.0000000", "busy"),
        ("2027-03-15T09:07:30.0000000", "2027-03-15T09:45:00.0000000", "tentative"),
    ]


def test_times_come_in_the_preferred_zone_under_its_asked_name(client, token, sandbox):
    address = sandbox.directory.add_mailbox("exact@contoso.example").upn
    add(sandbox, address, START + timedelta(hours=12), 60)
    (item,) = entry(client, token, address, prefer="Pacific Standard Time")["scheduleItems"]
    assert item["start"] == {"dateTime": "2027-03-15T05:00:00.0000000", "timeZone": "Pacific Standard Time"}


@pytest.mark.parametrize(
    ("events", "digits"),
    [
        ([], "000000000"),
        (
            [(-30, 60, "busy"), (180, 120, "busy"), (180, 60, "tentative"), (420, 60, "tentative")],
            "200220010",
        ),
        ([(60, 60, "free"), (120, 60, "workingElsewhere"), (180, 60, "oof")], "000300000"),
        ([(59, 2, "tentative"), (59, 1, "oof")], "310000000"),
        ([(-600, 3000, "busy")], "222222222"),
    ],
)
def test_the_view_has_the_strongest_status_of_each_slot(client, token, sandbox, events, digits):
    address = sandbox.directory.add_mailbox("exact@contoso.example").upn
    start = START + timedelta(hours=9)
    for offset, minutes, status in events:
        add(sandbox, address, start + timedelta(minutes=offset), minutes, status)
    window = {
        "startTime": moment(start),
        "endTime": moment(start + timedelta(hours=9)),
        "availabilityViewInterval": 60,
    }
    assert entry(client, token, address, **window)["availabilityView"] == digits


def test_an_all_day_item_can_be_read_in_both_ways_the_documentation_leaves_open(client, token, sandbox):
    address = sandbox.directory.add_mailbox(
        "exact@contoso.example", mailbox=Mailbox(pattern="empty", zone="Asia/Kolkata")
    ).upn
    begin = datetime(2027, 3, 16, tzinfo=ZoneInfo("Asia/Kolkata")).astimezone(UTC)
    add(sandbox, address, begin, 1440, is_all_day=True)
    (shifted,) = entry(client, token, address)["scheduleItems"]
    sandbox.options.all_day = "floating"
    (floating,) = entry(client, token, address)["scheduleItems"]
    assert shifted["start"]["dateTime"] == "2027-03-15T18:30:00.0000000"
    assert floating["start"]["dateTime"] == "2027-03-16T00:00:00.0000000"
    assert floating["end"]["dateTime"] == "2027-03-17T00:00:00.0000000"


def test_working_hours_may_be_named_custom_or_missing(client, token):
    asked = ["ann@contoso.example", "ivy@contoso.example", "joe@contoso.example"]
    named, custom, missing = client.ask(token, asked).json()["value"]
    assert named["workingHours"]["timeZone"] == {"name": "W. Europe Standard Time"}
    assert custom["workingHours"]["timeZone"]["@odata.type"] == "#microsoft.graph.customTimeZone"
    assert custom["workingHours"]["timeZone"]["bias"] == 300
    assert "workingHours" not in missing


def test_subjects_and_locations_carry_the_marker(client, token):
    answer = client.ask(token, ["ann@contoso.example", "bob@contoso.example", "room1@contoso.example"])
    for found in answer.json()["value"]:
        shown = [item for item in found["scheduleItems"] if "subject" in item]
        assert shown
        assert all(POISON in item["subject"] and POISON in item["location"] for item in shown)


def test_answers_hold_the_oddities_of_real_ones(client, token, sandbox):
    people = [a.upn for a in sandbox.directory.accounts() if a.tenant.name == "contoso" and a.kind == "person"]
    items = []
    for first in range(0, len(people), 20):
        for found in client.ask(token, people[first : first + 20]).json()["value"]:
            items.append(
                [(i["start"]["dateTime"], i["end"]["dateTime"], i["status"]) for i in found.get("scheduleItems", [])]
            )
    flat = [item for found in items for item in found]
    statuses = {status for _, _, status in flat}
    assert {"busy", "Busy", "tentative", "free", "oof", "workingElsewhere"} <= statuses
    assert any(found != sorted(found) for found in items)
    assert any(len(found) != len(set(found)) for found in items)
    lengths = {datetime.fromisoformat(end[:19]) - datetime.fromisoformat(start[:19]) for start, end, _ in flat}
    assert {
        timedelta(hours=7),
        timedelta(hours=6),
        timedelta(hours=5, minutes=59),
        timedelta(days=1),
    } <= lengths
    assert any(
        not start.endswith(("00:00.0000000", "15:00.0000000", "30:00.0000000", "45:00.0000000")) for start, _, _ in flat
    )


def test_a_reader_without_mailbox_gets_404(client):
    token = client.tokens("admin@contoso.example")["access_token"]
    answer = client.ask(token, ["ann@contoso.example"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "MailboxNotEnabledForRESTAPI")


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("Calendars.ReadBasic", 200),
        ("Calendars.Read", 200),
        ("Calendars.ReadWrite", 200),
        ("Calendars.Read.Shared", 403),
        ("User.Read", 403),
    ],
)
def test_only_the_permissions_of_the_table_read_schedules(client, scope, status):
    token = client.tokens("cadence-service@contoso.example", scopes=(scope,))["access_token"]
    assert client.ask(token, ["ann@contoso.example"]).status_code == status


def test_me_shows_whose_token_it_is(client, token):
    answer = client.session.get(f"{client.graph}/me", headers={"Authorization": f"Bearer {token}"}, timeout=5)
    assert answer.json()["userPrincipalName"] == "cadence-service@contoso.example"


def test_schedules_can_be_asked_by_way_of_a_user(client, token):
    assert client.ask(token, ["ann@contoso.example"], path="users/ann@contoso.example").status_code == 200
    assert client.ask(token, ["ann@contoso.example"], path="users/nobody@contoso.example").status_code == 404


@pytest.mark.parametrize(("seconds", "status"), [(3598, 200), (3599, 401)])
def test_an_access_token_expires(client, clock, token, seconds, status):
    clock.advance(seconds)
    answer = client.ask(token, ["ann@contoso.example"])
    assert answer.status_code == status
    if status == 401:
        assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        assert answer.headers["request-id"]


def test_access_tokens_can_be_made_to_expire_early(client, sandbox):
    tokens = client.tokens("ada@contoso.example")
    sandbox.control.set({"expire_access_tokens": "ada@contoso.example"})
    assert client.ask(tokens["access_token"], ["ann@contoso.example"]).status_code == 401
    fresh = client.refresh(tokens["refresh_token"])["access_token"]
    assert client.ask(fresh, ["ann@contoso.example"]).status_code == 200


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer nonsense", "Bearer SBXAT-nonsense.x", "Basic abc"])
def test_without_a_token_of_ours_there_is_no_entry(client, given):
    answer = client.session.get(f"{client.graph}/me", headers={"Authorization": given}, timeout=5)
    assert answer.status_code == 401


def test_the_answer_echoes_the_callers_id_and_is_packed_when_asked(client, token, sandbox):
    headers = {"Authorization": f"Bearer {token}", "client-request-id": "abc", "Accept-Encoding": "gzip"}
    answer = client.session.get(f"{client.graph}/me", headers=headers, timeout=5)
    assert (answer.headers["client-request-id"], answer.headers["Content-Encoding"]) == ("abc", "gzip")
    plain = client.session.get(f"{client.graph}/me", headers={**headers, "Accept-Encoding": "identity"}, timeout=5)
    assert "Content-Encoding" not in plain.headers
    assert answer.json() == plain.json()
    assert [seen.client_request_id for seen in sandbox.counters.seen][-2:] == ["abc", "abc"]


def test_a_trailing_z_counts_and_not_the_zone_beside_it(client, token, sandbox):
    address = sandbox.directory.add_mailbox("exact@contoso.example").upn
    add(sandbox, address, START + timedelta(hours=1), 60)
    bounds = {
        edge: {"dateTime": f"2027-03-15T0{hour}:00:00Z", "timeZone": "Pacific Standard Time"}
        for edge, hour in (("startTime", 1), ("endTime", 2))
    }
    assert entry(client, token, address, **bounds)["availabilityView"] == "22"
