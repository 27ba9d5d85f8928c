"""The support bundle: under pseudonyms everything that decided an answer, from which it is found again offline."""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from cadence_exchange.logs import JsonFormatter
from freebusy import bundle as bundles
from freebusy.bundle import Bundle, Damaged, encoded, log_facts, make
from freebusy.core.rules import PRESETS
from freebusy.replay import Pseudonyms, Unreplayable, policy_of
from sandbox import Sandbox
from sandbox.people import Hours
from tenants.models import Account
from tests.factories import Api, make_account
from tests.freebusy.asking import mailbox, optional, question

DAY = "2027-03-16T{}:00+01:00"


def slots_body(microsoft: Sandbox) -> dict[str, Any]:
    """Everything that can decide: statuses, all day in odd zones, unreadable and external people, rooms."""
    full = mailbox(
        microsoft,
        "full",
        (DAY.format("10:00"), DAY.format("11:00")),
        (DAY.format("12:00"), DAY.format("13:00"), "tentative"),
        ("2027-03-16T00:00:00+01:00", "2027-03-17T00:00:00+01:00", "busy"),
    )
    # A zone without a name, in which this is a whole day: it must come along, or the day would count.
    odd = mailbox(
        microsoft,
        "odd",
        ("2027-03-16T00:00:00-04:00", "2027-03-17T00:00:00-04:00"),
        zone="America/New_York",
        hours=Hours(custom_zone=True),
    )
    lost = mailbox(microsoft, "lost", trouble="ErrorNoFreeBusyAccess")
    room = mailbox(microsoft, "hall", (DAY.format("15:00"), DAY.format("17:00")))
    people = ({"email": full}, {"email": odd.upper()}, optional(lost), optional("ann@elsewhere.example"))
    return question(*people, rooms=(room,), duration_minutes=60, explain=True)


def written(bundle: Bundle, folder: Path) -> Path:
    path = folder / "bundle.json"
    path.write_bytes(encoded(bundle))
    return path


def replayed(path: Path) -> dict[str, Any]:
    out = StringIO()
    call_command("replay_bundle", str(path), stdout=out, stderr=StringIO())
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def without_names(answer: Any) -> Any:
    """The answer with `*` for each address, whoever it is of."""
    return json.loads(re.sub(r'"[^"]*@[^"]*"', '"*"', json.dumps(answer)))


def test_the_bundle_holds_the_apis_answer_under_other_names(contoso: Account, microsoft: Sandbox, api: Api) -> None:
    body = slots_body(microsoft)
    made = make(contoso, body)
    answer = api.post("contoso", "slots", body).json()
    assert made.case is not None
    for key in ("slots", "withheld", "unknown", "candidates", "policy", "truncated"):
        assert without_names(made.case.slots[key]) == without_names(answer[key])
    names = [attendee["email"] for attendee in made.case.body["attendees"]]
    assert len({*names, *made.case.body["rooms"]}) == 5
    assert {who for fallen in made.case.slots["candidates"] for b in fallen["blocked_by"] for who in b["emails"]} <= {
        *names,
        *made.case.body["rooms"],
    }


def test_it_replays_to_the_same_slots(contoso: Account, microsoft: Sandbox, tmp_path: Path) -> None:
    made = make(contoso, slots_body(microsoft))
    found = replayed(written(made, tmp_path))
    assert made.case is not None
    assert (found["equal"], found["different"]) == (True, [])
    assert found["slots"] == made.case.slots["slots"] != []


