"""Faults, throttling, counters and the control endpoint."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from sandbox import Sandbox
from sandbox.faults import Fault
from sandbox.intercept import AUTHORITY, GRAPH, intercepted

READER = "cadence-service@contoso.example"


@pytest.fixture
def token(client):
    return client.tokens(READER)["access_token"]


def set_(client, **wanted):
    return client.session.post(f"{client.authority}/_sandbox/set", json=wanted, timeout=5)


@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [
        ({"status": 500}, 500, None),
        ({"status": 503, "retry_after": "2.128"}, 503, "2.128"),
        ({"status": 429, "retry_after": "7"}, 429, "7"),
        ({"status": 502, "kind": "html"}, 502, None),
        ({"status": 504, "kind": "empty"}, 504, None),
    ],
)
def test_a_fault_answers_so_many_calls_on_its_path(client, token, fault, status, retry_after):
    assert set_(client, faults=[{"path": "getSchedule", "times": 2, **fault}]).status_code == 200
    answers = [client.ask(token, ["joe@contoso.example"]) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert answers[0].headers.get("Retry-After") == retry_after


def test_a_body_can_be_no_json(client, token, sandbox):
    sandbox.faults.add(Fault(path="getSchedule", kind="html"))
    answer = client.ask(token, ["joe@contoso.example"])
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize(
    ("kind", "error"),
    [("truncated", requests.exceptions.ChunkedEncodingError), ("dropped", requests.ConnectionError)],
)
def test_a_connection_can_break(client, token, sandbox, kind, error):
    sandbox.faults.add(Fault(path="getSchedule", kind=kind))
    with pytest.raises(error):
        client.ask(token, ["joe@contoso.example"])
    assert client.ask(token, ["joe@contoso.example"]).status_code == 200


def test_the_token_endpoint_can_refuse_with_any_code_of_the_table(client, sandbox):
    refresh = client.tokens()["refresh_token"]
    set_(client, faults=[{"path": "/token", "aadsts": 50076}])
    answer = client.refresh(refresh)
    assert (answer["error"], answer["error_codes"], answer["suberror"]) == (
        "invalid_grant",
        [50076],
        "basic_action",
    )
    assert "capolids" in answer["claims"]


def test_a_fault_can_be_meant_for_one_reader_or_mailbox(client, token, sandbox):
    other = client.tokens("ada@contoso.example")["access_token"]
    sandbox.faults.add(Fault(path="getSchedule", status=500, reader="ada@contoso.example", times=None))
    sandbox.faults.add(Fault(path="getSchedule", status=502, mailbox="bob@contoso.example", times=None))
    assert client.ask(other, ["joe@contoso.example"]).status_code == 500
    assert client.ask(token, ["joe@contoso.example"]).status_code == 200
    assert client.ask(token, ["bob@contoso.example"]).status_code == 502
    set_(client, clear_faults=True)
    assert client.ask(token, ["bob@contoso.example"]).status_code == 200


def test_a_held_answer_has_already_done_its_work(clock):
    slept = []
    sandbox = Sandbox(clock=clock, sleep=lambda seconds: slept.append((seconds, sandbox.counters["discovery"])))
    sandbox.faults.add(Fault(path="openid-configuration", delay=3.0, hold=5.0))
    with intercepted(sandbox), requests.Session() as session:
        session.get(f"{AUTHORITY}/common/v2.0/.well-known/openid-configuration", timeout=5)
    assert slept == [(3.0, 0), (5.0, 1)]


def test_a_fifth_call_at_the_same_time_is_throttled(clock, session, make_client):
    inside, leave = threading.Semaphore(0), threading.Event()

    def wait(_seconds):
        inside.release()
        leave.wait(20)

    crowded = Sandbox(clock=clock, sleep=wait)
    crowded.options.latency = 1.0
    with intercepted(crowded), ThreadPoolExecutor(5) as pool:
        client = make_client(AUTHORITY, GRAPH, session)
        token, other = (client.tokens(upn)["access_token"] for upn in (READER, "ada@contoso.example"))
        running = [pool.submit(client.ask, token, ["joe@contoso.example"]) for _ in range(4)]
        for _ in running:
            assert inside.acquire(timeout=20)
        fifth = client.ask(token, ["joe@contoso.example"])
        running.append(pool.submit(client.ask, other, ["joe@contoso.example"]))
        assert inside.acquire(timeout=20)  # another mailbox has four of its own
        leave.set()
        assert [call.result().status_code for call in running] == [200] * 5
    assert (fifth.status_code, fifth.json()["error"]["code"]) == (429, "ApplicationThrottled")
    assert fifth.headers["Retry-After"] == "1"
    assert crowded.counters["max_concurrent"] == 5
    assert crowded.counters["throttled"] == 1


def test_counters_are_read_and_reset_over_http(client, token):
    client.ask(token, ["joe@contoso.example", "ann@contoso.example"])
    counts = client.session.get(f"{client.authority}/_sandbox/counters", timeout=5).json()
    assert (counts["get_schedule"], counts["mailboxes"], counts[f"get_schedule:{READER}"]) == (1, 2, 1)
    seen = client.session.get(f"{client.authority}/_sandbox/requests", timeout=5).json()[-1]
    assert (seen["path"], seen["status"], seen["mailboxes"]) == ("/v1.0/me/calendar/getSchedule", 200, 2)
    client.session.post(f"{client.authority}/_sandbox/reset-counters", timeout=5)
    assert client.session.get(f"{client.authority}/_sandbox/counters", timeout=5).json() == {}


@pytest.mark.parametrize(
    "wanted",
    [
        {"no_such_thing": 1},
        {"token_lifetime": "long"},
        {"faults": [{"no_such_field": 1}]},
        {"faults": [{"aadsts": 1}]},
        {"faults": [{"kind": "odd"}]},
        {"disable_user": "nobody@contoso.example"},
        {"events": {"ann@contoso.example": [{"start": "2027-01-01T00:00", "end": "2027-01-02T00:00"}]}},
    ],
)
def test_a_wrong_control_request_is_refused_with_the_reason(client, wanted):
    answer = set_(client, **wanted)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_mailboxes_events_and_troubles_can_be_set_over_http(client, token):
    event = {"start": "2027-03-15T09:00:00+01:00", "end": "2027-03-15T10:00:00+01:00", "status": "oof"}
    set_(client, mailboxes=["new@contoso.example"], events={"new@contoso.example": [event]})
    (item,) = client.ask(token, ["new@contoso.example"]).json()["value"][0]["scheduleItems"]
    assert (item["start"]["dateTime"], item["status"]) == ("2027-03-15T08:00:00.0000000", "oof")
    set_(client, trouble={"new@contoso.example": "ErrorMailboxMoveInProgress"})
    found = client.ask(token, ["new@contoso.example"]).json()["value"][0]
    assert found["error"]["responseCode"] == "ErrorMailboxMoveInProgress"


def test_other_addresses_are_not_answered(sandbox, session):
    with intercepted(sandbox), pytest.raises(requests.ConnectionError):
        session.get("https://graph.sandbox.test.evil.example/v1.0/me", timeout=5)


def test_what_does_not_exist_is_404(client):
    assert client.session.get(f"{AUTHORITY}/organizations/oauth2/v2.0/devicecode", timeout=5).status_code == 404
    assert client.session.get(f"{AUTHORITY}/_sandbox/no-such-verb", timeout=5).status_code == 404
    assert GRAPH.startswith("https://")


def test_tenants_are_added_and_licences_taken_over_the_control_endpoint(client, sandbox):
    assert set_(client, tenants={"acme": 1}).status_code == 200
    reader = "cadence-service@acme.example"
    token = client.tokens(reader)["access_token"]
    assert client.ask(token, ["person1@acme.example"]).status_code == 200
    assert set_(client, licences={reader: False}).status_code == 200
    assert client.ask(token, ["person1@acme.example"]).status_code == 404
    assert set_(client, licences={reader: True}, conditions={"acme.example": {"app_removed": True}}).status_code == 200
    assert client.ask(token, ["person1@acme.example"]).status_code == 200
    assert [consent for consent in sandbox.control.consents() if consent["tenant"] == "acme.example"] == []
