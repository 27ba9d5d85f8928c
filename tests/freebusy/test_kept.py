"""What is kept of an answer: enough to find it again from the request's id, and nothing that says whose it was."""

from __future__ import annotations

import re
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from freebusy import kept
from freebusy.bundle import encoded, make
from sandbox import Sandbox
from tenants.coordination import latest as stores
from tenants.disconnecting import disconnect
from tenants.models import Account
from tests.factories import Api, make_account
from tests.freebusy.asking import mailbox, question
from tests.freebusy.test_bundle import replayed, slots_body, without_names, written

ID = "req-1"
PSEUDONYM = re.compile(rb"(?:person|room|reader|domain)-[0-9a-f]{10}")


def ask(api: Api, what: str, body: dict[str, Any], request_id: str = ID) -> dict[str, Any]:
    answer: dict[str, Any] = api.post("contoso", what, body, HTTP_X_REQUEST_ID=request_id).json()
    return answer


def availability_body(microsoft: Sandbox) -> dict[str, Any]:
    body = slots_body(microsoft)
    return {**{k: v for k, v in body.items() if k not in ("duration_minutes", "explain")}, "include_ignored": True}


class Away:
    """A store that cannot be reached, and counts who tries."""

    tried = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fail(*_: Any) -> None:
            Away.tried += 1
            raise sqlite3.OperationalError("away")

        return fail


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Away]]:
    Away.tried = 0
    monkeypatch.setattr(kept, "latest", Away)
    yield Away
    kept._away_until = 0.0


# --- from the id alone --------------------------------------------------------------------------------------------
def test_the_id_of_a_request_brings_its_slots_however_the_calendars_have_changed(
    contoso: Account, microsoft: Sandbox, api: Api, tmp_path: Path
) -> None:
    body = slots_body(microsoft)
    answer = ask(api, "slots", body)
    mailbox(microsoft, "full", ("2027-03-16T08:00:00+01:00", "2027-03-16T18:00:00+01:00"))
    microsoft.counters.reset()
    made = make(contoso, request_id=ID)
    assert made.case is not None
    for key in ("slots", "withheld", "unknown", "candidates", "policy", "truncated"):
        assert without_names(made.case.slots[key]) == without_names(answer[key])
    assert (made.answered_by, made.code_version, made.problem) == (made.code_version, django_settings.VERSION, None)
    assert made.answered_at is not None and timezone.now() - made.answered_at < timedelta(hours=1)
    assert [bool(call.request_id) for call in made.calls] == [True]
    assert made.log[0]["withheld"] == answer["withheld"]
    assert microsoft.counters["requests"] == 0
    found = replayed(written(made, tmp_path))
    assert (found["equal"], found["slots"]) == (True, made.case.slots["slots"])


def test_the_id_of_a_question_for_availability_brings_its_blocks(
    contoso: Account, microsoft: Sandbox, api: Api, tmp_path: Path
) -> None:
    answer = ask(api, "availability", availability_body(microsoft))
    made = make(contoso, request_id=ID)
    assert made.case is not None
    for key in ("attendees", "rooms"):
        assert without_names(made.case.availability[key]) == without_names(answer[key])
    assert made.log[0]["states"] == {"known": 3, "unknown": 1, "external": 1}
    assert replayed(written(made, tmp_path))["equal"]


def test_a_refused_request_brings_its_refusal_and_the_calls_that_met_it(
    contoso: Account, microsoft: Sandbox, api: Api
) -> None:
    microsoft.control.set({"trouble": {"ann@contoso.example": "ErrorServerBusy"}})
    ask(api, "availability", question("ann@contoso.example"))
    made = make(contoso, request_id=ID)
    assert made.problem is not None and made.case is None
    assert (made.problem["status"], made.problem["code"], len(made.calls)) == (503, "microsoft_unavailable", 1)


def test_a_question_asked_anew_stands_beside_what_was_decided_then(
    contoso: Account, microsoft: Sandbox, api: Api
) -> None:
    body = question("ann@contoso.example", duration_minutes=60)
    answer = ask(api, "slots", body)
    made = make(contoso, body, request_id=ID)
    assert made.case is not None and made.answered_at is None
    assert made.log[0]["withheld"] == answer["withheld"]


@pytest.mark.parametrize("body", [{"attendees": []}, {"start": "now"}, {"colour": "red"}])
def test_a_question_that_is_none_is_not_kept(contoso: Account, api: Api, body: dict[str, Any]) -> None:
    ask(api, "availability", {**question("ann@contoso.example"), **body})
    assert kept.find(contoso, ID) is None


def test_an_id_of_which_nothing_is_kept_says_what_to_do_instead(contoso: Account) -> None:
    problem = make(contoso, request_id="another").problem
    assert problem is not None and problem["code"] == "not_kept"
    assert "Ask the question anew, or paste its log lines." in problem["detail"]


