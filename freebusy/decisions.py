"""Pure: what was decided for a question, as numbers for the log: enough to ask it again, nothing about anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from freebusy.questions import Question

Facts = dict[str, object]


def of_availability(question: Question, answer: Mapping[str, Any]) -> Facts:
    """Of POST availability: how many mailboxes ended in which state, and why the unknown ones did."""
    boxes = [*answer["attendees"], *answer["rooms"]]
    problems = Counter(box["problem"]["code"] for box in boxes if box["problem"])
    return {**_of_question(question), "states": Counter(box["state"] for box in boxes), "unknown": problems}


def of_slots(question: Question, data: Mapping[str, Any], answer: Mapping[str, Any]) -> Facts:
    """Of POST slots: how many candidates fell by which code; `data` is what SlotsSerializer validated."""
    return {
        **_of_question(question),
        "duration_minutes": data["duration_minutes"],
        "step_minutes": data["step_minutes"],
        "unknown": Counter(mailbox["code"] for mailbox in answer["unknown"]),
        "withheld": answer["withheld"],
    }


def of_roster(answer: Mapping[str, Any]) -> Facts:
    """Of POST roster/refresh: how many calendars ended how."""
    counts = {name: answer[name] for name in ("account", "start", "end", "asked", "known", "external", "pending")}
    return {**counts, "unknown": Counter(mailbox["code"] for mailbox in answer["unknown"])}


def _of_question(question: Question) -> Facts:
    return {
        "account": question.account.slug,
        "people": len(question.attendees),
        "rooms": len(question.rooms),
        "start": question.start.isoformat(),
        "end": question.end.isoformat(),
        "time_zone": question.zone.key,
        "policy": f"{question.policy.name} {question.policy.version}",
    }
