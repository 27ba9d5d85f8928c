"""Asks Cadence Exchange what stands in two calendars and which hours remain. Needs `requests` and nothing else.

Usage: python client.py URL KEY ACCOUNT, for example python client.py http://localhost:8000 cadence_… contoso
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

WAITING_HELPS = {429, 503}  # too many requests with this key; Microsoft cannot be read just now


def ask(url: str, key: str, path: str, body: dict[str, Any], tries: int = 3) -> Any:
    """The answer's JSON; ends the program with a line that says who has to do what."""
    for left in range(tries - 1, -1, -1):
        headers = {"Authorization": f"Bearer {key}"}
        answer = requests.post(f"{url}/api/v1/accounts/{path}/", json=body, headers=headers, timeout=30)
        if answer.ok:
            return answer.json()
        problem = answer.json()  # every failure is application/problem+json; `code` is from a closed list
        if answer.status_code in WAITING_HELPS and left:
            time.sleep(int(answer.headers.get("Retry-After", "1")))
            continue
        if problem["code"] == "not_connected":
            sys.exit(f"{problem['state']}: an administrator has to open {problem['consent_url']}")
        wrong = "".join(f"\n  {error['field']}: {error['message']}" for error in problem["errors"])
        sys.exit(f"{problem['code']}: {problem['detail'] or problem['title']}{wrong}")
    raise ValueError("tries must be at least 1")


def main(url: str, key: str, account: str) -> None:
    domain = f"{account}.example"
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    question = {
        "attendees": [{"email": f"{name}@{domain}"} for name in ("ann", "bob")],
        "start": start.isoformat(),
        "end": (start + timedelta(days=7)).isoformat(),
    }
    for person in ask(url, key, f"{account}/availability", question)["attendees"]:
        if person["state"] != "known":  # never to be taken for free
            print(person["email"], person["state"], (person["problem"] or {}).get("code", ""))
        for block in person["blocks"]:
            print(person["email"], block["start"], block["end"], block["label"])
    hours = {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "17:00"}
    slots = ask(url, key, f"{account}/slots", {**question, "duration_minutes": 60, "working_hours": hours})
    for slot in slots["slots"]:
        print("possible:", slot["start"], slot["end"])


if __name__ == "__main__":
    main(*sys.argv[1:])
