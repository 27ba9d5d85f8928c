"""The main job, told in the terminal: consent, conflicts, the times that remain and why the others fell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from itertools import groupby
from typing import Any

from demo import question
from demo.api import Api
from demo.browser import Browser
from demo.consenting import consent
from demo.processes import Failed
from demo.tables import table

Json = dict[str, Any]
READER = "cadence-service@contoso.example"
_WORDS = {
    "UNKNOWN_REQUIRED": "a required calendar could not be read",
    "OUTLOOK_BUSY": "somebody required is busy",
    "OUTLOOK_OOF": "somebody required is out of office",
    "OUTLOOK_UNKNOWN": "somebody required has an entry of unknown status",
    "OUTLOOK_TENTATIVE": "somebody required has a tentative entry",
    "OUTLOOK_ELSEWHERE": "somebody required is working elsewhere",
    "ROOM": "no asked room is free",
}
_PASSED = {
    "IGNORED_FREE": "shown as free",
    "IGNORED_TENTATIVE": "tentative",
    "IGNORED_ELSEWHERE": "working elsewhere",
    "IGNORED_LONG": "of six hours or more",
    "IGNORED_ALL_DAY": "all day",
}
_EXAMPLES = 6


def say(text: str = "") -> None:
    """At once, also into a pipe."""
    print(text, flush=True)


def connect(api: Api) -> None:
    """Lets contoso consent through the pages unless it is connected; raises Failed when it is not in the end."""
    connection = api.connection(question.ACCOUNT)
    if connection["enabled"]:
        since = datetime.fromisoformat(connection["connected_at"]).astimezone(question.ZONE)
        say(f"Account contoso is already connected, since {since:%a %d %b %Y %H:%M}.")
    else:
        say("Account contoso consents, page by page, as its service account would:")
        with Browser() as browser:
            say(table(("page", "what is chosen there"), list(consent(browser, connection["consent_url"], READER))))
        connection = api.connection(question.ACCOUNT)
    if not connection["enabled"]:
        raise Failed(f"contoso is not connected, its state is {connection['state']}.")
    check = connection["last_check"] or {}
    say(f"  state {connection['state']}, reads through {connection['reader']}, health {connection['health']}")
    if check.get("outcome") == "ok":
        say(f"  verified by a real read of that mailbox in {check['latency_ms']} ms")


def show_availability(api: Api, today: date) -> None:
    """Each conflict of six people and two rooms."""
    answer = api.ask(question.ACCOUNT, "availability", {**question.availability(today), "include_ignored": True})
    say(f"\nWhat stands in the calendars of contoso, {_days(today)}, {answer['time_zone']} time:")
    rows: list[tuple[str, ...]] = []
    for mailbox in [*answer["attendees"], *answer["rooms"]]:
        kind = {True: "required", False: "optional", None: "room"}[mailbox.get("required")]
        named = (_name(mailbox["email"]), kind)
        for row in _mailbox_rows(mailbox):
            rows.append((*named, *row))
            named = ("", "")
    say(table(("who", "", "when", "", "what", "status"), rows))
    ignored = _ignored([*answer["attendees"], *answer["rooms"]])
    if ignored:
        say(f"  Not in the way under policy “{answer['policy']['name']}”: {ignored}.")


def _ignored(mailboxes: list[Json]) -> str:
    """Entries that do not conflict, counted by the rule that lets them pass."""
    counts = Counter(block["code"] for mailbox in mailboxes for block in mailbox["blocks"] if not block["conflict"])
    return ", ".join(f"{count} {_PASSED[code]}" for code, count in counts.most_common())


def _mailbox_rows(mailbox: Json) -> Iterator[tuple[str, str, str, str]]:
    if mailbox["state"] != "known":
        yield "", "", "unknown", f"{mailbox['problem']['code']}: not taken for free"
        return
    conflicts = [block for block in mailbox["blocks"] if block["conflict"]]
    if not conflicts:
        yield "", "", "no conflict", ""
    day = ""
    for block in conflicts:
        start, end = datetime.fromisoformat(block["start"]), datetime.fromisoformat(block["end"])
        again, day = day == f"{start:%a %d %b}", f"{start:%a %d %b}"
        until = f"{end:%H:%M}" if end.date() == start.date() else f"{end:%H:%M (%a %d)}"
        yield "" if again else day, f"{start:%H:%M}–{until}", block["label"], block["status"]


def show_slots(api: Api, today: date) -> None:
    """The hours that remain, then why the others fell."""
    answer = api.ask(question.ACCOUNT, "slots", {**question.times(today), "explain": True})
    withheld = answer["withheld"]
    say("\nAn hour for ann, bob, cleo and dan in one of the rooms, between 09:00 and 17:00:")
    rows = [_slot_row(slot) for slot in answer["slots"]]
    say(table(("day", "slot", "free rooms", "optional and busy", "could not be asked"), rows) if rows else "  none")
    say(f"\nWhy {withheld['candidates'] - withheld['offered']} of {withheld['candidates']} candidates fell:")
    say(table(("code", "meaning", "fell"), [(c, _WORDS.get(c, ""), str(n)) for c, n in withheld["by_code"].items()]))
    say("\nSome of them:")
    say(table(("day", "candidate", "in the way"), _examples(answer["candidates"])))


def _slot_row(slot: Json) -> tuple[str, ...]:
    day, times = _times(slot)
    people = (_names(slot[column]) for column in ("rooms", "optional_conflicts", "unverified"))
    return day, times, *people


def _examples(candidates: list[Json]) -> list[tuple[str, str, str]]:
    """The first candidates that fell for different reasons, in order of time."""
    fallen = [candidate for candidate in candidates if candidate["blocked_by"]]
    chosen = [next(group) for _, group in groupby(fallen, key=lambda candidate: candidate["blocked_by"])]
    return [(*_times(candidate), _in_the_way(candidate["blocked_by"])) for candidate in chosen[:_EXAMPLES]]


def _in_the_way(reasons: list[Json]) -> str:
    return "; ".join(f"{reason['code']} ({_names(reason['emails'])})" for reason in reasons)


def _times(slot: Json) -> tuple[str, str]:
    start, end = datetime.fromisoformat(slot["start"]), datetime.fromisoformat(slot["end"])
    return f"{start:%a %d %b}", f"{start:%H:%M}–{end:%H:%M}"


def _days(today: date) -> str:
    return " and ".join(f"{day:%a %d %b}" for day in question.working_days(today))


def _name(email: str) -> str:
    return email.partition("@")[0]


def _names(emails: list[str]) -> str:
    return ", ".join(_name(email) for email in emails)
