"""Policy what-if: what is foretold is what the API says afterwards; a choice is made once, by whoever may."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freebusy.core.rules import PRESETS
from freebusy.models import KnownMailbox
from sandbox import Sandbox
from tenants.models import Account, AuditEntry
from tests.console.asking import fields, staff
from tests.factories import Api
from tests.freebusy.asking import mailbox

PAGE = "/admin/accounts/contoso/policy/"
DAY = "2027-03-16T{}:00+01:00"


@pytest.fixture
def roster(contoso: Account, microsoft: Sandbox) -> dict[str, Any]:
    """Each status alone, all day and long, of a person and of a room."""
    for name in ("pat", "hall"):
        events = [
            (DAY.format(f"{8 + n:02}:00"), DAY.format(f"{9 + n:02}:00"), status)
            for n, status in enumerate(("free", "tentative", "busy", "oof", "workingElsewhere"))
        ]
        long = [(DAY.format("14:00"), DAY.format("20:00"), s) for s in ("tentative", "workingElsewhere", "busy")]
        whole = [
            ("2027-03-16T00:00:00+01:00", "2027-03-17T00:00:00+01:00", s) for s in ("tentative", "workingElsewhere")
        ]
        mailbox(microsoft, name, *events, *long, *whole)
    lost = mailbox(microsoft, "lost", trouble="ErrorNoFreeBusyAccess")
    given = fields("pat@contoso.example", lost, rooms=("hall@contoso.example",))
    return {name: given[name] for name in ("required", "rooms", "start", "end", "time_zone")}


@pytest.fixture
def root(contoso: Account) -> Any:
    return staff("change_policy", "see_availability")


def conflicts(api: Api) -> set[tuple[str, str, str, str]]:
    """What counts by the API: address, start, end, status."""
    body = {
        "attendees": [{"email": "pat@contoso.example"}, {"email": "lost@contoso.example"}],
        "rooms": ["hall@contoso.example"],
        "start": "2027-03-16T00:00:00+01:00",
        "end": "2027-03-17T00:00:00+01:00",
    }
    answer = api.post("contoso", "availability", body).json()
    return {
        (box["email"], block["start"], block["end"], block["status"])
        for box in (*answer["attendees"], *answer["rooms"])
        for block in box["blocks"]
    }


def rows(page: Any, name: str) -> set[tuple[str, str, str, str]]:
    return {(row["address"], row["start"], row["end"], row["status"]) for row in page.context[name]}


def choose(browser: Any, policy: str, seen: str) -> Any:
    return browser.post(PAGE, {"save": "yes", "policy": policy, "seen": seen}, follow=True)


@pytest.mark.parametrize(("before", "after"), [("technical", "cautious"), ("cautious", "technical")])
def test_the_prediction_is_what_the_api_says_after_saving(
    root: Any, api: Api, roster: dict[str, Any], before: str, after: str
) -> None:
    Account.objects.update(policy=before)
    then = conflicts(api)
    page = root.post(PAGE, {**roster, "policy": after})
    assert page.status_code == 200
    assert conflicts(api) == then  # nothing has changed by looking
    assert f"{after}” for contoso" in page.content.decode()
    assert choose(root, after, before).status_code == 200
    now = conflicts(api)
    assert (rows(page, "starting"), rows(page, "stopping")) == (now - then, then - now)
    assert now != then
    assert "lost@contoso.example" in page.context["unread"]


def test_the_rules_are_shown_side_by_side(root: Any, roster: dict[str, Any]) -> None:
    text = root.post(PAGE, {**roster, "policy": "cautious"}).content.decode()
    assert "status tentative" in text
    assert text.count("(changes)") == 2


def test_the_mailboxes_asked_for_lately_can_be_the_roster(root: Any, contoso: Account, roster: dict[str, Any]) -> None:
    for address in ("pat@contoso.example", "hall@contoso.example"):
        KnownMailbox.objects.create(account=contoso, address=address, last_asked_at="2027-01-01T00:00Z")
    page = root.post(PAGE, {**roster, "required": "", "rooms": "", "policy": "cautious", "known": "on"})
    assert {row[0] for row in rows(page, "starting")} == {"pat@contoso.example", "hall@contoso.example"}
    # Somebody both known and typed in is asked for once.
    again = root.post(PAGE, {**roster, "policy": "cautious", "known": "on"})
    assert (again.status_code, again.context["asked"]) == (200, 3)


def test_a_choice_is_in_the_audit_log_with_what_it_was_before(root: Any, contoso: Account) -> None:
    choose(root, "cautious", "technical")
    contoso.refresh_from_db()
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (contoso.policy, entry.action, entry.actor) == ("cautious", "policy_changed", "sam")
    assert entry.details == {"previous": "technical", "policy": "cautious", "version": PRESETS["cautious"].version}


@pytest.mark.parametrize(("policy", "seen"), [("cautious", "cautious"), ("cautious", ""), ("strict", "technical")])
def test_a_choice_that_was_not_compared_with_the_policy_in_force_changes_nothing(
    root: Any, contoso: Account, policy: str, seen: str
) -> None:
    count = AuditEntry.objects.count()
    page = choose(root, policy, seen)
    contoso.refresh_from_db()
    assert (contoso.policy, AuditEntry.objects.count()) == ("technical", count)
    assert "error" in page.content.decode()


def test_while_the_account_is_not_connected_it_may_be_chosen_all_the_same(root: Any, contoso: Account) -> None:
    contoso.connection.delete()
    roster = fields("pat@contoso.example")
    page = root.post(PAGE, {**roster, "policy": "cautious"})
    assert page.status_code == 409
    assert "could not be compared" in page.content.decode()
    assert "save" in page.content.decode()


def test_a_mistake_in_the_roster_is_mended_before_anything_can_be_chosen(root: Any, roster: dict[str, Any]) -> None:
    page = root.post(PAGE, {**roster, "required": "nobody", "policy": "cautious"})
    assert page.status_code == 400
    assert page.context["after"] is None


def test_comparing_needs_the_right_to_see_availability_and_choosing_the_right_to_choose(
    contoso: Account, roster: dict[str, Any]
) -> None:
    chooser, looker = staff("change_policy", name="cho"), staff("see_availability", name="loo")
    assert chooser.get(PAGE).status_code == 200
    assert chooser.post(PAGE, {**roster, "policy": "cautious"}).status_code == 403
    assert looker.get(PAGE).status_code == looker.post(PAGE, {"save": "yes"}).status_code == 403


def test_the_comparison_is_noted_without_a_name(root: Any, roster: dict[str, Any]) -> None:
    page = root.post(PAGE, {**roster, "policy": "cautious"})
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.details) == ("policy_compared", {"policy": "cautious", "mailboxes": 3})
    assert "@" not in json.dumps(entry.details)
    assert "no-store" in page["Cache-Control"]
