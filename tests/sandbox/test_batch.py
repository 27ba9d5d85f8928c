"""JSON batching by the rules of concepts/json-batching.md."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

READER = "cadence-service@contoso.example"


@pytest.fixture
def token(client):
    return client.tokens(READER)["access_token"]


def part(name, *addresses, **more):
    bounds = {
        f"{edge}Time": {"dateTime": f"2027-03-{day}T00:00:00", "timeZone": "UTC"}
        for edge, day in (("start", 15), ("end", 16))
    }
    return {
        "id": str(name),
        "method": "POST",
        "url": "/me/calendar/getSchedule",
        "headers": {"Content-Type": "application/json"},
        "body": {"schedules": list(addresses or ("joe@contoso.example",)), **bounds},
        **more,
    }


def post(client, token, payload):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.session.post(f"{client.graph}/$batch", json=payload, headers=headers, timeout=30)


def run(client, token, *parts):
    answer = post(client, token, {"requests": list(parts)})
    assert answer.status_code == 200, answer.text
    return answer.json()["responses"]


def statuses(responses):
    return {found["id"]: found["status"] for found in responses}


def test_twenty_parts_are_answered_in_another_order_than_asked(client, token, sandbox):
    asked = [f"joe{number}@contoso.example" for number in range(20)]
    found = run(client, token, *[part(number, address) for number, address in enumerate(asked)])
    assert [answer["id"] for answer in found] != [str(number) for number in range(20)]
    by_id = {answer["id"]: answer["body"]["value"][0]["scheduleId"] for answer in found}
    assert by_id == {str(number): address for number, address in enumerate(asked)}
    assert (sandbox.counters["batch"], sandbox.counters["batch_parts"]) == (1, 20)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        [],
        {"requests": []},
        {"requests": "all"},
        {"requests": [part(number) for number in range(21)]},
        {"requests": [part(1), part(1)]},
        {"requests": [part(1, id=1)]},
        {"requests": [part(1, method="TRACE")]},
        {"requests": [part(1, url="/$batch")]},
        {"requests": [part(1, url="https://graph.sandbox.test/v1.0/me")]},
        {"requests": [part(1, headers={})]},
        {"requests": [part(1, dependsOn=["2"])]},
        {"requests": [{"id": "1", "method": "GET"}]},
    ],
    ids=lambda payload: str(payload)[:60],
)
def test_a_malformed_batch_is_refused_as_a_whole(client, token, sandbox, payload):
    answer = post(client, token, payload)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
    assert sandbox.counters["get_schedule"] == 0


def test_parts_succeed_and_fail_on_their_own(client, token):
    wrong = part(2, method="GET", url="/me/drive", body=None)
    assert statuses(run(client, token, part(1), wrong, part(3, *["a@contoso.example"] * 21))) == {
        "1": 200,
        "2": 400,
        "3": 400,
    }


def test_what_depends_on_a_failure_fails_with_424_and_the_rest_runs_in_its_order(client, token, sandbox):
    chain = [
        part(1),
        part(2, method="GET", url="me", body=None, dependsOn=["1"]),
        part(3, url="/me/nothing", dependsOn=["2"]),
        part(4, dependsOn=["3"]),
        part(5, dependsOn=["4"]),
    ]
    assert statuses(run(client, token, *chain)) == {"1": 200, "2": 200, "3": 400, "4": 424, "5": 424}
    assert [seen.path for seen in sandbox.counters.seen][-4:] == [
        "/v1.0/me/calendar/getSchedule",
        "/v1.0/me",
        "/v1.0/me/nothing",
        "/v1.0/$batch",
    ]


def test_parts_that_wait_for_each_other_all_fail(client, token):
    assert statuses(run(client, token, part(1, dependsOn=["2"]), part(2, dependsOn=["1"]))) == {"1": 424, "2": 424}


def test_a_throttled_part_has_its_own_429_and_its_own_time_to_wait(client, token, sandbox):
    sandbox.control.set(
        {"faults": [{"path": "getSchedule", "mailbox": "ann@contoso.example", "status": 429, "retry_after": "2.128"}]}
    )
    found = {answer["id"]: answer for answer in run(client, token, part(1), part(2, "ann@contoso.example"))}
    assert (found["1"]["status"], found["2"]["status"]) == (200, 429)
    assert found["2"]["headers"]["Retry-After"] == "2.128"
    assert found["2"]["body"]["error"]["code"] == "TooManyRequests"


def test_four_parts_run_at_a_time(client, token, sandbox):
    sandbox.options.latency = 1.0
    gate = threading.Barrier(4)
    sandbox.sleep = lambda _seconds: gate.wait(20)  # opens for four at once only
    found = run(client, token, *[part(number) for number in range(8)])
    assert set(statuses(found).values()) == {200}
    assert sandbox.counters["max_concurrent"] == 4


def test_no_fifth_part_runs_beside_four(client, token, sandbox):
    sandbox.options.latency = 1.0
    gate = threading.Barrier(5)

    def hold(_seconds):
        with suppress(threading.BrokenBarrierError):  # nobody makes it five
            gate.wait(0.3)

    sandbox.sleep = hold
    found = run(client, token, *[part(number) for number in range(20)])
    assert set(statuses(found).values()) == {200}
    assert sandbox.counters["max_concurrent"] <= 4


def test_another_call_in_flight_costs_a_part(client, token, sandbox):
    sandbox.options.max_concurrent = 0
    (found,) = run(client, token, part(1))
    assert (found["status"], found["body"]["error"]["code"]) == (429, "ApplicationThrottled")


def test_without_a_token_there_is_no_batch(client):
    assert post(client, "", {"requests": [part(1)]}).status_code == 401


def test_bodies_that_are_no_json_are_base64_and_lost_answers_504(client, token, sandbox):
    sandbox.control.set({"faults": [{"path": "getSchedule", "kind": "html"}]})
    (page,) = run(client, token, part(1))
    assert (page["status"], page["body"][:12]) == (200, "PCFkb2N0eXBl")  # <!doctype
    sandbox.control.set({"faults": [{"path": "getSchedule", "kind": "dropped"}]})
    assert statuses(run(client, token, part(1))) == {"1": 504}