# --- whose it was -------------------------------------------------------------------------------------------------
def test_nothing_that_is_kept_names_anybody_even_without_its_encryption(
    contoso: Account, microsoft: Sandbox, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Open:
        @staticmethod
        def encrypt(raw: bytes) -> bytes:
            return raw

    monkeypatch.setattr(kept, "current_fernet", Open)
    ask(api, "slots", slots_body(microsoft))
    raw = stores.latest().get("contoso", ID)
    assert raw is not None
    text = zlib.decompress(raw).decode(errors="replace").casefold()
    assert "person-" in text and "busy" in text
    words = ["full@", "odd@", "lost@", "hall@", "ann@", "elsewhere.example", "cadence-service", "subject", "location"]
    assert [word for word in words if word in text] == []
    assert not re.search(r"marker|eyj", text)


def test_the_file_of_the_store_holds_it_encrypted(contoso: Account, microsoft: Sandbox, api: Api) -> None:
    ask(api, "slots", slots_body(microsoft))
    raw = stores.latest().get("contoso", ID)
    assert raw is not None and raw.startswith(b"gAAAA")
    files = Path(django_settings.COORDINATION_FILE).parent.glob("coordination.sqlite3*")
    stored = b"".join(file.read_bytes() for file in files)
    assert [word for word in (b"person-", b"OUTLOOK", b"@contoso", b"technical") if word in stored] == []


def test_two_requests_about_the_same_people_share_no_pseudonym(contoso: Account, microsoft: Sandbox, api: Api) -> None:
    for request_id in ("a", "b"):
        ask(api, "slots", slots_body(microsoft), request_id)
    first, second = (PSEUDONYM.findall(encoded(make(contoso, request_id=i))) for i in ("a", "b"))
    assert first and not set(first) & set(second)


def test_a_bundle_has_one_pseudonym_for_the_accounts_domain(contoso: Account, microsoft: Sandbox, api: Api) -> None:
    ask(api, "slots", question("ann@contoso.example", duration_minutes=60))
    made = make(contoso, request_id=ID)
    assert made.case is not None
    assert made.case.body["attendees"][0]["email"].partition("@")[2] == made.account["domains"][0]


def test_what_another_account_was_answered_is_not_found(contoso: Account, microsoft: Sandbox, api: Api) -> None:
    ask(api, "slots", slots_body(microsoft))
    assert kept.find(make_account("fabrikam"), ID) is None


# --- for how long -------------------------------------------------------------------------------------------------
def test_nothing_is_kept_when_it_is_switched_off(
    contoso: Account, microsoft: Sandbox, api: Api, settings: Any, away: type[Away]
) -> None:
    settings.ANSWERS_KEPT_HOURS = 0
    ask(api, "slots", slots_body(microsoft))
    contoso.connection.token.delete()
    ask(api, "slots", slots_body(microsoft))
    assert away.tried == 0


def test_it_ends_after_the_hours_that_are_set(
    contoso: Account, microsoft: Sandbox, api: Api, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ANSWERS_KEPT_HOURS = 3
    seconds: list[float] = []

    class Spy:
        def put(self, owner: str, name: str, value: bytes, until: float) -> None:
            seconds.append(until)

    monkeypatch.setattr(kept, "latest", Spy)
    ask(api, "slots", slots_body(microsoft))
    assert seconds == [3 * 3600.0]


def test_a_disconnect_deletes_all_of_the_account(contoso: Account, microsoft: Sandbox, api: Api) -> None:
    ask(api, "slots", slots_body(microsoft))
    assert kept.find(contoso, ID) is not None
    disconnect(contoso, why="test", actor="test")
    assert kept.find(contoso, ID) is None


def test_under_a_key_that_was_dropped_nothing_is_found_and_nothing_breaks(
    contoso: Account, microsoft: Sandbox, api: Api, settings: Any
) -> None:
    ask(api, "slots", slots_body(microsoft))
    settings.FERNET_KEYS = [Fernet.generate_key().decode(), *settings.FERNET_KEYS]
    assert kept.find(contoso, ID) is not None  # an older key still opens it
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    assert kept.find(contoso, ID) is None


def test_what_is_very_large_is_not_kept(
    contoso: Account, microsoft: Sandbox, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST_BYTES", 100)
    ask(api, "slots", slots_body(microsoft))
    assert kept.find(contoso, ID) is None


# --- what it costs ------------------------------------------------------------------------------------------------
def test_it_costs_an_answer_no_query(contoso: Account, microsoft: Sandbox, api: Api, settings: Any) -> None:
    body = slots_body(microsoft)
    ask(api, "slots", body)
    counts = []
    for hours in (0, 24):
        settings.ANSWERS_KEPT_HOURS = hours
        with CaptureQueriesContext(connection) as queries:
            ask(api, "slots", body)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_while_the_store_is_away_answers_go_out_and_it_is_left_alone(
    contoso: Account, microsoft: Sandbox, api: Api, away: type[Away]
) -> None:
    body = slots_body(microsoft)
    assert [api.post("contoso", "slots", body).status_code for _ in range(3)] == [200] * 3
    assert away.tried == 1
    assert kept.find(contoso, ID) is None


def test_the_replay_says_when_it_was_answered(contoso: Account, microsoft: Sandbox, api: Api, tmp_path: Path) -> None:
    ask(api, "slots", slots_body(microsoft))
    said = StringIO()
    call_command("replay_bundle", str(written(make(contoso, request_id=ID), tmp_path)), stdout=StringIO(), stderr=said)
    assert re.search(r"Answered at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC by version ", said.getvalue())
