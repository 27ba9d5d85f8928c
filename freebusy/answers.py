"""Pure: schedules and slots as the JSON of API v1, times in the zone that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from freebusy.core.intervals import from_instant
from freebusy.core.rules import Block, Code, ConflictPolicy, blocks
from freebusy.core.schedule import External, Schedule, Unreadable, WorkingHours
from freebusy.core.slots import Slot, SlotResult

LABEL = "Outlook Event"

Json = dict[str, Any]


def policy_json(policy: ConflictPolicy) -> Json:
    """The rules in force, shown beside every result."""
    return {"name": policy.name, "version": policy.version, "rules": policy.as_json()}


def moment(when: datetime | None, zone: tzinfo) -> str | None:
    """RFC 3339 with the zone's offset at that moment."""
    return when.astimezone(zone).isoformat() if when else None


def mailbox_json(
    address: str,
    schedule: Schedule | Unreadable | External,
    as_of: datetime | None,
    *,
    policy: ConflictPolicy,
    account_zone: tzinfo,
    zone: tzinfo,
    include_ignored: bool,
) -> Json:
    """State, problem and blocks of one attendee or room."""
    answer: Json = {
        "email": address,
        "state": _state(schedule),
        "as_of": moment(as_of, zone),
        "problem": None,
    }
    answer["blocks"] = []
    if isinstance(schedule, Unreadable):
        answer["problem"] = problem_json(schedule)
    elif isinstance(schedule, Schedule):
        answer["blocks"] = [
            _block_json(block, zone)
            for block in blocks(schedule, policy, account_zone)
            if block.conflict or include_ignored
        ]
    return answer


def hours_json(schedule: Schedule | Unreadable | External) -> Json | None:
    """The mailbox owner's working hours, if Microsoft gave any."""
    hours: WorkingHours | None = schedule.working_hours if isinstance(schedule, Schedule) else None
    if hours is None:
        return None
    return {"days": list(hours.days), "start": hours.start, "end": hours.end, "time_zone": hours.time_zone}


def problem_json(unreadable: Unreadable) -> Json:
    """Why a mailbox could not be read; Microsoft's own code beside ours when ours says nothing."""
    problem: Json = {
        "code": unreadable.code,
        "message": unreadable.message,
        "retryable": unreadable.retryable,
    }
    if unreadable.raw:
        problem["microsoft_code"] = unreadable.raw
    return problem


def slots_json(result: SlotResult, zone: tzinfo) -> Json:
    """Slots, what was withheld and why, and on demand every candidate."""
    answer: Json = {
        "slots": [_slot_json(slot, zone) for slot in result.slots],
        "truncated": result.truncated,
        "unknown": [{"email": email, "code": code} for email, code in result.unknown],
        "withheld": {
            "candidates": result.candidates,
            "offered": result.offered,
            "by_code": _by_code(result.by_code),
        },
    }
    if result.explanation is not None:
        answer["candidates"] = [
            {
                "start": _instant(candidate.start, zone),
                "end": _instant(candidate.end, zone),
                "blocked_by": [{"code": code.value, "emails": list(emails)} for code, emails in candidate.blocked_by],
            }
            for candidate in result.explanation
        ]
    return answer


def _by_code(counts: Mapping[Code, int]) -> dict[str, int]:
    return {code.value: count for code, count in counts.items()}


def _state(schedule: Schedule | Unreadable | External) -> str:
    if isinstance(schedule, Schedule):
        return "known"
    return "unknown" if isinstance(schedule, Unreadable) else "external"


def _block_json(block: Block, zone: tzinfo) -> Json:
    return {
        "start": _instant(block.start, zone),
        "end": _instant(block.end, zone),
        "status": block.status.value,
        "conflict": block.conflict,
        "code": block.code.value,
        "label": LABEL,
    }


def _slot_json(slot: Slot, zone: tzinfo) -> Json:
    return {
        "start": _instant(slot.start, zone),
        "end": _instant(slot.end, zone),
        "verified": slot.verified,
        "rooms": list(slot.rooms),
        "optional_conflicts": list(slot.optional_conflicts),
        "unverified": list(slot.unverified),
    }


def _instant(instant: int, zone: tzinfo) -> str:
    return from_instant(instant, zone).isoformat()
