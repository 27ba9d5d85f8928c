"""Roster pre-flight: addresses out of messy text, and what becomes of each in a run that nothing stops for good."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from freebusy import tasks
from freebusy.models import KnownMailbox, Preflight, PreflightAddress
from freebusy.preflight import checking, runs
from freebusy.preflight.addresses import Roster, decode, parse
from freebusy.preflight.findings import UNASKED, finding, order
from freebusy.preflight.runs import AlreadyRunning, cancel, progress, start
from freebusy.preflight.table import HEADINGS, as_csv
from microsoft.errors import Unavailable
from microsoft.reasons import REASONS
from sandbox import Sandbox
from tenants import breakers, microsoft365
from tenants.disconnecting import disconnect
from tenants.models import Account, TokenRecord
from tests.factories import make_account
from tests.freebusy.asking import rewrite

ANN, BOB, CLEO = "ann@contoso.example", "bob@contoso.example", "cleo@contoso.example"


# --- addresses out of text ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "addresses", "invalid", "repeated"),
    [
        ("", [], [], 0),
        (" \n;,\t\n", [], [], 0),
        (f"{ANN}\n{BOB}\r\n{CLEO}\r", [ANN, BOB, CLEO], [], 0),
        (f"{ANN}, {BOB};{CLEO}", [ANN, BOB, CLEO], [], 0),
        (f"{ANN} {BOB}\t{CLEO}", [ANN, BOB, CLEO], [], 0),
        (f"Ann Adler <{ANN}>", [ANN], [], 0),
        (f'"Adler, Ann" <{ANN}>; "Brooks, Bob" <{BOB}>', [ANN, BOB], [], 0),
        (f"Adler, Ann <{ANN}>; Brooks, Bob <{BOB}>;", [ANN, BOB], [], 0),
        (f"mailto:{ANN}, MAILTO:{BOB}", [ANN, BOB], [], 0),
        (f"'{ANN}'; ({BOB}), [{CLEO}].", [ANN, BOB, CLEO], [], 0),
        (f"\ufeff{ANN}\n\u200b{BOB}\u00a0", [ANN, BOB], [], 0),
        (f"{ANN}\nANN@CONTOSO.EXAMPLE\nAnn@Contoso.Example", [ANN], [], 2),
        ("o'neill@contoso.example\nann+x@contoso.example", ["o'neill@contoso.example", "ann+x@contoso.example"], [], 0),
        (f"Name;E-Mail;Dept\nAnn;{ANN};Sales\nBob;{BOB};", [ANN, BOB], [], 0),
        (f"{ANN}\nann.contoso.example\nbob@\n@x.example", [ANN], ["ann.contoso.example", "bob@", "@x.example"], 0),
        (f"{ANN}, bob, {CLEO}", [ANN, CLEO], ["bob"], 0),
        (f"{ANN}\nann@@contoso.example\na@b\n", [ANN], ["ann@@contoso.example", "a@b"], 0),
        ("Ann; Bob\nAnn; Bob\nCleo", [], ["Ann Bob", "Cleo"], 0),
        (f"x{'y' * 300}@contoso.example", [], [f"x{'y' * 252}…"], 0),
    ],
)  # fmt: skip
def test_addresses_are_found_and_nothing_is_lost(
    text: str, addresses: list[str], invalid: list[str], repeated: int
) -> None:
    found = parse(text)
    assert (list(found.addresses), list(found.invalid), found.repeated) == (addresses, invalid, repeated)


def test_names_and_columns_beside_a_single_address_are_counted() -> None:
    assert parse(f"Ann;Sales;{ANN}\nBob;Rooms;{BOB}").beside == 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_file_is_read_whatever_wrote_it(encoding: str) -> None:
    text = f"Jürgen Müller <{ANN}>\r\nböb@contoso.example\r\n{CLEO}\r\n"
    found = parse(decode(text.encode(encoding)))
    assert (found.addresses, found.invalid) == ((ANN, CLEO), ("böb@contoso.example",))


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="no plain text"):
        decode(b"PK\x03\x04\x14\x00\x06\x00")


def test_a_large_file_is_parsed_in_proportion_to_its_size() -> None:
    # Each of these makes a careless pattern walk the text again and again.
    for text in ("@" * 200_000, "<" * 200_000, "a " * 100_000, ";" * 200_000, f"{'a' * 100_000}@{'b.' * 50_000}"):
        parse(text)


# --- words ----------------------------------------------------------------------------------------------------------
CODES = [
    *("not_found", "too_many_entries", "no_access", "not_on_exchange_online", "no_data", "timeout", "throttled"),
    *("unavailable", "other", "invalid", "foreign_domain", UNASKED, ""),
]


@pytest.mark.parametrize("code", CODES)
def test_everything_but_readable_comes_with_cause_and_fix(code: str) -> None:
    words = finding(code)
    assert words.result != "readable"
    assert words.cause
    assert words.fix
    assert order(code) < order("readable")


def test_microsofts_own_code_makes_the_words_more_precise() -> None:
    assert finding("unavailable", "ErrorMailboxMoveInProgress").cause == REASONS["ErrorMailboxMoveInProgress"].cause
    assert finding("unavailable", "NeverHeardOf").cause == finding("unavailable").cause


# --- the CSV --------------------------------------------------------------------------------------------------------
def cells(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_the_csv_says_for_each_address_what_is_wrong_and_what_to_do() -> None:
    at = timezone.now().replace(year=2027, month=3, day=1, hour=9, minute=5, second=7)
    content = as_csv([(ANN, "readable", "", at), (BOB, "not_found", "5009", at), (CLEO, "", "", None)])
    assert content.startswith(b"\xef\xbb\xbf")
    heading, *lines = cells(content)
    assert heading == list(HEADINGS)
    words = REASONS["5009"]
    assert lines[0] == [ANN, "readable", "", "", "readable", "2027-03-01 09:05:07"]
    assert lines[1] == [BOB, "not found", words.cause, words.what_to_do, "not_found (5009)", "2027-03-01 09:05:07"]
    assert lines[2][1:2] + lines[2][4:] == ["not asked", "unasked", ""]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "＝"])
def test_no_cell_of_the_csv_is_a_formula(first: str) -> None:
    content = as_csv([(f"{first}HYPERLINK(1)@contoso.example", "invalid", f"{first}x", None)])
    for cell in cells(content)[1]:
        assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))


# --- runs -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def calls(microsoft: Sandbox) -> Callable[[], int]:
    """How often Graph was asked since the fixture was made."""
    before = len(microsoft.counters.seen)
    return lambda: sum(seen.path.endswith("getSchedule") for seen in microsoft.counters.seen[before:])


def roster(*addresses: str, **more: Any) -> Roster:
    return Roster(addresses, **more)


def codes(run: Preflight) -> dict[str, str]:
    return dict(run.addresses.order_by("pk").values_list("address", "code"))


def crowd(microsoft: Sandbox, count: int) -> tuple[str, ...]:
    addresses = tuple(f"person{number}@contoso.example" for number in range(count))
    microsoft.control.set({"mailboxes": list(addresses)})
    return addresses


def again(run: Preflight) -> Preflight:
    return Preflight.objects.get(pk=run.pk)


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(timezone.now(), tick=False) as held:
        yield held


TROUBLE = {
    "ErrorNoFreeBusyAccess": "no_access",
    "ErrorServiceDiscoveryFailed": "not_on_exchange_online",
    "ErrorProxyRequestProcessingFailed": "not_on_exchange_online",
    "ErrorMailRecipientNotFound": "not_found",
    "ErrorResultSetTooBig": "too_many_entries",
    "ErrorTimeoutExpired": "timeout",
    "ErrorMailboxMoveInProgress": "unavailable",
    "ErrorIndividualMailboxLimitReached": "other",
    "ErrorOfTomorrow": "other",
}


def test_each_kind_of_trouble_is_told_from_the_others(contoso: Account, microsoft: Sandbox) -> None:
    troubled = dict(zip(crowd(microsoft, len(TROUBLE)), TROUBLE, strict=True))
    microsoft.control.set({"trouble": troubled})
    gil, nobody, out = "gil@contoso.example", "nobody@contoso.example", "fay@fabrikam.example"
    run = start(contoso, roster(ANN, gil, nobody, out, *troubled, invalid=("bob@",)), by="root")
    tasks.check_preflights()
    assert codes(run) == {
        ANN: "readable",
        gil: "readable",
        nobody: "not_found",
        out: "foreign_domain",
        **{address: TROUBLE[trouble] for address, trouble in troubled.items()},
        "bob@": "invalid",
    }
    assert run.addresses.get(address=nobody).raw == "5009"
    assert run.addresses.get(address="person8@contoso.example").raw == "ErrorOfTomorrow"
    assert (again(run).outcome, again(run).next_try_at) == ("done", None)


def test_a_mailbox_without_data_is_not_taken_for_readable(contoso: Account, microsoft: Sandbox) -> None:
    rewrite(
        microsoft, lambda entries: [entry.pop("scheduleItems") for entry in entries if "bob" in entry["scheduleId"]]
    )
    run = start(contoso, roster(ANN, BOB), by="root")
    tasks.check_preflights()
    assert codes(run) == {ANN: "readable", BOB: "no_data"}


def test_five_hundred_addresses_are_twenty_five_calls(
    contoso: Account, microsoft: Sandbox, calls: Callable[[], int]
) -> None:
    run = start(contoso, roster(*crowd(microsoft, 500)), by="root")
    before = calls()
    checking.check_due()
    assert calls() - before == 25
    assert progress(run).counts == {"readable": 500}


def test_more_than_five_hundred_entries_are_no_run(contoso: Account) -> None:
    with pytest.raises(ValueError, match="not 501"):
        start(contoso, roster(*(f"a{n}@contoso.example" for n in range(500)), invalid=("x",)), by="root")
    assert not Preflight.objects.exists()


def test_what_is_not_the_accounts_own_is_settled_without_a_call(contoso: Account, calls: Callable[[], int]) -> None:
    run = start(contoso, roster("fay@fabrikam.example", invalid=("x",)), by="root")
    assert (run.outcome, codes(run)) == ("done", {"fay@fabrikam.example": "foreign_domain", "x": "invalid"})
    tasks.check_preflights()
    assert calls() == 0


def test_a_second_run_of_the_same_account_has_to_wait(contoso: Account) -> None:
    first = start(contoso, roster(ANN), by="root")
    with pytest.raises(AlreadyRunning):
        start(contoso, roster(BOB), by="root")
    start(make_account("fabrikam"), roster("fay@fabrikam.example"), by="root")
    cancel(first)
    start(contoso, roster(BOB), by="root")


def test_runs_of_several_accounts_take_turns(
    contoso: Account, consent: Callable[..., Any], microsoft: Sandbox, clock: Any
) -> None:
    fabrikam = make_account("fabrikam")
    consent(fabrikam, "cadence-service@fabrikam.example")
    fabrikam.refresh_from_db()
    long = start(contoso, roster(*crowd(microsoft, 100)), by="root")
    clock.shift(1)
    short = start(fabrikam, roster("fay@fabrikam.example"), by="root")
    checking.check_due(stop=steps(2, clock))
    assert (progress(long).done, progress(short).done) == (20, 1)


def steps(number: int, clock: Any = None) -> Callable[[], bool]:
    """Stops after so many chunks; a held clock goes on by a second with each."""
    left = iter(range(number))

    def stop() -> bool:
        if clock is not None:
            clock.shift(1)
        return next(left, None) is None

    return stop


def test_a_canceled_run_asks_no_more_and_keeps_what_it_found(
    contoso: Account, microsoft: Sandbox, calls: Callable[[], int]
) -> None:
    run = start(contoso, roster(*crowd(microsoft, 60)), by="root")
    checking.check_due(stop=steps(1))
    assert cancel(run)
    assert not cancel(run)
    before = calls()
    tasks.check_preflights()
    assert calls() == before
    assert (again(run).outcome, progress(run).done, progress(run).total) == ("canceled", 20, 60)


def test_what_is_answered_after_the_cancel_is_not_written(contoso: Account, microsoft: Sandbox) -> None:
    run = start(contoso, roster(ANN, BOB), by="root")
    claimed = checking._claim()
    assert claimed is not None
    assert cancel(run)
    checking._check(claimed)
    assert codes(run) == {ANN: "", BOB: ""}
    assert again(run).outcome == "canceled"


class Killed(BaseException):
    """A worker that ends here and now."""


def test_a_worker_killed_midway_loses_no_address_and_asks_none_twice_for_nothing(
    contoso: Account, microsoft: Sandbox, calls: Callable[[], int], clock: Any
) -> None:
    run = start(contoso, roster(*crowd(microsoft, 60)), by="root")
    before, handle = calls(), microsoft.handle

    def dying(request: Any) -> Any:
        if request.path.endswith("getSchedule") and calls() - before == 1:
            raise Killed
        return handle(request)

    microsoft.handle = dying  # type: ignore[method-assign]  # the simulator, not the product
    with pytest.raises(Killed):
        tasks.check_preflights()
    microsoft.handle = handle  # type: ignore[method-assign]
    assert progress(run).done == 20
    tasks.check_preflights()
    assert progress(run).done == 20, "the dead worker's claim still holds"
    clock.shift(checking.LEASE)
    tasks.check_preflights()
    assert progress(run).counts == {"readable": 60}
    assert calls() - before == 3


def test_a_chunk_that_kills_each_worker_is_passed_over_in_the_end(
    contoso: Account, microsoft: Sandbox, clock: Any
) -> None:
    run = start(contoso, roster(*crowd(microsoft, 30)), by="root")
    handle = microsoft.handle

    def dying(request: Any) -> Any:
        if request.path.endswith("getSchedule") and b"person3@" in request.body:
            raise Killed
        return handle(request)

    microsoft.handle = dying  # type: ignore[method-assign]  # the simulator, not the product
    for _ in range(checking.TRIES):
        with pytest.raises(Killed):
            tasks.check_preflights()
        clock.shift(checking.LEASE)
    tasks.check_preflights()
    assert progress(run).counts == {"unasked": 20, "readable": 10}
    assert again(run).outcome == "done"


def test_doubled_messages_ask_nothing_twice(contoso: Account, microsoft: Sandbox, calls: Callable[[], int]) -> None:
    run = start(contoso, roster(*crowd(microsoft, 40)), by="root")
    before = calls()
    first = checking._claim()
    assert first is not None
    tasks.check_preflights()
    assert calls() == before, "somebody else has the run"
    checking._check(first)
    tasks.check_preflights()
    tasks.check_preflights()
    assert (calls() - before, progress(run).counts) == (2, {"readable": 40})


# --- while Microsoft fails ------------------------------------------------------------------------------------------
def test_a_run_waits_while_graph_is_away_and_goes_on_by_itself(
    contoso: Account, microsoft: Sandbox, clock: Any
) -> None:
    run = start(contoso, roster(ANN, BOB), by="root")
    microsoft.control.set({"faults": [{"path": "getSchedule", "status": 503, "retry_after": "600", "times": None}]})
    tasks.check_preflights()
    waiting = again(run)
    assert (waiting.held_up, waiting.tries, progress(run).done) == ("HTTP503", 1, 0)
    assert waiting.next_try_at == timezone.now() + timedelta(seconds=600), "never sooner than Microsoft asked"
    microsoft.control.set({"clear_faults": True})
    clock.shift(600)
    tasks.check_preflights()
    assert (again(run).held_up, again(run).outcome, codes(run)) == ("", "done", {ANN: "readable", BOB: "readable"})


# A Retry-After beyond the deadline keeps the client from trying by itself.
@pytest.mark.parametrize(("status", "code"), [(503, "unavailable"), (429, "throttled")])
def test_what_stays_away_becomes_the_result_and_the_run_ends(
    contoso: Account, microsoft: Sandbox, clock: Any, status: int, code: str
) -> None:
    run = start(contoso, roster(*crowd(microsoft, 40)), by="root")
    microsoft.control.set({"faults": [{"path": "getSchedule", "status": status, "retry_after": "30", "times": None}]})
    for _ in range(10):
        tasks.check_preflights()
        clock.shift(300)
    assert progress(run).counts == {code: 40}
    assert again(run).outcome == "done"


def test_what_does_not_answer_in_time_is_told_as_that(
    contoso: Account, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setattr(checking, "PATIENCE_SECONDS", 0.0)
    run = start(contoso, roster(ANN), by="root")
    for _ in range(checking.TRIES):
        assert codes(run) == {ANN: ""}
        tasks.check_preflights()
        clock.shift(300)
    assert codes(run) == {ANN: "timeout"}


def test_one_address_that_no_call_survives_costs_its_chunk_and_not_the_run(
    contoso: Account, microsoft: Sandbox, clock: Any
) -> None:
    run = start(contoso, roster(*crowd(microsoft, 40)), by="root")
    microsoft.control.set(
        {
            "faults": [
                {
                    "path": "getSchedule",
                    "status": 504,
                    "retry_after": "30",
                    "mailbox": "person3@contoso.example",
                    "times": None,
                }
            ]
        }
    )
    for _ in range(checking.TRIES):
        tasks.check_preflights()
        clock.shift(300)
    assert progress(run).counts == {"unavailable": 20, "readable": 20}
    assert breakers.standing() == [], "such a run must not stop the API"


def test_an_open_breaker_keeps_a_run_from_asking(contoso: Account, calls: Callable[[], int], clock: Any) -> None:
    run = start(contoso, roster(ANN), by="root")
    service, tenant = microsoft365.graph_service(contoso), contoso.connection.tenant_id
    for _ in range(5):
        breakers.report(service, tenant, Unavailable("ServiceUnavailable"))
    before = calls()
    tasks.check_preflights()
    assert (calls() - before, again(run).held_up, again(run).tries) == (0, "ServiceUnavailable", 0)
    clock.shift(16)
    tasks.check_preflights()
    assert codes(run) == {ANN: "readable"}


def test_a_run_ends_with_the_connection(contoso: Account, microsoft: Sandbox) -> None:
    run = start(contoso, roster(ANN), by="root")
    microsoft.control.set({"revoke_refresh_tokens": "*", "expire_access_tokens": "*"})
    past = timezone.now() - timedelta(hours=1)
    TokenRecord.objects.update(access_expires_at=past)
    tasks.check_preflights()
    assert (again(run).outcome, again(run).next_try_at, codes(run)) == ("not_connected", None, {ANN: ""})


def test_our_own_expired_secret_is_nobodys_result(contoso: Account, microsoft: Sandbox) -> None:
    run = start(contoso, roster(ANN), by="root")
    microsoft.control.set({"registration": {"client_secret": "another"}})
    TokenRecord.objects.update(access_expires_at=timezone.now() - timedelta(hours=1))
    tasks.check_preflights()
    assert (again(run).outcome, codes(run)) == ("", {ANN: ""})
    assert again(run).held_up.startswith("AADSTS7000")


# --- what it leaves behind ------------------------------------------------------------------------------------------
def test_a_preflight_neither_counts_as_use_nor_changes_the_known_mailboxes(contoso: Account) -> None:
    before = contoso.connection.last_used_at
    start(contoso, roster(ANN), by="root")
    tasks.check_preflights()
    contoso.connection.refresh_from_db()
    assert (contoso.connection.last_used_at, KnownMailbox.objects.count()) == (before, 0)


def test_the_known_mailboxes_are_those_asked_for_lately(contoso: Account) -> None:
    now = timezone.now()
    for minutes, address in enumerate((ANN, BOB)):
        KnownMailbox.objects.create(account=contoso, address=address, last_asked_at=now - timedelta(minutes=minutes))
    KnownMailbox.objects.create(account=make_account("fabrikam"), address="fay@fabrikam.example", last_asked_at=now)
    assert runs.known(contoso).addresses == (ANN, BOB)


@pytest.mark.parametrize(("age", "left"), [(timedelta(days=29), 2), (timedelta(days=31), 0)])
def test_runs_are_forgotten_after_a_month(contoso: Account, age: timedelta, left: int) -> None:
    with time_machine.travel(timezone.now() - age):
        start(contoso, roster(ANN, BOB), by="root")
    tasks.forget_old_preflights()
    assert PreflightAddress.objects.count() == left


def test_a_disconnect_forgets_all_runs_of_the_account(contoso: Account) -> None:
    start(contoso, roster(ANN), by="root")
    start(make_account("fabrikam"), roster("x@y.example"), by="root")
    disconnect(contoso, why="test", actor="root")
    assert Preflight.objects.get().account.slug == "fabrikam"


def test_rows_have_no_place_for_what_a_calendar_holds() -> None:
    columns = {field.name for field in PreflightAddress._meta.concrete_fields}
    assert columns == {"id", "preflight", "address", "code", "raw", "checked_at"}
