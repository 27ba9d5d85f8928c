"""Ten thousand calls in ten minutes for one mailbox, and how a call too many is answered."""

from __future__ import annotations

import pytest

from sandbox.options import Options
from sandbox.throttle import Quota

READER = "cadence-service@contoso.example"


@pytest.fixture
def token(client):
    return client.tokens(READER)["access_token"]


def test_the_limits_are_those_of_the_documentation():
    usual = Options()
    assert (usual.max_requests, usual.request_window, usual.max_concurrent, usual.max_mailboxes) == (10_000, 600, 4, 20)


def test_the_ten_thousandth_call_passes_and_the_next_does_not():
    quota = Quota()
    waits = [quota.take("a@b.example", now=1.0, limit=10_000, window=600) for _ in range(10_001)]
    assert (set(waits[:-1]), waits[-1]) == ({0.0}, 600.0)


def test_a_call_too_many_is_told_how_long_to_wait_to_the_fraction(client, token, sandbox, clock):
    sandbox.control.set({"max_requests": 3})
    clock.advance(0.5)
    for _ in range(3):
        assert client.ask(token, ["joe@contoso.example"]).status_code == 200
    clock.advance(100.25)
    refused = client.ask(token, ["joe@contoso.example"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "TooManyRequests")
    assert refused.headers["Retry-After"] == "499.750"
    assert sandbox.counters["throttled"] == 1


def test_after_ten_minutes_of_waiting_calls_pass_again(client, token, sandbox, clock):
    sandbox.control.set({"max_requests": 2})
    assert [client.ask(token, ["joe@contoso.example"]).status_code for _ in range(3)] == [200, 200, 429]
    clock.advance(599.9)
    refused = [client.ask(token, ["joe@contoso.example"]).status_code for _ in range(2)]
    clock.advance(0.1)
    refused.append(client.ask(token, ["joe@contoso.example"]).status_code)  # the two refused ones count too
    assert refused == [429] * 3
    clock.advance(600)
    assert client.ask(token, ["joe@contoso.example"]).status_code == 200


def test_each_mailbox_has_a_quota_of_its_own_however_it_is_named(client, token, sandbox):
    other = client.tokens("ada@contoso.example")["access_token"]
    oid = sandbox.directory.find(READER).oid
    sandbox.control.set({"max_requests": 2})
    paths = ("me", f"users/{READER.upper()}", f"users/{oid}")
    assert [client.ask(token, ["joe@contoso.example"], path=path).status_code for path in paths] == [200, 200, 429]
    assert client.ask(other, ["joe@contoso.example"]).status_code == 200
    assert client.ask(other, ["joe@contoso.example"], path=f"users/{READER}").status_code == 429


def test_a_fraction_can_be_asked_for_as_the_time_to_wait(client, token, sandbox):
    sandbox.control.set({"retry_after": "2.128", "max_concurrent": 0})
    refused = client.ask(token, ["joe@contoso.example"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "ApplicationThrottled")
    assert refused.headers["Retry-After"] == "2.128"
