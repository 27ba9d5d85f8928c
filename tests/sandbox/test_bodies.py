"""Errors have the bodies of Microsoft's own: the same members, codes and words, with other ids and times."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sandbox.calendars import Event
from sandbox.options import CLIENT_ID

SAMPLES = Path(__file__).parent.parent / "samples" / "microsoft"
IDS = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|GUID|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z|\d{4}-\d\d-\d\dT[\d:]+"
)


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def masked(value: Any) -> Any:
    """The value with ids and times replaced, so that those of two answers compare."""
    return json.loads(IDS.sub("*", json.dumps(value)))


@pytest.mark.parametrize(
    ("name", "status", "control"),
    [
        ("token-error-50173.json", 400, {"revoke_refresh_tokens": "*"}),
        ("token-error-50076-with-claims.json", 400, {"conditions": {"*": {"mfa": True}}}),
        ("token-error-7000222.json", 401, {"secret_expired": True}),
    ],
)
def test_a_refused_refresh_has_the_body_of_the_sample(client, sandbox, name, status, control):
    token = client.tokens()["refresh_token"]
    sandbox.control.set(control)
    answer = client.session.post(
        f"{client.authority}/organizations/oauth2/v2.0/token",
        data={
            "grant_type": "refresh_token",
            "refresh_token": token,
            "client_id": CLIENT_ID,
            "client_secret": client.credential,
        },
        timeout=5,
    )
    assert answer.status_code == status
    assert masked(answer.json()) == masked(sample(name))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("token-error-9002313.json", {"grant_type": "authorization_code", "code": "invented"}),
        (
            "token-error-70011.json",
            {"grant_type": "refresh_token", "scope": "https://example.contoso.com/activity.read"},
        ),
    ],
)
def test_a_malformed_token_request_has_the_body_of_the_sample(client, name, form):
    more = {"client_id": CLIENT_ID, "client_secret": client.credential, "redirect_uri": client.redirect_uri}
    token = client.tokens()["refresh_token"]
    url = f"{client.authority}/organizations/oauth2/v2.0/token"
    answer = client.session.post(url, data={"refresh_token": token, **more, **form}, timeout=5)
    wanted = masked(sample(name))
    wanted.setdefault("error_uri", f"https://login.microsoftonline.com/error?code={wanted['error_codes'][0]}")
    assert masked(answer.json()) == wanted


def test_the_correlation_id_of_a_request_comes_back_in_its_error(client):
    answer = client.session.post(
        f"{client.authority}/organizations/oauth2/v2.0/token", headers={"client-request-id": "abc"}, timeout=5
    ).json()
    assert answer["correlation_id"] == "abc"
    assert "Correlation ID: abc\r\n" in answer["error_description"]
    assert f"Trace ID: {answer['trace_id']}\r\n" in answer["error_description"]


def test_tokens_come_with_the_members_of_the_sample(client):
    assert set(sample("token-response.json")) <= set(client.tokens()) | {"token_type"}


@pytest.mark.parametrize(
    ("name", "status", "upn", "control", "how"),
    [
        ("graph-error-mailbox-array-too-big.json", 400, "ada", {"max_mailboxes": 100}, {"addresses": 101}),
        ("graph-error-invalid-merged-interval.json", 400, "ada", {}, {"availabilityViewInterval": 1441}),
        ("graph-403-access-denied.json", 403, "ada", {"missing_scopes": ["Calendars.Read"]}, {}),
        ("graph-429-body.json", 429, "ada", {"max_requests": 0}, {}),
    ],
)
def test_graph_refuses_with_the_body_of_the_sample(client, sandbox, name, status, upn, control, how):
    sandbox.control.set(control)
    token = client.tokens(f"{upn}@contoso.example")["access_token"]
    asked = ["joe@contoso.example"] * how.pop("addresses", 1)
    answer = client.ask(token, asked, **how)
    assert answer.status_code == status
    ours, theirs = answer.json()["error"], sample(name)["error"]
    assert (ours["code"], ours["message"]) == (theirs["code"], theirs["message"])
    assert set(theirs) <= set(ours)
    inner = theirs.get("innerError", {})
    assert set(inner) <= set(ours["innerError"])
    for fixed in {"code", "message", "status"} & set(inner):
        assert ours["innerError"][fixed] == inner[fixed]


def test_a_reader_without_mailbox_meets_the_code_of_the_sample_in_the_newer_wording(client):
    token = client.tokens("admin@contoso.example")["access_token"]
    ours = client.ask(token, ["joe@contoso.example"]).json()["error"]
    theirs = sample("graph-404-mailbox-not-enabled.json")["error"]
    assert ours["code"] == theirs["code"]
    assert set(theirs["innerError"]) <= set(ours["innerError"])
    assert ours["message"] == "The mailbox is either inactive, soft-deleted, or is hosted on-premise."


def test_an_expired_token_has_the_headers_and_the_error_of_the_sample(client, clock):
    token = client.tokens()["access_token"]
    clock.advance(3600)
    answer, theirs = client.ask(token, ["joe@contoso.example"]), sample("graph-401-expired-token.headers.json")
    assert answer.status_code == theirs["status"]
    assert {"request-id", "client-request-id", "x-ms-ags-diagnostic", "www-authenticate"} <= {
        name.lower() for name in answer.headers
    }
    assert answer.headers["WWW-Authenticate"] == theirs["headers"]["www-authenticate"]
    ours = answer.json()["error"]
    assert (ours["code"], ours["message"]) == (theirs["error"]["code"], theirs["error"]["message"])


@pytest.mark.parametrize("name", ["2021", "concept", "current"])
def test_the_requests_of_the_documentation_are_accepted(client, sandbox, name):
    token = client.tokens()["access_token"]
    body = sample(f"getschedule-request.{name}.json")
    url, headers = f"{client.graph}/me/calendar/getSchedule", {"Authorization": f"Bearer {token}"}
    answer = client.session.post(url, json=body, headers=headers, timeout=5)
    schedules = body.get("schedules") or body["Schedules"]
    assert answer.status_code == 200
    assert [entry["scheduleId"] for entry in answer.json()["value"]] == schedules
    theirs = masked(sample("getschedule-response.error-5009.json"))["value"][0]
    for entry, address in zip(answer.json()["value"], schedules, strict=True):
        assert entry == json.loads(json.dumps(theirs).replace("<user_email>", address))


def test_an_answer_has_the_members_of_the_recorded_one(client):
    token = client.tokens()["access_token"]
    ours = client.ask(token, ["ann@contoso.example", "ivy@contoso.example"]).json()
    theirs = sample("getschedule-response.2021.json")
    assert ours["@odata.context"] == theirs["@odata.context"]
    recorded, entry = theirs["value"][0], ours["value"][0]
    assert set(entry) == set(recorded)
    shown = next(item for item in entry["scheduleItems"] if "subject" in item)
    undocumented = {"isMeeting", "isRecurring", "isException", "isReminderSet"}
    assert set(shown) - undocumented == set(recorded["scheduleItems"][0])
    assert undocumented < set(shown)
    custom = sample("getschedule-response.concept.json")["value"][0]["workingHours"]
    assert set(ours["value"][1]["workingHours"]) == set(custom)
    zone = ours["value"][1]["workingHours"]["timeZone"]
    assert set(zone) == set(custom["timeZone"])
    for side in ("standardOffset", "daylightOffset"):
        assert set(zone[side]) == set(custom["timeZone"][side])


@pytest.mark.parametrize(("name", "position"), [("2021", 0), ("2021", 1), ("concept", 0)])
def test_the_vectors_of_the_documentation_give_their_digits(client, sandbox, name, position):
    entry = sample(f"getschedule-response.{name}.json")["value"][position]
    question = {key.lower(): value for key, value in sample(f"getschedule-request.{name}.json").items()}
    address, zone = sandbox.directory.add_mailbox("vector@contoso.example").upn, ZoneInfo("America/Los_Angeles")
    for item in entry["scheduleItems"]:
        start, end = (
            datetime.fromisoformat(item[edge]["dateTime"][:19]).replace(tzinfo=zone) for edge in ("start", "end")
        )
        sandbox.directory.add_event(address, Event(start=start, end=end, status=item["status"].lower()))
    (answer,) = client.ask(
        client.tokens()["access_token"],
        [address],
        prefer="Pacific Standard Time",
        startTime=question["starttime"],
        endTime=question["endtime"],
        availabilityViewInterval=question["availabilityviewinterval"],
    ).json()["value"]
    assert answer["availabilityView"] == entry["availabilityView"]
    edges = [[item["start"], item["end"]] for item in entry["scheduleItems"]]
    assert [[item["start"], item["end"]] for item in answer["scheduleItems"]] == edges
