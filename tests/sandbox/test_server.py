"""The sandbox as real sockets and as a process."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from sandbox import Sandbox
from sandbox.faults import Fault
from sandbox.server import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(tmp_path, sandbox):
    with Server(sandbox, state_dir=tmp_path) as running:
        yield running


@pytest.fixture
def remote(server, connect):
    return connect(server.https_url, f"{server.https_url}/v1.0", server.ca_path)


def start(state_dir, *more):
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "--state-dir",
        str(state_dir),
        "--https-port",
        "0",
        "--http-port",
        "0",
        *more,
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_msal_signs_in_over_https_and_humans_over_http(remote, server):
    flow = remote.flow()
    assert flow["auth_uri"].startswith(f"{server.http_url}/organizations/oauth2/v2.0/authorize?")
    tokens = remote.app().acquire_token_by_auth_code_flow(
        flow, remote.back(flow, "ada@contoso.example", admin_tick=True)
    )
    assert tokens["id_token_claims"]["iss"].startswith(f"{server.https_url}/")
    again = remote.refresh(tokens["refresh_token"])
    answer = remote.ask(again["access_token"], ["joe@contoso.example"])
    assert answer.status_code == 200
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.json()["value"][0]["scheduleItems"]


def test_a_client_that_does_not_know_the_authority_is_not_served(server, session):
    with pytest.raises(requests.exceptions.SSLError):
        session.get(server.https_url, timeout=5)
    assert session.get(server.http_url, timeout=5).status_code == 200


def test_a_hundred_parallel_requests_are_served(remote, server, sandbox):
    sandbox.options.max_concurrent = 100
    token = remote.tokens()["access_token"]

    def ask(_number):
        return remote.ask(token, ["ann@contoso.example", "room1@contoso.example"]).status_code

    with ThreadPoolExecutor(100) as pool:
        assert list(pool.map(ask, range(100))) == [200] * 100


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(path="/me", kind="dropped"), requests.ConnectionError),
        (Fault(path="/me", kind="truncated"), requests.exceptions.ChunkedEncodingError),
    ],
)
def test_a_broken_answer_breaks_on_the_wire(remote, sandbox, fault, error):
    token = remote.tokens()["access_token"]
    sandbox.faults.add(fault)
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    with pytest.raises(error):
        remote.session.get(f"{remote.graph}/me", headers=headers, timeout=5)
    assert remote.session.get(f"{remote.graph}/me", headers=headers, timeout=5).status_code == 200


def test_a_dripping_answer_arrives_whole(remote, sandbox):
    token = remote.tokens()["access_token"]
    sandbox.faults.add(Fault(path="/me", drip=0.2))
    answer = remote.session.get(f"{remote.graph}/me", headers={"Authorization": f"Bearer {token}"}, timeout=5)
    assert answer.elapsed.total_seconds() < 5
    assert answer.json()["displayName"]


def test_a_second_start_keeps_the_authority(tmp_path, clock):
    with Server(Sandbox(clock=clock), state_dir=tmp_path) as first:
        kept = first.ca_path.read_bytes()
    with Server(Sandbox(clock=clock), state_dir=tmp_path) as second:
        assert second.ca_path.read_bytes() == kept


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_when_it_listens_and_stops_when_told(tmp_path, connect, how):
    process = start(tmp_path)
    try:
        _, _, https_url, http_url, ca = process.stdout.readline().split()
        client = connect(https_url, f"{https_url}/v1.0", Path(ca.removeprefix("ca=")))
        assert "access_token" in client.tokens("ada@contoso.example")
        assert client.session.get(f"{http_url}/_sandbox/counters", timeout=5).json()["token_code"] == 1
        process.send_signal(how)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "", "")


def test_a_process_keeps_connections_over_a_restart(tmp_path, connect):
    refresh = ""
    for _ in range(2):
        process = start(tmp_path)
        try:
            _, _, https_url, _, ca = process.stdout.readline().split()
            client = connect(https_url, f"{https_url}/v1.0", Path(ca.removeprefix("ca=")))
            refresh = client.refresh(refresh)["refresh_token"] if refresh else client.tokens()["refresh_token"]
            process.terminate()
            process.communicate(timeout=20)
        finally:
            process.kill()
    assert refresh.startswith("SBXRT-")


def test_a_taken_port_gives_one_clear_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(tmp_path, "--http-port", str(port))
        out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert out == ""
    assert err.count("\n") == 1
    assert f"{port}" in err
    assert "--http-port" in err
