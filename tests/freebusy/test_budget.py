"""What one question may cost: few queries, as few calls to Microsoft as its limits allow, no writes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sandbox import Sandbox
from tests.factories import Api
from tests.freebusy.asking import question

# The one query of a warm question: the account with its connection and token, where the key may see it. Whose key it
# is has been remembered. The two more that the budget allows are spare. Limits and leases live in a file of their own.
MOST_QUERIES = 3
READS = ("tenants_account", "tenants_apikey", "tenants_connection", "tenants_tokenrecord")


def crowd(count: int) -> dict[str, Any]:
    people = [f"p{number}@contoso.example" for number in range(count - 2)]
    return question("ann@contoso.example", *people, rooms=("room1@contoso.example",))


def of_kind(what: str, body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "duration_minutes": 30} if what == "slots" else body


def statements_of(api: Api, what: str, body: dict[str, Any]) -> list[str]:
    """What one question that is answered says to the database."""
    with CaptureQueriesContext(connection) as queries:
        assert api.post("contoso", what, body).status_code == 200
    return [query["sql"] for query in queries]


@pytest.mark.parametrize("what", ["availability", "slots"])
@pytest.mark.parametrize("mailboxes", [2, 20])
def test_a_warm_question_is_one_query_one_call_and_no_write(
    api: Api, microsoft: Sandbox, what: str, mailboxes: int
) -> None:
    body = {**of_kind(what, crowd(mailboxes)), "max_age_seconds": 0}
    assert api.post("contoso", what, body).status_code == 200  # warms: the key's last use is noted
    microsoft.counters.reset()
    statements = statements_of(api, what, body)
    assert len(statements) <= MOST_QUERIES
    assert [sql.split()[0] for sql in statements] == ["SELECT"]
    assert all(table in statements[0] for table in READS)
    assert microsoft.counters["get_schedule"] == 1
    assert microsoft.counters["token_refresh"] == 0
    assert microsoft.counters["requests"] == 1


@pytest.mark.parametrize("what", ["availability", "slots"])
def test_a_question_that_was_just_answered_is_the_same_one_query_and_no_call(
    api: Api, microsoft: Sandbox, what: str
) -> None:
    body = of_kind(what, crowd(20))
    assert api.post("contoso", what, body).status_code == 200
    microsoft.counters.reset()
    statements = statements_of(api, what, body)
    assert [sql.split()[0] for sql in statements] == ["SELECT"]
    assert all(table in statements[0] for table in READS)
    assert microsoft.counters["requests"] == 0


def test_the_refresh_token_is_not_even_read(api: Api) -> None:
    api.get("contoso")
    with CaptureQueriesContext(connection) as queries:
        api.post("contoso", "availability", crowd(2))
        api.get("contoso")
    assert not any('"refresh_token"' in query["sql"] for query in queries)


def writes_of(api: Api, body: dict[str, Any]) -> list[str]:
    """What one question writes: the kinds of statements, each once."""
    with CaptureQueriesContext(connection) as queries:
        assert api.post("contoso", "availability", body).status_code == 200
    found = [query["sql"].split(" SET ")[0].split(" (")[0] for query in queries]
    return [sql for sql in found if sql.split()[0] in ("INSERT", "UPDATE", "DELETE")]


def test_the_first_question_notes_the_use_of_key_and_connection_and_whom_it_asked_for(api: Api) -> None:
    assert writes_of(api, crowd(20)) == [
        'UPDATE "tenants_apikey"',
        'UPDATE "tenants_connection"',
        'INSERT INTO "freebusy_knownmailbox"',
    ]


def test_the_next_to_note_anything_comes_ten_minutes_later(api: Api) -> None:
    writes_of(api, crowd(2))
    now = timezone.now()
    with time_machine.travel(now + timedelta(minutes=9), tick=False):
        assert 'UPDATE "tenants_connection"' not in writes_of(api, crowd(20))
    with time_machine.travel(now + timedelta(minutes=11), tick=False):
        assert 'UPDATE "tenants_connection"' in writes_of(api, crowd(20))


def test_the_connection_is_one_query(api: Api, microsoft: Sandbox) -> None:
    api.get("contoso")
    microsoft.counters.reset()
    with CaptureQueriesContext(connection) as queries:
        assert api.get("contoso").status_code == 200
    assert [query["sql"].split()[0] for query in queries] == ["SELECT"]
    assert microsoft.counters["requests"] == 0


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"colour": "red"}, 400), ({"start": "now"}, 400), ({"attendees": [], "rooms": []}, 400)],
)
def test_a_bad_question_costs_microsoft_nothing(
    api: Api, microsoft: Sandbox, changed: dict[str, Any], status: int
) -> None:
    microsoft.counters.reset()
    assert api.post("contoso", "availability", {**crowd(2), **changed}).status_code == status
    assert microsoft.counters["requests"] == 0


def test_too_many_candidates_cost_microsoft_nothing(api: Api, microsoft: Sandbox) -> None:
    microsoft.counters.reset()
    body = {**crowd(2), "duration_minutes": 1, "step_minutes": 1, "end": "2028-03-16T00:00:00+01:00"}
    assert api.post("contoso", "slots", body).status_code == 400
    assert microsoft.counters["requests"] == 0
