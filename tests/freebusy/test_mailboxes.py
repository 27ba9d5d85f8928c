"""Which mailboxes are remembered for probes: those the API could read lately, few of them, and not for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError, connection
from django.utils import timezone

from freebusy import mailboxes
from freebusy.models import KnownMailbox
from freebusy.tasks import forget_unasked_mailboxes
from sandbox import Sandbox
from tenants.disconnecting import disconnect
from tenants.models import Account, Connection
from tests.conftest import READER
from tests.factories import Api, make_account
from tests.freebusy.asking import question

LATER = timedelta(minutes=11)
ANN, BOB, ROOM = "ann@contoso.example", "bob@contoso.example", "room1@contoso.example"


def ask(api: Api, *people: str, status: int = 200, **more: Any) -> None:
    assert api.post("contoso", "availability", question(*people, **more)).status_code == status


def known() -> set[str]:
    return set(KnownMailbox.objects.values_list("address", flat=True))


# --- remembering --------------------------------------------------------------------------------------------------
def test_people_and_rooms_that_could_be_read_are_remembered_in_lower_case(api: Api) -> None:
    ask(api, "Ann@Contoso.example", rooms=(ROOM,))
    assert known() == {ANN, ROOM}


@pytest.mark.parametrize(
    "nobody",
    ["somebody@elsewhere.example", "nobody-here@contoso.example", READER],
    ids=["external", "missing", "reader"],
)
def test_others_are_not(api: Api, nobody: str) -> None:
    ask(api, ANN, nobody)
    assert known() == {ANN}


def test_who_is_asked_for_again_is_kept_longer(api: Api) -> None:
    ask(api, ANN, BOB)
    with time_machine.travel(timezone.now() + LATER, tick=False):
        now = timezone.now()
        ask(api, ANN)
    assert {row.address: row.last_asked_at == now for row in KnownMailbox.objects.all()} == {ANN: True, BOB: False}


def test_a_second_question_within_ten_minutes_is_not_noted(api: Api) -> None:
    ask(api, ANN)
    ask(api, BOB)
    assert known() == {ANN}


def test_of_two_requests_at_once_one_notes(contoso: Account) -> None:
    """Both have loaded the connection before either has written."""
    one, two = (Connection.objects.select_related("account").get() for _ in range(2))
    now = timezone.now()
    mailboxes.note_use(one, [ANN], now)
    mailboxes.note_use(two, [BOB], now)
    assert known() == {ANN}


def test_at_most_so_many_are_kept_the_latest(contoso: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailboxes, "MOST_KEPT", 2)
    now = timezone.now()
    for number, address in enumerate([ANN, BOB, ROOM]):
        mailboxes.note_use(Connection.objects.get(), [address], now + number * LATER)
    assert known() == {BOB, ROOM}


def test_an_answer_does_not_depend_on_the_note(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "knownmailbox" in sql:
            raise DatabaseError("no")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        ask(api, ANN)
    assert known() == set()


# --- in use -------------------------------------------------------------------------------------------------------
def test_a_read_makes_the_connection_one_in_use_even_if_microsoft_fails(
    api: Api, microsoft: Sandbox, settings: Any
) -> None:
    settings.ANSWER_DEADLINE_SECONDS = 0.5
    microsoft.control.set({"faults": [{"path": "getSchedule", "status": 503, "times": None}]})
    ask(api, ANN, status=503)
    assert Connection.objects.get().last_used_at is not None
    assert known() == set()


@pytest.mark.parametrize(("due_in", "moved"), [(timedelta(hours=5), True), (timedelta(minutes=5), False)])
def test_a_connection_used_again_after_a_rest_is_probed_soon(
    api: Api, settings: Any, due_in: timedelta, moved: bool
) -> None:
    due = timezone.now() + due_in
    Connection.objects.update(probe_due_at=due)
    ask(api, ANN)
    found = Connection.objects.get().probe_due_at
    assert (found < due) is moved
    assert found <= timezone.now() + timedelta(seconds=settings.PROBE_INTERVAL_SECONDS)


# --- forgetting ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("age", "left"), [(timedelta(days=29), 1), (timedelta(days=31), 0)])
def test_what_nobody_asked_for_in_a_month_is_forgotten(api: Api, age: timedelta, left: int) -> None:
    ask(api, ANN)
    with time_machine.travel(timezone.now() + age, tick=False):
        forget_unasked_mailboxes()
    assert KnownMailbox.objects.count() == left


def test_a_disconnect_forgets_the_accounts_own_at_once(api: Api, contoso: Account, consent: Callable[..., Any]) -> None:
    ask(api, ANN)
    other = KnownMailbox.objects.create(
        account=make_account("zeta"), address="z@zeta.example", last_asked_at=timezone.now()
    )
    disconnect(contoso, why="test", actor="test")
    assert list(KnownMailbox.objects.all()) == [other]


def test_an_account_takes_its_mailboxes_along(contoso: Account) -> None:
    mailboxes.note_use(Connection.objects.get(), [ANN], timezone.now())
    contoso.delete()
    assert known() == set()


# --- the sample ---------------------------------------------------------------------------------------------------
def test_the_sample_goes_round_and_those_never_looked_at_come_first(
    contoso: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailboxes, "SAMPLE", 2)
    now, other = timezone.now(), make_account("zeta")
    for account, count in ((contoso, 5), (other, 1)):
        for number in range(count):
            KnownMailbox.objects.create(account=account, address=f"p{number}@x.example", last_asked_at=now)
    rounds = []
    for minute in range(4):
        found = mailboxes.sample([contoso.pk, other.pk])
        assert len(found[other.pk]) == 1
        rounds.append([memory.address[:2] for memory in found[contoso.pk]])
        mailboxes.note_looks([memory.key for memory in found[contoso.pk]], [], now + timedelta(minutes=minute))
    assert rounds == [["p0", "p1"], ["p2", "p3"], ["p4", "p0"], ["p1", "p2"]]
