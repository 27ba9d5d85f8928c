"""The availability check: the API's own answer, each entry and each candidate with its code, nothing kept."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from freebusy.models import KnownMailbox
from sandbox import Sandbox
from tenants.models import Account, AuditEntry, Connection
from tests.console.asking import fields, staff
from tests.factories import Api, make_account
from tests.freebusy.asking import mailbox

PAGE = "/admin/accounts/contoso/availability/"


@pytest.fixture
def support(contoso: Account) -> Any:
    return staff("see_availability")


@pytest.fixture
def crowd(contoso: Account, microsoft: Sandbox) -> dict[str, Any]:
    """Somebody with everything that counts and everything that does not, somebody unreadable, rooms, a stranger."""
    busy = ("2027-03-16T10:00:00+01:00", "2027-03-16T11:00:00+01:00")
    full = mailbox(
        microsoft,
        "full",
        busy,
        ("2027-03-16T12:00:00+01:00", "2027-03-16T13:00:00+01:00", "tentative"),
        ("2027-03-16T13:00:00+01:00", "2027-03-16T14:00:00+01:00", "oof"),
        ("2027-03-16T00:00:00+01:00", "2027-03-17T00:00:00+01:00", "busy"),
    )
    room = mailbox(microsoft, "hall", ("2027-03-16T15:00:00+01:00", "2027-03-16T17:00:00+01:00"))
    perhaps = mailbox(microsoft, "perhaps", busy)
    lost = mailbox(microsoft, "lost", trouble="ErrorNoFreeBusyAccess")
    return fields(full, optional=(perhaps, lost, "ann@elsewhere.example"), rooms=(room,))


def shown(answer: Any, name: str) -> Any:
    return answer.context[name]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"order": "fewest_conflicts"},
        {"include_unverified": "on", "required": "lost@contoso.example", "optional": ""},
        {"required": "lost@contoso.example\nfull@contoso.example", "optional": ""},
        {"time_zone": "America/New_York", "hours_start": "00:00", "hours_end": "24:00"},
        {"rooms": ""},
    ],
    ids=["all", "order", "unverified", "withheld by an unknown", "another zone", "no room"],
)
def test_the_page_shows_what_the_api_answers_to_the_very_requests_it_shows(
    crowd: dict[str, Any], support: Any, api: Api, changed: dict[str, Any]
) -> None:
    with time_machine.travel(timezone.now(), tick=False):  # both are of one moment
        page = support.post(PAGE, {**crowd, **changed})
        assert page.status_code == 200
        exchanges = shown(page, "exchanges")
        assert [one.title.split("/")[-2] for one in exchanges] == ["availability", "slots"]
        for one in exchanges:
            words = shlex.split(one.curl)
            body = json.loads(words[words.index("-d") + 1])
            answer = api.post("contoso", one.title.split("/")[-2], body)
            assert answer.status_code == 200
            assert json.loads(one.answer) == answer.json()
            assert one.title in page.content.decode()


def test_each_entry_and_each_candidate_comes_with_its_code(crowd: dict[str, Any], support: Any) -> None:
    page = support.post(PAGE, crowd)
    boxes = {box["email"]: box for box in shown(page, "mailboxes")}
    assert [(b["code"], b["conflict"]) for b in boxes["full@contoso.example"]["blocks"]] == [
        ("IGNORED_ALL_DAY", False),
        ("OUTLOOK_BUSY", True),
        ("IGNORED_TENTATIVE", False),
        ("OUTLOOK_OOF", True),
    ]
    assert boxes["lost@contoso.example"]["problem"]["code"] == "no_access"
    assert boxes["ann@elsewhere.example"]["state"] == "external"
    text = page.content.decode()
    for word in ("IGNORED_ALL_DAY", "OUTLOOK_OOF", "no_access", "external", "in the way", "ROOM", "may come"):
        assert word in text
    fallen = {one["when"]: [b["code"] for b in one["blocked_by"]] for one in shown(page, "fallen")}
    assert fallen["Tue 16 Mar 2027 10:00–11:00"] == ["OUTLOOK_BUSY"]
    assert fallen["Tue 16 Mar 2027 16:00–17:00"] == ["ROOM"]
    assert {slot["when"] for slot in shown(page, "slots")}.isdisjoint(fallen)


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"required": "nobody"}, 400, "attendees[0].email"),
        ({"required": "", "optional": "", "rooms": ""}, 400, "At least one attendee or room"),
        ({"end": "2027-03-15T00:00"}, 400, "The end must be after the start."),
        ({"start": "tomorrow"}, 400, "RFC 3339"),
        ({"duration_minutes": "0"}, 400, "duration_minutes"),
        ({"days": []}, 400, "working_hours.days"),
        ({"hours_end": "25:00"}, 400, "working_hours.end"),
        ({"step_minutes": "1", "end": "2028-03-01T00:00", "hours_start": "00:00"}, 400, "candidates"),
        ({"duration_minutes": "long"}, 400, "Enter a whole number"),
    ],
)
def test_what_the_api_would_refuse_is_refused_in_its_words_and_costs_microsoft_nothing(
    crowd: dict[str, Any], support: Any, microsoft: Sandbox, changed: dict[str, Any], status: int, said: str
) -> None:
    microsoft.counters.reset()
    page = support.post(PAGE, {**crowd, **changed})
    assert page.status_code == status
    assert said in page.content.decode()
    assert microsoft.counters["requests"] == 0


def test_while_microsoft_gives_nothing_the_page_shows_the_refusal_of_the_api(
    crowd: dict[str, Any], support: Any, microsoft: Sandbox
) -> None:
    microsoft.control.set({"trouble": {"full@contoso.example": "ErrorServerBusy"}})
    page = support.post(PAGE, {**crowd, "optional": "", "rooms": ""})
    assert (page.status_code, shown(page, "refused").problem["code"]) == (503, "microsoft_unavailable")
    assert "None of the mailboxes could be read" in page.content.decode()
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert entry.outcome == "microsoft_unavailable"


def test_an_account_that_is_not_connected_says_so_without_its_consent_link(crowd: dict[str, Any], support: Any) -> None:
    account = make_account("new")
    page = support.post("/admin/accounts/new/availability/", crowd)
    assert (page.status_code, shown(page, "refused").problem["code"]) == (409, "not_connected")
    assert account.consent_key not in page.content.decode()


def test_nothing_of_it_is_kept_but_that_somebody_looked(crowd: dict[str, Any], support: Any) -> None:
    Connection.objects.update(last_used_at=None)
    page = support.post(PAGE, crowd)
    assert "no-store" in page["Cache-Control"]
    assert Connection.objects.get().last_used_at is None
    assert not KnownMailbox.objects.exists()
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.outcome, entry.actor) == ("availability_checked", "ok", "sam")
    assert entry.details["people"] == 4
    assert "@" not in json.dumps(entry.details)


def test_whoever_may_only_read_the_status_does_not_see_when_people_are_busy(crowd: dict[str, Any]) -> None:
    reader = staff("view_status", "make_evidence", "make_bundle", name="rita")
    assert reader.get(PAGE).status_code == reader.post(PAGE, crowd).status_code == 403


def test_an_account_that_there_is_not_is_404(support: Any) -> None:
    assert support.get("/admin/accounts/nobody/availability/").status_code == 404
