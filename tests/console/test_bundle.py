"""The page of the support bundle: a file under a neutral name, for whoever may, noted in the audit log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freebusy.bundle import decoded
from sandbox import Sandbox
from tenants.models import Account, AuditEntry
from tests.console.asking import fields, staff
from tests.factories import Api
from tests.freebusy.asking import question

PAGE = "/admin/accounts/contoso/bundle/"
NOBODY = {"request_id": "", "log_lines": ""}


@pytest.fixture
def support(contoso: Account) -> Any:
    return staff("make_bundle", "see_availability")


def test_a_question_becomes_a_file_that_names_nobody(support: Any) -> None:
    answer = support.post(PAGE, {**NOBODY, **fields("ann@contoso.example", rooms=("room1@contoso.example",))})
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Disposition"].startswith('attachment; filename="cadence-support-bundle-')
    assert "contoso" not in answer["Content-Disposition"] + answer.content.decode()
    made = decoded(answer.content)
    assert made.case is not None
    assert made.case.slots["slots"]


def test_the_availability_check_leads_to_the_bundle_of_its_question(support: Any) -> None:
    page = support.get("/admin/accounts/contoso/availability/").content.decode()
    assert f'formaction="{PAGE}"' in page
    assert decoded(support.post(PAGE, fields("ann@contoso.example")).content).case is not None


def test_without_people_it_is_about_the_connection_and_asks_microsoft_nothing(support: Any, microsoft: Sandbox) -> None:
    microsoft.counters.reset()
    made = decoded(support.post(PAGE, {"request_id": "req-7"}).content)
    assert (made.request_id, made.case, made.account["state"]) == ("req-7", None, "enabled")
    assert microsoft.counters["requests"] == 0


def test_it_is_in_the_audit_log_with_the_request_it_is_about(support: Any) -> None:
    support.post(PAGE, {"request_id": "req-7"})
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.outcome, entry.actor) == ("bundle_made", "not_kept", "sam")
    assert entry.details == {"about": "req-7", "asked": False}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"request_id": "no blanks"}, "Enter a valid value"),
        ({"log_lines": "{}"}, "Which request are the log lines of?"),
        ({"request_id": "r", "log_lines": "{}"}, "None of the log lines"),
        (
            {"request_id": "r", "log_lines": json.dumps({"request_id": "r", "logger": "freebusy.views"})},
            "another account",
        ),
        ({**fields("nobody")}, "attendees[0].email"),
        ({**fields("ann@contoso.example"), "duration_minutes": ""}, "This field is required"),
    ],
)
def test_what_makes_no_bundle_says_why(support: Any, given: dict[str, Any], said: str) -> None:
    answer = support.post(PAGE, given)
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert not AuditEntry.objects.filter(action="bundle_made").exists()


def test_people_are_asked_for_only_by_those_who_may_see_when_they_are_busy(contoso: Account) -> None:
    maker, looker = staff("make_bundle", name="mae"), staff("see_availability", name="loo")
    assert maker.post(PAGE, fields("ann@contoso.example")).status_code == 403
    assert maker.get(PAGE).status_code == maker.post(PAGE, NOBODY).status_code == 200
    assert looker.get(PAGE).status_code == looker.post(PAGE, NOBODY).status_code == 403


def test_the_id_of_a_request_alone_brings_what_it_was_answered(support: Any, api: Api, microsoft: Sandbox) -> None:
    given = question("ann@contoso.example", duration_minutes=30)
    answer = api.post("contoso", "slots", given, HTTP_X_REQUEST_ID="req-8").json()
    microsoft.counters.reset()
    made = decoded(support.post(PAGE, {**NOBODY, "request_id": "req-8"}).content)
    assert made.case is not None
    assert made.case.slots["withheld"] == answer["withheld"]
    assert microsoft.counters["requests"] == 0
    entry = AuditEntry.objects.first()
    assert entry is not None and (entry.outcome, entry.details) == ("ok", {"about": "req-8", "asked": False})


def test_who_may_not_see_availability_gets_the_numbers_of_a_request_and_no_calendar(contoso: Account, api: Api) -> None:
    given = question("ann@contoso.example")
    api.post("contoso", "availability", given, HTTP_X_REQUEST_ID="req-9")
    made = decoded(staff("make_bundle", name="mae").post(PAGE, {"request_id": "req-9"}).content)
    assert made.case is None and made.problem is not None and made.problem["code"] == "not_shown"
    assert made.log[0]["states"] == {"known": 1}
    assert len(made.calls) == 1


@pytest.mark.parametrize(
    ("hours", "said"), [(24, "is kept for 24 hours"), (1, "is kept for 1 hour,"), (0, "keeps nothing")]
)
def test_the_page_says_for_how_long_an_id_is_enough_and_what_to_do_afterwards(
    support: Any, settings: Any, hours: int, said: str
) -> None:
    settings.ANSWERS_KEPT_HOURS = hours
    page = support.get(PAGE).content.decode()
    assert said in page
    assert "take the lines of the log" in page


def test_an_account_that_cannot_be_read_gives_a_bundle_that_says_why(support: Any, contoso: Account) -> None:
    contoso.connection.token.delete()
    made = decoded(support.post(PAGE, fields("ann@contoso.example")).content)
    assert made.problem is not None
    assert made.problem["code"] == "not_connected"
    assert contoso.consent_key not in json.dumps(made.problem)
