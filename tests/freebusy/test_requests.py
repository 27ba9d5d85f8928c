"""Requests that must be refused: every wrong field is named, nothing is guessed, nothing is asked of Microsoft."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.factories import Api, make_account, make_api_key
from tests.freebusy.asking import question

pytestmark = pytest.mark.django_db

ANN = {"email": "ann@contoso.example"}
HOURS = {"days": ["mon"], "start": "09:00", "end": "17:00"}


@pytest.fixture
def api() -> Api:
    """A key for an account that never connected: a good request is a 409, a bad one a 400 before that."""
    return Api(make_api_key(make_account("contoso")))


def good(what: str = "availability", **changed: Any) -> dict[str, Any]:
    """A good request with members changed, or left out when given as `...`."""
    body = question("ann@contoso.example", rooms=("room1@contoso.example",))
    if what == "slots":
        body["duration_minutes"] = 30
    return {name: value for name, value in {**body, **changed}.items() if value is not ...}


def refused(api: Api, what: str, body: Any) -> list[tuple[str, str]]:
    """Field and code of each error of a request that must be refused."""
    answer = api.post("contoso", what, body)
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (400, "invalid_request")
    assert problem["detail"]
    assert all(set(error) == {"field", "code", "message"} and error["message"] for error in problem["errors"])
    return [(error["field"], error["code"]) for error in problem["errors"]]


def fields(api: Api, what: str, body: Any) -> list[str]:
    """The fields named, each once: one field may be wrong in two ways."""
    return list(dict.fromkeys(field for field, _ in refused(api, what, body)))


@pytest.mark.parametrize("what", ["availability", "slots"])
def test_the_request_the_others_are_made_from_is_good(api: Api, what: str) -> None:
    assert api.post("contoso", what, good(what)).status_code == 409


# --- what both ask ------------------------------------------------------------------------------------------------
TEXTS = (1, 30.0, True, [], {}, None)
BOTH: list[tuple[dict[str, Any], str]] = [
    ({"start": ...}, "start"),
    ({"end": ...}, "end"),
    *(({"start": wrong}, "start") for wrong in TEXTS),
    *(
        ({"end": wrong}, "end")
        for wrong in (
            "",
            "now",
            "2027-03-17",
            "2027-03-17T00:00:00",  # naive
            "2027-03-17 00:00:00+01:00",
            "2027-03-17T00:00+01:00",
            "2027-03-17T00:00:00+0100",
            "2027-03-17T00:00:00+01",
            "2027-03-17T00:00:00 +01:00",
            "2027-03-17T00:00:00+24:00",
            "2027-03-17T00:00:00+05:60",
            "2027-03-17T00:00:00+05:99",
            "2027-03-17T23:59:60Z",  # a leap second is no instant on any clock here
            "2027-03-17T24:00:00Z",
            "2027-02-29T00:00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-03-17T00:00:00.Z",
            "2027-03-17T00:00:00,5Z",
            "2027-W11-3T00:00:00Z",
            "20270317T000000Z",
            "\u0662\u0660\u0662\u0667-03-17T00:00:00Z",  # digits, but not these
            "2027-03-17T00:00:00Z\n",
            " 2027-03-17T00:00:00Z",
            "2027-03-17T00:00:00Z\0",
            "0001-01-01T00:00:00Z",
            "1899-12-31T23:59:59Z",
            "2201-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "+002027-03-17T00:00:00Z",
            "1805324400",
        )
    ),
    ({"end": "2027-03-16T00:00:00+01:00"}, "end"),  # empty
    ({"end": "2027-03-15T22:59:59Z"}, "end"),  # before the start
    ({"end": "2027-03-16T00:30:00+02:00"}, "end"),  # before it, although the wall time is later
    *(({"time_zone": wrong}, "time_zone") for wrong in TEXTS),
    *(
        ({"time_zone": wrong}, "time_zone")
        for wrong in (
            "",
            "Pacific Standard Time",
            "europe/berlin",
            "Europe/Berlin ",
            "Europe/Atlantis",
            "+01:00",
            "../../etc/passwd",
            "/usr/share/zoneinfo/Europe/Berlin",
            "Europe/Berlin\0",
        )
    ),
    *(
        ({"max_age_seconds": wrong}, "max_age_seconds")
        for wrong in ("60", 60.0, True, None, [], {}, -1, 3601, 10**18, -(10**18), 10**40)
    ),
    *(({"attendees": wrong}, "attendees") for wrong in ("ann@contoso.example", {}, 1, True, None)),
    *(({"rooms": wrong}, "rooms") for wrong in ("room1@contoso.example", {}, {"0": "a@b.example"}, 1, True, None)),
    *(
        ({"attendees": [ANN, wrong]}, "attendees[1]")
        for wrong in ("bob@contoso.example", 1, None, [], True, ["email", "bob@contoso.example"])
    ),
    ({"attendees": [ANN, {}]}, "attendees[1].email"),
    ({"attendees": [ANN, {"required": True}]}, "attendees[1].email"),
    *(
        ({"attendees": [ANN, {"email": wrong}]}, "attendees[1].email")
        for wrong in (
            "",
            "bob",
            "bob@",
            "@contoso.example",
            "bob@contoso",
            " bob@contoso.example",
            "bob@contoso.example ",
            "bob@contoso.example\n",
            "bob@contoso.example\0",
            "bob @contoso.example",
            "bob@contoso.example,carl@contoso.example",
            "Bob <bob@contoso.example>",
            "bob@@contoso.example",
            "b" * 255 + "@contoso.example",
            1,
            True,
            None,
            [],
            {},
        )
    ),
    *(
        ({"attendees": [ANN, {"email": "bob@contoso.example", "required": wrong}]}, "attendees[1].required")
        for wrong in ("yes", "true", "", 1, 0, 1.0, None, [], {})
    ),
    *(({"rooms": ["room1@contoso.example", wrong]}, "rooms[1]") for wrong in ("", "room", 1, True, None, [], {})),
    ({"attendees": [], "rooms": []}, "attendees"),
    ({"attendees": ..., "rooms": ...}, "attendees"),
    ({"colour": "red"}, "colour"),
    ({"Start": "2027-03-16T00:00:00+01:00"}, "Start"),
    ({"timeZone": "UTC"}, "timeZone"),
    ({"attendees": [ANN, {"email": "bob@contoso.example", "name": "Bob"}]}, "attendees[1].name"),
]


@pytest.mark.parametrize("what", ["availability", "slots"])
@pytest.mark.parametrize(
    ("changed", "field"),
    BOTH,
    ids=[f"{row[1]}-{number}" for number, row in enumerate(BOTH)],
)
def test_a_bad_field_is_named(api: Api, what: str, changed: dict[str, Any], field: str) -> None:
    assert fields(api, what, good(what, **changed)) == [field]


SLOTS: list[tuple[dict[str, Any], str]] = [
    ({"duration_minutes": ...}, "duration_minutes"),
    *(
        ({name: wrong}, name)
        for name, most in (("duration_minutes", 1440), ("step_minutes", 1440), ("limit", 5000))
        for wrong in ("30", 30.0, True, None, [], {}, 0, -30, most + 1, 10**30)
    ),
    *(({"order": wrong}, "order") for wrong in ("Time", "newest", "", 1, True, None, ["time"], {})),
    *(
        ({name: wrong}, name)
        for name in ("include_unverified", "explain")
        for wrong in ("yes", "true", 1, 0, None, [], {})
    ),
    *(({"working_hours": wrong}, "working_hours") for wrong in ("09:00-17:00", 9, True, None, [], [HOURS])),
    ({"working_hours": {**HOURS, "zone": "UTC"}}, "working_hours.zone"),
    *(
        (
            {"working_hours": {name: value for name, value in HOURS.items() if name != missing}},
            f"working_hours.{missing}",
        )
        for missing in HOURS
    ),
    *(
        ({"working_hours": {**HOURS, "days": wrong}}, "working_hours.days")
        for wrong in ([], ["mon", "mon"], ["mon", "tue", "mon"], "mon", {"mon": True}, 1, None)
    ),
    *(
        ({"working_hours": {**HOURS, "days": ["tue", wrong]}}, "working_hours.days[1]")
        for wrong in ("Mon", "monday", "", 1, True, None, [], {}, ["mon"])
    ),
    *(
        ({"working_hours": {**HOURS, name: wrong}}, f"working_hours.{name}")
        for name in ("start", "end")
        for wrong in (
            "9:00",
            "09:00:00",
            "09.00",
            "24:01",
            "25:00",
            "09:60",
            "",
            " 09:00",
            "0٩:00",
            9,
            9.5,
            True,
            None,
            [],
        )
    ),
    ({"working_hours": {**HOURS, "start": "24:00"}}, "working_hours.start"),
    ({"working_hours": {**HOURS, "end": "09:00"}}, "working_hours.end"),
    ({"working_hours": {**HOURS, "end": "08:59"}}, "working_hours.end"),
    ({"working_hours": {**HOURS, "start": "22:00", "end": "06:00"}}, "working_hours.end"),
    ({"include_ignored": True}, "include_ignored"),
]


@pytest.mark.parametrize(("changed", "field"), SLOTS, ids=[f"{row[1]}-{number}" for number, row in enumerate(SLOTS)])
def test_a_bad_field_of_slots_is_named(api: Api, changed: dict[str, Any], field: str) -> None:
    assert fields(api, "slots", good("slots", **changed)) == [field]


@pytest.mark.parametrize("wrong", ["yes", 1, 0, None, [], {}])
def test_include_ignored_is_true_or_false(api: Api, wrong: Any) -> None:
    assert fields(api, "availability", good(include_ignored=wrong)) == ["include_ignored"]


@pytest.mark.parametrize("name", ["duration_minutes", "order", "explain", "working_hours"])
def test_availability_knows_nothing_of_the_members_of_slots(api: Api, name: str) -> None:
    assert refused(api, "availability", good(**{name: 30})) == [(name, "unknown_field")]


# --- several at once, and odd names -------------------------------------------------------------------------------
def test_every_error_is_named_at_once(api: Api) -> None:
    body = {
        "attendees": [ANN, {"email": "bob"}, {"email": "cleo@contoso.example", "required": "yes", "vip": True}],
        "rooms": ["room1@contoso.example", "room"],
        "start": "tomorrow",
        "duration_minutes": "30",
        "working_hours": {"days": ["mon", "someday"], "start": "9", "end": "17:00", "lunch": "12:00"},
        "colour": "red",
    }
    assert sorted(fields(api, "slots", body)) == [
        "attendees[1].email",
        "attendees[2].required",
        "attendees[2].vip",
        "colour",
        "duration_minutes",
        "end",
        "rooms[1]",
        "start",
        "working_hours.days[1]",
        "working_hours.lunch",
        "working_hours.start",
    ]


ODD_NAMES = ["message", "code", "non_field_errors", "detail", "errors", "0", "a.b", "a[0]", "ümlaut", "__class__"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_unknown_member_is_named_whatever_it_is_called(api: Api, name: str) -> None:
    assert refused(api, "availability", good(**{name: 1})) == [(name, "unknown_field")]
    body = good(attendees=[ANN, {"email": "bob@contoso.example", name: 1}])
    assert refused(api, "availability", body) == [(f"attendees[1].{name}", "unknown_field")]


def test_unknown_members_called_like_an_error_are_still_named_one_by_one(api: Api) -> None:
    body = good(attendees=[ANN, {"email": "bob@contoso.example", "message": 1, "code": 2}], message=1, code=2)
    assert sorted(refused(api, "availability", body)) == [
        ("attendees[1].code", "unknown_field"),
        ("attendees[1].message", "unknown_field"),
        ("code", "unknown_field"),
        ("message", "unknown_field"),
    ]


# --- the same address twice ---------------------------------------------------------------------------------------
REPEATED = [
    (["ann@contoso.example", "ann@contoso.example"], [], ["attendees[1].email"]),
    (["ann@contoso.example", "ANN@Contoso.Example"], [], ["attendees[1].email"]),
    (["a@contoso.example", "b@contoso.example", "A@contoso.example", "B@contoso.example"], [], None),
    ([], ["room1@contoso.example", "Room1@contoso.example"], ["rooms[1]"]),
    (["room1@contoso.example"], ["room1@CONTOSO.example"], ["rooms[0]"]),
    (["guest@elsewhere.example", "Guest@elsewhere.example"], [], ["attendees[1].email"]),
    (["ann@contoso.example", "ann@contoso.example"], ["ann@contoso.example"], ["attendees[1].email", "rooms[0]"]),
]


@pytest.mark.parametrize(("people", "rooms", "named"), REPEATED)
def test_an_address_given_twice_in_any_case_is_refused(
    api: Api, people: list[str], rooms: list[str], named: list[str] | None
) -> None:
    body = good(attendees=[{"email": email} for email in people], rooms=rooms)
    expected = named or ["attendees[2].email", "attendees[3].email"]
    assert refused(api, "availability", body) == [(field, "repeated") for field in expected]


# --- limits -------------------------------------------------------------------------------------------------------
def crowd(people: int, rooms: int) -> dict[str, Any]:
    return {
        "attendees": [{"email": f"p{number}@contoso.example"} for number in range(people)],
        "rooms": [f"r{number}@contoso.example" for number in range(rooms)],
    }


@pytest.mark.parametrize(("people", "rooms"), [(501, 0), (0, 501), (500, 1), (1, 500), (5000, 0)])
def test_more_than_500_mailboxes_are_refused(api: Api, people: int, rooms: int) -> None:
    [(field, code)] = refused(api, "availability", good(**crowd(people, rooms)))
    assert (field in ("attendees", "rooms"), code) == (True, "too_many")


@pytest.mark.parametrize(("people", "rooms"), [(500, 0), (0, 500), (499, 1)])
def test_500_mailboxes_are_accepted(api: Api, people: int, rooms: int) -> None:
    assert api.post("contoso", "availability", good(**crowd(people, rooms))).status_code == 409


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("2028-03-16T00:00:00+01:00", 409),  # 366 days: 2028 has a 29th of February
        ("2028-03-16T00:00:00.000001+01:00", 400),
        ("2028-03-16T00:00:01+01:00", 400),
        ("2028-03-16T01:00:00+02:00", 409),  # the same instant
    ],
)
def test_a_window_is_at_most_366_days_of_24_hours(api: Api, end: str, status: int) -> None:
    answer = api.post("contoso", "availability", good(end=end))
    assert answer.status_code == status
    if status == 400:
        assert [error["field"] for error in answer.json()["errors"]] == ["end"]


def test_more_than_50_000_candidates_are_refused_before_microsoft_is_asked(api: Api) -> None:
    # Five weeks of 1440 candidates a day and a bit: 50,400 with a step of a minute.
    body = good("slots", duration_minutes=1, step_minutes=1, end="2027-04-20T00:00:00+02:00")
    assert refused(api, "slots", body) == [("step_minutes", "too_many_candidates")]


@pytest.mark.parametrize(("minutes", "status"), [(50_000, 409), (50_001, 400)])
def test_50_000_candidates_are_the_most(api: Api, minutes: int, status: int) -> None:
    # 50,000 minutes after the start of the window; a slot of one minute begins at each of them.
    start, days = "2027-05-01T00:00:00+00:00", 50_000 // 1440
    left = minutes - days * 1440
    end = f"2027-06-{days + 1 - 31:02}T{left // 60:02}:{left % 60:02}:00+00:00"
    body = good("slots", start=start, end=end, duration_minutes=1, step_minutes=1, time_zone="UTC")
    assert api.post("contoso", "slots", body).status_code == status


GOOD_TIMES = [
    "2027-03-17T00:00:00Z",
    "2027-03-17t00:00:00z",
    "2027-03-17T00:00:00.5Z",
    "2027-03-17T00:00:00.123456789Z",
    "2027-03-17T00:00:00-00:00",
    "2027-03-17T00:00:00+05:45",
    "2027-03-16T12:00:00-23:59",
    "2028-02-29T00:00:00Z",
]


@pytest.mark.parametrize("end", GOOD_TIMES)
def test_every_form_of_rfc_3339_is_understood(api: Api, end: str) -> None:
    assert api.post("contoso", "availability", good(end=end)).status_code == 409


@pytest.mark.parametrize(
    ("start", "end"),
    [("1900-01-01T00:00:00+14:00", "1900-01-02T00:00:00Z"), ("2200-12-30T00:00:00Z", "2200-12-31T23:59:59-12:00")],
)
def test_the_first_and_last_year_are_no_trap(api: Api, start: str, end: str) -> None:
    for what in ("availability", "slots"):
        assert api.post("contoso", what, good(what, start=start, end=end)).status_code == 409


@pytest.mark.parametrize(
    "changed",
    [
        {"working_hours": {**HOURS, "end": "24:00"}},
        {"working_hours": {"days": ["sun", "mon"], "start": "00:00", "end": "00:01"}},
        {"duration_minutes": 1},
        {"duration_minutes": 1440},
        {"step_minutes": 1},
        {"step_minutes": 1440},
        {"limit": 1},
        {"limit": 5000},
        {"order": "fewest_conflicts"},
        {"include_unverified": True, "explain": True},
        {"attendees": ...},
        {"rooms": ...},
        {"rooms": []},
        {"max_age_seconds": 0},
        {"max_age_seconds": 3600},
        {"time_zone": "America/Argentina/Buenos_Aires"},
    ],
    ids=str,
)
def test_every_value_at_its_bound_is_good(api: Api, changed: dict[str, Any]) -> None:
    assert api.post("contoso", "slots", good("slots", **changed)).status_code == 409


# --- bodies -------------------------------------------------------------------------------------------------------
def raw(api: Api, body: bytes, content_type: str = "application/json", what: str = "availability") -> Any:
    return api.client.post(
        f"/api/v1/accounts/contoso/{what}/",
        body,
        content_type=content_type,
        headers={"Authorization": f"Bearer {api.key}"},
    )


START = b'"start": "2027-03-16T00:00:00+01:00", "end": "2027-03-17T00:00:00+01:00"'
NOT_JSON = [
    (b"", "nothing"),
    (b"   ", "blanks"),
    (b"{", "cut short"),
    (b"{'start': 1}", "single quotes"),
    (b"start=1", "a form"),
    (b"\xff\xfe{}", "another encoding"),
    ("{}".encode("utf-16"), "UTF-16"),
    (b"\xef\xbb\xbf{}", "a byte order mark"),
    (b'{"max_age_seconds": NaN, ' + START + b"}", "NaN"),
    (b'{"max_age_seconds": Infinity, ' + START + b"}", "Infinity"),
    (b'{"max_age_seconds": 1e999, ' + START + b"}", "out of range"),
    (b'{"max_age_seconds": 060, ' + START + b"}", "a leading zero"),
    (b'{"max_age_seconds": ' + b"9" * 5000 + b", " + START + b"}", "5000 digits"),
    (b'{"rooms": ["\\ud800@contoso.example"], ' + START + b"}", "half a surrogate pair"),
    (b'{"\\udfff": 1, ' + START + b"}", "half a surrogate pair as a name"),
    (b'{"rooms": ["\xed\xa0\x80@contoso.example"], ' + START + b"}", "an encoded surrogate"),
    (b'{"rooms": ["a\x00@contoso.example"], ' + START + b"}", "a raw NUL"),
    (b'{"rooms": ' + b"[" * 100_000 + b"]" * 100_000 + b", " + START + b"}", "deep nesting"),
    (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "deep nesting of objects"),
    (b"{} {}", "two objects"),
    (b"{},", "a rest"),
    (b'{"rooms": [],}', "a trailing comma"),
    (b"// no\n{}", "a comment"),
    (b"[]", "a list"),
    (b"[[]]", "a list of lists"),
    (b'"text"', "a text"),
    (b"1", "a number"),
    (b"true", "true"),
    (b"null", "null"),
    (b"{}", "an empty object"),
]


@pytest.mark.parametrize(("body", "why"), NOT_JSON, ids=[row[1] for row in NOT_JSON])
@pytest.mark.parametrize("what", ["availability", "slots"])
def test_a_body_that_is_no_good_object_is_refused(api: Api, what: str, body: bytes, why: str) -> None:
    answer = raw(api, body, what=what)
    assert answer.status_code == 400, why
    assert answer.json()["code"] == "invalid_request"
    assert answer.json()["errors"]


@pytest.mark.parametrize("depth", [10, 300])
def test_nesting_that_can_be_read_is_refused_for_its_type(api: Api, depth: int) -> None:
    answer = raw(api, b'{"rooms": [' + b"[" * depth + b"]" * depth + b"], " + START + b"}")
    assert [error["field"] for error in answer.json()["errors"]] == ["rooms[0]"]


def test_an_escaped_nul_is_refused(api: Api) -> None:
    answer = raw(api, b'{"rooms": ["a\\u0000@contoso.example"], ' + START + b"}")
    assert {error["field"] for error in answer.json()["errors"]} == {"rooms[0]"}


def test_a_name_with_a_nul_is_given_back_escaped(api: Api) -> None:
    answer = raw(api, b'{"a\\u0000b": 1, "rooms": ["room1@contoso.example"], ' + START + b"}")
    assert [error["field"] for error in answer.json()["errors"]] == ["a\0b"]


@pytest.mark.parametrize(("size", "status"), [(1_000_000, 409), (1_000_001, 400), (5_000_000, 400)])
def test_a_body_is_at_most_a_million_bytes(api: Api, size: int, status: int) -> None:
    body = json.dumps(good()).encode()
    answer = raw(api, body + b" " * (size - len(body)))
    assert answer.status_code == status


def test_blanks_and_escapes_mean_nothing(api: Api) -> None:
    body = json.dumps(good(), indent=4).replace("ann@", "\\u0061nn@").encode()
    assert raw(api, body, "application/json; charset=utf-8").status_code == 409


def test_the_caller_learns_nothing_of_the_insides(api: Api) -> None:
    for body, _ in NOT_JSON:
        text = raw(api, body).content.decode()
        assert not any(word in text for word in ("Traceback", "msgspec", "rest_framework", ".py"))
