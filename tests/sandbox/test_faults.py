"""Faults of one tenant, of token calls, of size; and faults over real sockets."""

from __future__ import annotations

import pytest
import requests

from sandbox.faults import BIG, Fault, parse_fault
from sandbox.people import CONTOSO
from sandbox.server import Server

READER = "cadence-service@contoso.example"


@pytest.mark.parametrize("tenant", ["contoso", "contoso.example", CONTOSO.tid])
def test_a_fault_can_be_meant_for_one_tenant(client, sandbox, tenant):
    ours, theirs = (client.tokens(f"cadence-service@{domain}.example") for domain in ("contoso", "fabrikam"))
    sandbox.faults.add(Fault(tenant=tenant, status=500, times=None))
    assert client.ask(ours["access_token"], ["joe@contoso.example"]).status_code == 500
    assert client.ask(theirs["access_token"], ["abe@fabrikam.example"]).status_code == 200
    url = f"{client.authority}/{tenant}/v2.0/.well-known/openid-configuration"
    assert client.session.get(url, timeout=5).status_code == 500


def test_a_refresh_or_a_code_shows_whose_token_call_it_is(client, sandbox):
    tokens = {upn: client.tokens(upn)["refresh_token"] for upn in (READER, "fay@fabrikam.example")}
    sandbox.faults.add(Fault(path="/token", tenant="contoso", aadsts=50076, times=None))
    assert client.refresh(tokens[READER])["error_codes"] == [50076]
    assert "access_token" in client.refresh(tokens["fay@fabrikam.example"])
    flow = client.flow()
    answer = client.app().acquire_token_by_auth_code_flow(flow, client.back(flow, "ada@contoso.example"))
    assert answer["error_codes"] == [50076]
    sandbox.control.set(
        {"clear_faults": True, "faults": [{"path": "/token", "reader": "ADA@contoso.example", "aadsts": 53003}]}
    )
    assert "access_token" in client.refresh(tokens[READER])
    flow = client.flow()
    answer = client.app().acquire_token_by_auth_code_flow(flow, client.back(flow, "ada@contoso.example"))
    assert answer["error_codes"] == [53003]
    assert [seen.reader for seen in sandbox.counters.seen if seen.path.endswith("/token")][-1] == "ada@contoso.example"


def test_faults_in_force_can_be_read(client, sandbox):
    sandbox.control.set({"faults": [{"path": "/me", "status": 503, "times": 2}]})
    (fault,) = client.session.get(f"{client.authority}/_sandbox/faults", timeout=5).json()
    assert (fault["path"], fault["status"], fault["times"]) == ("/me", 503, 2)


def test_a_big_body_is_fifty_megabytes_unless_told_otherwise():
    assert BIG == 50 * 2**20
    assert parse_fault({"kind": "big"}).size == BIG


@pytest.mark.parametrize("kind", ["big", "bomb"])
def test_a_big_body_arrives_whole_or_packed(tmp_path, sandbox, connect, kind):
    size = 3_000_000
    with Server(sandbox, state_dir=tmp_path) as server:
        remote = connect(server.https_url, f"{server.https_url}/v1.0", server.ca_path)
        token = remote.tokens(READER)["access_token"]
        sandbox.control.set({"faults": [{"path": "getSchedule", "kind": kind, "size": size}]})
        answer = remote.ask(token, ["joe@contoso.example"])
    assert len(answer.json()["padding"]) == size
    sent = int(answer.headers["Content-Length"])
    assert sent > size if kind == "big" else sent < size / 100


def test_a_drip_takes_its_time(tmp_path, sandbox, connect):
    with Server(sandbox, state_dir=tmp_path) as server:
        remote = connect(server.https_url, f"{server.https_url}/v1.0", server.ca_path)
        token = remote.tokens(READER)["access_token"]
        sandbox.control.set({"faults": [{"path": "getSchedule", "drip": 30.0}]})
        url, headers = f"{remote.graph}/me/calendar/getSchedule", {"Authorization": f"Bearer {token}"}
        with pytest.raises(requests.ReadTimeout):  # long before the first piece
            remote.session.post(url, json={}, headers=headers, timeout=0.3)


def test_counters_say_how_everything_was_answered(client, sandbox):
    token = client.tokens(READER)["access_token"]
    sandbox.faults.add(Fault(path="getSchedule", status=503))
    for _ in range(2):
        client.ask(token, ["joe@contoso.example"])
    counts = sandbox.counters.as_json()
    assert (counts["status:503"], counts["faults"], counts["status:302"]) == (1, 1, 1)
    assert sum(count for name, count in counts.items() if name.startswith("status:")) == counts["requests"]
    assert sandbox.counters.seen[-1].at == sandbox.clock.now()
