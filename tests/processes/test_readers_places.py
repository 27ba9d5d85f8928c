"""Two processes that share a reader keep together to what Microsoft allows it, by either store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from tests.processes.installation import Installation, http

QUESTIONS, PEOPLE = 12, 60


def test_two_processes_never_have_more_than_four_calls_in_flight_for_one_reader(installation: Installation) -> None:
    installation.start_web(workers=2)
    key = installation.connect()
    installation.control(latency=0.1)
    before = installation.counter("get_schedule")

    def ask(number: int) -> int:
        start = datetime.now(UTC).replace(microsecond=0)
        body = {
            "attendees": [{"email": f"q{number}p{person}@contoso.example"} for person in range(PEOPLE)],
            "start": start.isoformat(),
            "end": (start + timedelta(days=1)).isoformat(),
        }
        url = f"{installation.url}/api/v1/accounts/contoso/availability/"
        return http().post(url, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60).status_code

    with ThreadPoolExecutor(QUESTIONS) as pool:
        assert list(pool.map(ask, range(QUESTIONS))) == [200] * QUESTIONS
    assert installation.counter("get_schedule") - before == QUESTIONS * PEOPLE // 20
    assert installation.counter("throttled") == 0
    assert installation.counter("max_concurrent") == 4
