"""One refresh for all, whatever the number of processes that want it and whichever of them dies."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.processes.installation import ROOT, Installation, wait_until

SEND_TASKS = "from tenants.tasks import refresh_due_tokens\nfor _ in range(10): refresh_due_tokens.delay()"


def test_fifty_requests_and_a_worker_with_an_expired_token_cost_exactly_one_refresh(installation: Installation) -> None:
    installation.start_web(workers=2)
    installation.start_worker()
    key = installation.connect()
    installation.expire_tokens()
    # A slow Entra keeps the door open for a second refresher while the first is under way.
    installation.control(faults=[{"path": "/token", "delay": 1.0, "times": None}])

    sender = subprocess.Popen(
        [sys.executable, "manage.py", "shell", "-c", SEND_TASKS], cwd=ROOT, env=installation.environment()
    )
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: installation.ask(key), range(50)))
    assert sender.wait(60) == 0
    done = b"tenants.tasks.refresh_due_tokens"
    log = installation.folder / "worker.log"
    wait_until("ten finished tasks", lambda: log.read_bytes().count(b"succeeded in") >= 10 and done in log.read_bytes())

    assert [answer.status_code for answer in answers] == [200] * 50
    assert installation.counter("token_refresh") == 1


def test_a_process_killed_between_microsofts_answer_and_our_store_leaves_a_token_that_still_refreshes(
    installation: Installation,
) -> None:
    installation.start_web(workers=1)
    key = installation.connect()
    installation.expire_tokens()
    # Microsoft has made the new tokens and counted the refresh, but its answer does not arrive before the end.
    installation.control(faults=[{"path": "/token", "hold": 30.0, "times": 1}])

    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(installation.ask, key)
        wait_until("Microsoft to answer the refresh", lambda: installation.counter("token_refresh") == 1)
        installation.kill("web")
        assert lost.exception(60) is not None

    installation.start_web(workers=1)
    assert installation.ask(key).status_code == 200
    assert installation.counter("token_refresh") == 2