def test_replaying_asks_neither_a_database_nor_the_network(
    contoso: Account, microsoft: Sandbox, tmp_path: Path, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(make(contoso, slots_body(microsoft)), tmp_path)

    def refuse(*_: Any) -> None:
        raise AssertionError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    microsoft.counters.reset()
    with django_db_blocker.block():
        assert replayed(path)["equal"]
    assert microsoft.counters["requests"] == 0


def test_no_name_address_or_link_of_the_customer_is_in_it(contoso: Account, microsoft: Sandbox) -> None:
    contoso.contact_email = "it@contoso.example"
    contoso.save()
    text = encoded(make(contoso, slots_body(microsoft))).decode().casefold()
    connection = contoso.connection
    words = ["contoso", "elsewhere.example", "cadence-service", "hall@", contoso.consent_key, connection.tenant_id]
    assert [word for word in [*words, connection.reader_oid] if word.casefold() in text] == []
    # Nor what the simulated Microsoft puts into every subject and place, and no token.
    assert not re.search(r"marker|subject|location|eyj", text)


def test_pseudonyms_are_one_for_each_address_whatever_its_case_and_new_in_each_bundle() -> None:
    names = Pseudonyms()
    ann = names.address("Ann@Contoso.example")
    assert ann == names.address("ann@contoso.EXAMPLE")
    assert ann != names.address("bob@contoso.example")
    assert ann.partition("@")[2] == names.address("bob@contoso.example").partition("@")[2]
    assert ann != Pseudonyms().address("Ann@Contoso.example")


@given(st.lists(st.from_regex(r"[a-z]{1,3}@[a-c]\.example", fullmatch=True), unique=True, max_size=20))
def test_different_addresses_never_share_a_pseudonym(addresses: list[str]) -> None:
    names = Pseudonyms()
    assert len({names.address(address).casefold() for address in addresses}) == len(addresses)


def test_it_names_the_calls_to_microsoft_the_versions_and_the_rules(
    contoso: Account, microsoft: Sandbox, settings: Any
) -> None:
    made = make(contoso, slots_body(microsoft), request_id="abc")
    assert made.case is not None
    assert [bool(call.request_id) for call in made.calls] == [True]
    assert made.checks[0]["microsoft_request_id"]
    assert made.case.policy == {"name": "technical", "version": 1, "rules": PRESETS["technical"].as_json()}
    assert (made.code_version, made.request_id, made.account["state"]) == (settings.VERSION, "abc", "enabled")


def test_while_microsoft_fails_it_holds_the_refusal_and_the_calls_that_met_it(
    contoso: Account, microsoft: Sandbox
) -> None:
    body = question("ann@contoso.example", duration_minutes=60)
    microsoft.control.set({"trouble": {"ann@contoso.example": "ErrorServerBusy"}})
    made = make(contoso, body)
    assert made.case is None
    assert made.problem is not None
    assert (made.problem["status"], made.problem["code"]) == (503, "microsoft_unavailable")
    assert len(made.calls) == 1


def test_without_a_question_it_tells_of_the_connection_alone(db: None, microsoft: Sandbox, tmp_path: Path) -> None:
    made = make(make_account("new"))
    assert (made.account["state"], made.case, made.problem, microsoft.counters["requests"]) == (
        "pending",
        None,
        None,
        0,
    )
    with pytest.raises(CommandError, match="holds no answer"):
        replayed(written(made, tmp_path))


def test_a_file_that_was_changed_gives_other_slots_and_says_so(
    contoso: Account, microsoft: Sandbox, tmp_path: Path
) -> None:
    path = written(make(contoso, slots_body(microsoft)), tmp_path)
    content = json.loads(path.read_text())
    content["case"]["mailboxes"][0]["entries"].clear()
    path.write_text(json.dumps(content))
    found = replayed(path)
    assert (found["equal"], found["different"]) == (False, ["availability", "slots"])


def _edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_edit(lambda b: b.update(format="other")), "no support bundle"),
        (_edit(lambda b: b.update(version=2)), "no support bundle"),
        (_edit(lambda b: b["case"]["mailboxes"].pop()), "1 of its mailboxes"),
        (_edit(lambda b: b["case"]["mailboxes"][0].update(zone="Mars/Base")), "time zone"),
        (_edit(lambda b: b["case"]["mailboxes"][0].update(state="unknown")), "without a reason"),
        (_edit(lambda b: b["case"].update(account_zone="Mars/Base")), "time zone"),
        (_edit(lambda b: b["case"]["policy"]["rules"].update(colour="red")), "does not know"),
        (_edit(lambda b: b["case"]["policy"].pop("rules")), "does not say its rules"),
        (_edit(lambda b: b["case"]["body"].update(colour="red")), "none that the API"),
    ],
)
def test_what_cannot_be_replayed_says_why_in_one_line(
    contoso: Account, microsoft: Sandbox, tmp_path: Path, change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    path = written(make(contoso, slots_body(microsoft)), tmp_path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(CommandError, match=said):
        replayed(path)


def test_what_is_no_json_or_no_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\xff{")
    with pytest.raises(CommandError, match="no support bundle"):
        replayed(tmp_path / "x.json")
    with pytest.raises(CommandError, match="No such file"):
        replayed(tmp_path / "y.json")


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_policy_comes_back_from_the_rules_that_the_api_shows(name: str) -> None:
    policy = PRESETS[name]
    given = json.loads(json.dumps({"name": policy.name, "version": policy.version, "rules": policy.as_json()}))
    assert policy_of(given) == policy


def test_rules_of_another_version_are_not_followed_by_guess() -> None:
    policy = PRESETS["technical"]
    rules = {**policy.as_json(), "room": {}}
    with pytest.raises(Unreplayable):
        policy_of({"name": "technical", "version": 1, "rules": rules})


# --- what the log says of a request -------------------------------------------------------------------------------
def lines_of(caplog: pytest.LogCaptureFixture, request_id: str) -> str:
    """The log as the installation writes it, here with the id that its filter adds."""
    formatter = JsonFormatter()
    found = []
    for record in caplog.records:
        record.request_id = request_id
        found.append(formatter.format(record))
    return "\n".join(found)


def test_log_lines_of_a_request_bring_its_decisions_and_microsofts_ids(
    api: Api, microsoft: Sandbox, contoso: Account, caplog: pytest.LogCaptureFixture
) -> None:
    body = slots_body(microsoft)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        answer = api.post("contoso", "slots", body).json()
    lines = lines_of(caplog, "req-1")
    read, decided = log_facts("noise\n[1]\n" + lines, "req-1", "contoso")
    assert len(read["microsoft_request_ids"]) == read["calls"] == 1
    assert decided["withheld"] == answer["withheld"]
    assert (decided["unknown"], decided["policy"], decided["people"]) == ({"no_access": 1}, "technical 1", 4)
    assert (decided["start"], decided["time_zone"]) == (body["start"], "Europe/Berlin")
    assert "@" not in json.dumps([read, decided])
    assert make(contoso, request_id="req-1", log_lines=lines).log == [read, decided]


def test_an_availability_says_in_the_log_how_its_mailboxes_ended(
    api: Api, microsoft: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    body = {name: value for name, value in slots_body(microsoft).items() if name not in ("duration_minutes", "explain")}
    caplog.clear()
    with caplog.at_level(logging.INFO):
        api.post("contoso", "availability", body)
    decided = log_facts(lines_of(caplog, "r"), "r", "contoso")[-1]
    assert decided["states"] == {"known": 3, "unknown": 1, "external": 1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"request_id": "r", "logger": "freebusy.views", "account": "fabrikam"}, "another account"),
        ({"request_id": "q", "logger": "freebusy.views", "account": "contoso"}, "None of the log lines"),
        ({"request_id": "r", "logger": "tenants.audit", "account": "contoso"}, "None of the log lines"),
    ],
)
def test_log_lines_that_are_not_of_this_request_are_refused(line: dict[str, str], said: str) -> None:
    with pytest.raises(Damaged, match=said):
        log_facts(json.dumps(line), "r", "contoso")


def test_of_a_log_line_only_what_is_known_to_name_nobody_is_taken() -> None:
    line = {"request_id": "r", "logger": "freebusy.views", "account": "contoso", "email": "ann@contoso.example"}
    assert log_facts(json.dumps(line), "r", "contoso") == [{"logger": "freebusy.views"}]
    assert "account" not in bundles._LOGGED
