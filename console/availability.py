"""Availability check: what the API would answer to a question, entry by entry, and why times fell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework.exceptions import APIException

from console.answering import Refusal, exchange, refusal, span
from console.pages import account_of, page, show
from console.question_form import QuestionForm, coming_days
from freebusy.inspection import Inspection, availability_body, inspect
from tenants import audit
from tenants.admin.parts import who
from tenants.models import Account

Json = dict[str, Any]
SHOWN = 200  # candidates; the JSON has them all
MEANINGS = {
    "UNKNOWN_REQUIRED": "somebody who must come could not be read",
    "OUTLOOK_BUSY": "busy",
    "OUTLOOK_OOF": "out of office",
    "OUTLOOK_UNKNOWN": "a status that Microsoft calls unknown",
    "OUTLOOK_TENTATIVE": "tentative, which this policy counts",
    "OUTLOOK_ELSEWHERE": "working elsewhere, which this policy counts",
    "ROOM": "no asked room is free",
    "IGNORED_FREE": "shown as free",
    "IGNORED_TENTATIVE": "tentative, which this policy ignores",
    "IGNORED_ELSEWHERE": "working elsewhere, which this policy ignores",
    "IGNORED_LONG": "long",
    "IGNORED_ALL_DAY": "all day",
}


# The answer comes with the POST itself: it is kept nowhere that a redirect could show it from, and the addresses
# stay out of the address bar and of logs.
@page("see_availability", "GET", "HEAD", "POST")
def availability(request: HttpRequest, slug: str) -> HttpResponse:
    """GET the form, POST the question."""
    account = account_of(slug)
    if request.method != "POST":
        form = QuestionForm(initial=coming_days(account))
        return show(request, "availability.html", _title(account), account=account, form=form)
    form = QuestionForm(request.POST)
    result, refused, status = None, None, 200
    if form.is_valid():
        body = form.body()
        try:
            result = inspect(account, body)
        except APIException as error:
            refused = refusal(error)
        _note(request, account, body, refused)
    if result is None:
        status = refused.status if refused else 400
    context = {"account": account, "form": form, "refused": refused, **(_result(account, result) if result else {})}
    return show(request, "availability.html", _title(account), status, **context)


def _title(account: Account) -> str:
    return f"Availability check: {account}"


def _note(request: HttpRequest, account: Account, body: Json, refused: Refusal | None) -> None:
    outcome = refused.problem["code"] if refused else "ok"
    people, rooms = len(body["attendees"]), len(body["rooms"])
    window = {"start": body["start"], "end": body["end"]}
    audit.record(account, "availability_checked", outcome, **who(request), people=people, rooms=rooms, **window)


def _result(account: Account, inspection: Inspection) -> Json:
    looked, found = inspection.availability, inspection.slots
    fallen = [candidate for candidate in found["candidates"] if candidate["blocked_by"]]
    return {
        "answered": True,
        "policy": looked["policy"],
        "time_zone": looked["time_zone"],
        "read_at": f"{datetime.fromisoformat(looked['as_of']):%a %d %b %Y %H:%M:%S}",
        "mailboxes": list(_mailboxes(looked)),
        "slots": [{**slot, "when": span(slot["start"], slot["end"])} for slot in found["slots"]],
        "truncated": found["truncated"],
        "withheld": found["withheld"],
        "by_code": [(code, MEANINGS[code], count) for code, count in found["withheld"]["by_code"].items()],
        "fallen": [{**one, "when": span(one["start"], one["end"])} for one in fallen[:SHOWN]],
        "fallen_more": max(len(fallen) - SHOWN, 0),
        "exchanges": [
            exchange(account, "availability", availability_body(inspection.body), looked),
            exchange(account, "slots", inspection.body, found),
        ],
    }


def _mailboxes(looked: Json) -> Iterator[Json]:
    for box in (*looked["attendees"], *looked["rooms"]):
        role = "room" if "required" not in box else "must come" if box["required"] else "may come"
        blocks = [
            {**block, "when": span(block["start"], block["end"]), "meaning": MEANINGS[block["code"]]}
            for block in box["blocks"]
        ]
        yield {**box, "role": role, "blocks": blocks, "counting": sum(block["conflict"] for block in blocks)}


urlpatterns = [path("accounts/<slug:slug>/availability/", availability, name="availability-check")]
