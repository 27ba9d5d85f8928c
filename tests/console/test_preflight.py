"""The pages of the roster pre-flight: what may be given, what they say, and what they hand out."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from freebusy import tasks
from freebusy.models import KnownMailbox, Preflight
from freebusy.preflight import checking
from microsoft.reasons import REASONS
from sandbox import Sandbox
from sandbox.calendars import POISON
from tenants import heartbeat
from tenants.models import Account, AuditEntry
from tenants.tasks import heartbeat as sign_of_life
from tests.factories import make_account

PAGE = "/admin/accounts/contoso/preflight/"
ANN, BOB = "ann@contoso.example", "bob@contoso.example"


@pytest.fixture
def support(db: None) -> Client:
    """A browser of the ready-made group that acts."""
    user = User.objects.create_user("sue", is_staff=True)
    user.groups.add(Group.objects.get(name="Support (act)"))
    client = Client()
    client.force_login(user)
    return client


def send(client: Client, text: str = "", file: tuple[str, bytes] | None = None, **more: str) -> Any:
    data: dict[str, Any] = {"addresses": text, **more}
    if file is not None:
        data["file"] = SimpleUploadedFile(*file)
    return client.post(PAGE, data)


def run_of(answer: Any) -> Preflight:
    """The run that a POST led to."""
    assert answer.status_code == 302, answer.content.decode()
    run = Preflight.objects.get(pk=answer["Location"].rstrip("/").rpartition("/")[2])
    assert answer["Location"] == f"{PAGE}{run.pk}/"
    return run


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def many(number: int, domain: str = "contoso.example") -> str:
    return "\n".join(f"a{n}@{domain}" for n in range(number))


# --- what may be given ----------------------------------------------------------------------------------------------
def test_pasted_and_uploaded_addresses_are_one_roster(contoso: Account, support: Client) -> None:
    run = run_of(send(support, f"Ann <{ANN}>, nonsense@", ("list.csv", f"Name;Mail\r\nBob;{BOB}\r\nA;{ANN}".encode())))
    assert list(run.addresses.order_by("pk").values_list("address", flat=True)) == [ANN, BOB, "nonsense@"]
    page = text_of(support.get(f"{PAGE}{run.pk}/"))
    assert "Started over 3 entries. 1 of them: no e-mail address. Named more than once and taken once: 1." in page


def test_the_known_mailboxes_can_be_taken(contoso: Account, support: Client) -> None:
    assert "known mailbox" not in text_of(support.get(PAGE))
    KnownMailbox.objects.create(account=contoso, address=BOB, last_asked_at=timezone.now())
    assert "Check the 1 known mailbox<" in text_of(support.get(PAGE))
    run = run_of(send(support, "left over in the field", source="known"))
    assert list(run.addresses.values_list("address", flat=True)) == [BOB]
    assert AuditEntry.objects.get(action="preflight_started").details["source"] == "known"


@pytest.mark.parametrize(
    ("text", "file", "words"),
    [
        ("", None, "Paste addresses, or choose a file that holds some."),
        (" \n;;", None, "Paste addresses, or choose a file that holds some."),
        (many(501), None, "These are 501 entries; a run takes at most 500."),
        ("x\n" + many(511), None, "These are 512 entries, 1 of them no addresses;"),
        ("", ("list.xlsx", b"PK\x03\x04\x00\x00"), "This file is no plain text."),
        ("", ("list.csv", b""), "The submitted file is empty."),
        ("", ("list.csv", b"a@b.example\n" * 90_000), "This file is larger than 1 MB."),
    ],
    ids=["nothing", "only separators", "too many", "too many with others", "workbook", "empty file", "large file"],
)  # fmt: skip
def test_what_is_no_roster_is_refused_with_words(
    contoso: Account, support: Client, text: str, file: tuple[str, bytes] | None, words: str
) -> None:
    answer = send(support, text, file)
    assert (answer.status_code, words in text_of(answer)) == (400, True), text_of(answer)
    assert not Preflight.objects.exists()


def test_an_account_that_is_not_connected_cannot_be_asked(db: None, support: Client) -> None:
    make_account("contoso")
    assert "<textarea" not in text_of(support.get(PAGE))
    answer = send(support, ANN)
    assert (answer.status_code, "nothing can be asked" in text_of(answer)) == (400, True)


def test_the_second_roster_waits_for_the_first(contoso: Account, support: Client) -> None:
    first = run_of(send(support, ANN))
    assert "<textarea" not in text_of(support.get(PAGE))
    assert run_of(send(support, BOB)) == first
    assert "a run that has not ended" in text_of(support.get(f"{PAGE}{first.pk}/"))


# --- what the pages say ---------------------------------------------------------------------------------------------
def test_a_run_is_told_with_result_cause_and_fix_on_the_page_and_in_the_csv(
    contoso: Account, support: Client, microsoft: Sandbox
) -> None:
    microsoft.control.set({"trouble": {BOB: "ErrorServiceDiscoveryFailed", "gil@contoso.example": "5006"}})
    given = f"{ANN}\n{BOB}\ngil@contoso.example\nhal@contoso.example\nnobody@contoso.example\nfay@fabrikam.example\nx@"
    run = run_of(send(support, given))
    tasks.check_preflights()
    page = text_of(support.get(f"{PAGE}{run.pk}/"))
    assert "7 of 7 checked, 1 readable." in page
    answer = support.get(f"{PAGE}{run.pk}/result.csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert {row["address"]: row["result"] for row in rows} == {
        ANN: "readable",
        BOB: "not on Exchange Online",
        "gil@contoso.example": "too many entries",
        "hal@contoso.example": "no rights",
        "nobody@contoso.example": "not found",
        "fay@fabrikam.example": "foreign domain",
        "x@": "no address",
    }
    assert rows[1]["cause"] == REASONS["ErrorServiceDiscoveryFailed"].cause
    assert rows[1]["code"] == "not_on_exchange_online (ErrorServiceDiscoveryFailed)"
    for row in rows:
        assert row["address"] in page
        assert row["cause"].replace("'", "&#x27;") in page
        assert row["fix"].replace("“", "“") in page


def test_the_csv_comes_as_a_download_without_a_formula_or_anything_of_a_calendar(
    contoso: Account, support: Client
) -> None:
    run = run_of(send(support, f"{ANN}\n=cmd@contoso.example\n+1+1@contoso.example\n@SUM(1)\n-2\n"))
    tasks.check_preflights()
    answer = support.get(f"{PAGE}{run.pk}/result.csv")
    name = f"preflight-contoso-{run.started_at:%Y-%m-%d-%H%M}.csv"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    content = answer.content.decode("utf-8-sig")
    for row in csv.reader(io.StringIO(content, newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)
    assert POISON not in content + text_of(support.get(f"{PAGE}{run.pk}/"))


def test_the_progress_is_there_for_whoever_comes_back(contoso: Account, support: Client, microsoft: Sandbox) -> None:
    addresses = [f"person{number}@contoso.example" for number in range(60)]
    microsoft.control.set({"mailboxes": addresses})
    run = run_of(send(support, "\n".join(addresses)))
    sign_of_life()
    address = f"{PAGE}{run.pk}/progress.json"
    assert support.get(address).json() == {
        "outcome": "", "done": 0, "total": 60, "words": "Running: 0 of 60 checked, 0 readable.", "note": "",
    }  # fmt: skip
    checking.check_due(stop=iter([False, True]).__next__)
    page = text_of(support.get(f"{PAGE}{run.pk}/"))
    assert 'max="60" value="20"' in page
    assert "Results until now" in page
    assert support.get(address).json()["done"] == 20
    tasks.check_preflights()
    assert support.get(address).json()["outcome"] == "done"
    assert "<progress" not in text_of(support.get(f"{PAGE}{run.pk}/"))
    assert f'href="{PAGE}{run.pk}/"' in text_of(support.get(PAGE))


def test_without_a_worker_the_page_says_that_none_answers(contoso: Account, support: Client) -> None:
    assert "No worker answers" in text_of(support.get(PAGE))
    run = run_of(send(support, ANN))
    address = f"{PAGE}{run.pk}/progress.json"
    assert support.get(address).json()["note"].startswith("No worker answers (no worker has reported yet).")
    sign_of_life()
    assert support.get(address).json()["note"] == ""
    with time_machine.travel(timezone.now() + timedelta(seconds=heartbeat.STALE_SECONDS + 1)):
        assert "silent for" in support.get(address).json()["note"]


def test_a_run_that_microsoft_holds_up_says_why_and_when_it_goes_on(
    contoso: Account, support: Client, microsoft: Sandbox
) -> None:
    sign_of_life()
    run = run_of(send(support, ANN))
    microsoft.control.set({"faults": [{"path": "getSchedule", "status": 429, "retry_after": "90"}]})
    tasks.check_preflights()
    run.refresh_from_db()
    note = support.get(f"{PAGE}{run.pk}/progress.json").json()["note"]
    assert note.startswith("Held up: Microsoft asked us to slow down (")
    assert f"at {run.next_try_at:%H:%M:%S} UTC at the earliest" in note


def test_cancel_ends_the_run_once_and_is_written_down(contoso: Account, support: Client) -> None:
    run = run_of(send(support, ANN))
    for words in ("Canceled.", "had ended before"):
        assert run_of(support.post(f"{PAGE}{run.pk}/cancel/")) == run
        assert words in text_of(support.get(f"{PAGE}{run.pk}/"))
    page = text_of(support.get(f"{PAGE}{run.pk}/"))
    assert "not asked" in page
    entries = AuditEntry.objects.filter(action__startswith="preflight").order_by("pk")
    assert [(entry.action, entry.actor, entry.account) for entry in entries] == [
        ("preflight_started", "sue", contoso),
        ("preflight_canceled", "sue", contoso),
    ]
    assert ANN not in str([entry.details for entry in entries]), "the trail is kept for ever"


# --- who and how much -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["", "progress.json", "result.csv", "cancel/"])
def test_a_run_is_found_under_its_own_account_only(contoso: Account, support: Client, what: str) -> None:
    run = run_of(send(support, ANN))
    make_account("fabrikam")
    for wrong in (f"/admin/accounts/fabrikam/preflight/{run.pk}/{what}", f"{PAGE}{10**30}/{what}"):
        ask = support.post if what == "cancel/" else support.get
        assert ask(wrong).status_code == 404
    assert Preflight.objects.get().outcome == ""


def test_readers_of_the_status_may_not_ask_for_people(contoso: Account, django_user_model: Any) -> None:
    reader = django_user_model.objects.create_user("reader", is_staff=True)
    reader.groups.add(Group.objects.get(name="Support (read)"))
    client = Client()
    client.force_login(reader)
    assert client.get(PAGE).status_code == 403
    assert send(client, ANN).status_code == 403


def test_a_form_of_another_site_starts_nothing(contoso: Account) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    assert send(client, ANN).status_code == 403
    assert not Preflight.objects.exists()


def test_the_pages_ask_the_database_as_often_for_many_addresses_as_for_few(contoso: Account, support: Client) -> None:
    numbers = []
    for count in (1, 500):
        run = run_of(send(support, many(count, "fabrikam.example")))
        support.get(f"{PAGE}{run.pk}/")
        found = []
        for address in (PAGE, f"{PAGE}{run.pk}/", f"{PAGE}{run.pk}/result.csv"):
            with CaptureQueriesContext(database) as queries:
                assert support.get(address).status_code == 200
            found.append(len(queries))
        numbers.append(found)
    assert numbers[0] == numbers[1]
