"""Two web processes that are asked the same at the same moment: Microsoft is asked once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import requests

from tests.processes.installation import Installation, http, wait_until

SEARCHES = 200
NAMES = (
    "ann bob cleo dan eva finn kim lea max nia oli pia quinn rosa sam tara uma vic wes xenia yara zoe "
    "ada bea carl dora emil freya gus hana"
)
PEOPLE = [f"{name}@contoso.example" for name in NAMES.split()]


def search(installation: Installation, key: str) -> requests.Response:
    """POST slots for the thirty people, over a day of next week."""
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=7)
    body = {
        "attendees": [{"email": email} for email in PEOPLE],
        "start": start.isoformat(),
        "end": (start + timedelta(days=1)).isoformat(),
        "duration_minutes": 30,
    }
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{installation.url}/api/v1/accounts/contoso/slots/"
    return http().post(url, json=body, headers=headers, timeout=60)


@pytest.fixture
def key(installation: Installation) -> str:
    """Of an account at two web processes; the sandbox takes half a second for an answer, so that all meet."""
    installation.start_web(workers=2)
    made = installation.connect()
    assert installation.ask(made).status_code == 200
    installation.control(latency=0.5)
    return made


def test_two_hundred_searches_for_the_same_thirty_people_over_two_processes_are_two_calls(
    installation: Installation, key: str
) -> None:
    before = installation.counter("get_schedule")
    with ThreadPoolExecutor(SEARCHES) as pool:
        answers = list(pool.map(lambda _: search(installation, key), range(SEARCHES)))
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].json()["unknown"] == []
    assert len({answer.content for answer in answers}) == 1
    assert installation.counter("get_schedule") - before == 2
    served = (installation.folder / "web.log").read_text()
    assert served.count('"free/busy read"') == 2  # the one before, and one for all of these


def test_a_process_that_dies_while_others_wait_for_its_read_is_relieved(installation: Installation, key: str) -> None:
    before = installation.counter("get_schedule")
    installation.control(faults=[{"path": "getSchedule", "hold": 30.0, "times": 2}])
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(search, installation, key)
        wait_until("the read to be under way", lambda: installation.counter("get_schedule") >= before + 2)
        installation.kill("web")
        assert lost.exception(60) is not None
    installation.start_web(workers=2)
    assert search(installation, key).status_code == 200
    assert installation.counter("get_schedule") == before + 4
