"""Mailboxes with known events, questions about them, and answers in a form that reads well in a test."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sandbox import Sandbox
from sandbox.calendars import Event
from sandbox.messages import Request, Response
from sandbox.people import Mailbox

WINDOW = ("2027-03-16T00:00:00+01:00", "2027-03-17T00:00:00+01:00")  # a Tuesday in Berlin

Given = tuple[str, ...]  # start, end and perhaps the status of an event


def mailbox(microsoft: Sandbox, name: str, *events: Given, **box: Any) -> str:
    """Adds `<name>@contoso.example`, empty but for these events; returns its address."""
    address = name if "@" in name else f"{name}@contoso.example"
    microsoft.directory.add_mailbox(address, mailbox=Mailbox(**{"pattern": "empty", **box}))
    for start, end, *status in events:
        bounds = {"start": datetime.fromisoformat(start), "end": datetime.fromisoformat(end)}
        microsoft.directory.add_event(address, Event(**bounds, status=status[0] if status else "busy"))
    return address


def question(*attendees: str | dict[str, Any], rooms: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A request for these attendees (addresses, or objects as they are) over `WINDOW` unless told otherwise."""
    people = [{"email": attendee} if isinstance(attendee, str) else attendee for attendee in attendees]
    return {"attendees": people, "rooms": list(rooms), "start": WINDOW[0], "end": WINDOW[1], **more}


def optional(address: str) -> dict[str, Any]:
    """An attendee who need not come."""
    return {"email": address, "required": False}


def codes(mailbox_json: dict[str, Any]) -> list[str]:
    """The codes of the blocks, in order."""
    return [block["code"] for block in mailbox_json["blocks"]]


def starts(answer: dict[str, Any]) -> list[str]:
    """When the slots begin, as wall times `HH:MM`."""
    return [slot["start"][11:16] for slot in answer["slots"]]


def rewrite(microsoft: Sandbox, edit: Callable[[list[dict[str, Any]]], Any]) -> None:
    """From now on `edit` changes the entries of every getSchedule answer before it is sent, uncompressed."""
    handle = microsoft.handle

    def handled(request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name != "accept-encoding"}
        response = handle(replace(request, headers=headers))
        if not request.path.endswith("getSchedule") or response.status != 200:
            return response
        body = json.loads(response.body)
        edit(body["value"])
        return replace(response, body=json.dumps(body).encode())

    microsoft.handle = handled  # type: ignore[method-assign]  # the simulator, not the product
