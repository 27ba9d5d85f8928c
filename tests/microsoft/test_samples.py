"""Every sample of Microsoft's goes through our parser or our table of reasons, with a result that is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from freebusy.core.intervals import Interval, to_instant
from freebusy.core.schedule import Schedule, parse_schedule
from microsoft import wire
from microsoft.clouds import CLOUDS, is_simulated
from microsoft.errors import ConsentRequired, Misconfigured, Unavailable, error_for
from microsoft.graph_answer import claims_challenge
from microsoft.reasons import Kind, from_token_error, reason
from microsoft.schedule_request import Part, request_body
from tests.microsoft.conftest import SAMPLES

LONG_AGO = Interval(to_instant(datetime(2018, 1, 1, tzinfo=UTC)), to_instant(datetime(2020, 1, 1, tzinfo=UTC)))


def load(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def statuses(name: str) -> list[Any]:
    """Per mailbox what is understood: the statuses in order of time, or the code it was refused with."""
    found: list[Any] = []
    for entry in wire.decode_schedules((SAMPLES / name).read_bytes()):
        assert isinstance(entry, wire.ScheduleInformation)
        schedule = parse_schedule([entry], LONG_AGO)
        if isinstance(schedule, Schedule):
            assert schedule.working_hours is not None
            found.append(" ".join(item.status.value for item in schedule.items))
        else:
            found.append(schedule.raw)
    return found


def same_question(name: str) -> bool:
    """Whether we ask with the members of the official request, whatever their case."""
    ours = json.loads(
        request_body(["a@b.example"], Part(datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 1, 2, tzinfo=UTC)))
    )
    theirs = {key.lower(): value for key, value in load(name).items()}
    bounds = {"starttime", "endtime"}
    return {key.lower() for key in ours} == set(theirs) and all(
        set(value) == set(theirs[key.lower()]) for key, value in ours.items() if key.lower() in bounds
    )


def graph_error(name: str) -> tuple[str, str, type[Exception]]:
    error = wire.decode_error((SAMPLES / name).read_bytes())
    assert error is not None
    return error.code, error.innermost_code, type(error_for(error.code))


def token_error(name: str) -> tuple[str, Kind, type[Exception]]:
    code = from_token_error(load(name))
    return code, reason(code).kind, type(error_for(code))


def returned(url: str) -> str:
    """The code of what a redirect brings back: an error counts first, whatever stands beside it."""
    query = dict(parse_qsl(urlsplit(url).query))
    return from_token_error(query) if "error" in query else "success"


def batch_answers(name: str) -> dict[str, tuple[int, str | None]]:
    parts = load(name)["responses"]
    errors = {part["id"]: wire.decode_error(json.dumps(part.get("body")).encode()) for part in parts}
    return {part["id"]: (part["status"], errors[part["id"]] and errors[part["id"]].code) for part in parts}


def challenges(name: str) -> list[Any]:
    return [json.loads(claims_challenge(header) or "null") for header in load(name)["www-authenticate"]]


def hosts(name: str) -> tuple[bool, set[str]]:
    """Whether every sign-in host Microsoft lists is known as Microsoft's, and which of our clouds it lists."""
    aliases = {alias for cloud in load(name)["metadata"] for alias in cloud["aliases"]}
    closed = {"login.microsoftonline.de"}  # Germany, 29 October 2021
    ours = {cloud.name for cloud in CLOUDS.values() if urlsplit(cloud.authority).hostname in aliases}
    return not any(is_simulated(f"https://{alias}") for alias in aliases - closed), ours


def scopes(name: str) -> list[str]:
    return [unquote(scope) for scope in load(name)["scope"].split()]


def origin(name: str) -> str:
    document = load(name)
    assert document["issuer"].endswith("/v2.0")
    found = {f"https://{urlsplit(document[key]).hostname}" for key in ("token_endpoint", "authorization_endpoint")}
    return found.pop() if len(found) == 1 else ""


NEEDS_CONSENT, OURS = (Kind.NEEDS_CONSENT, ConsentRequired), (Kind.OUR_FAULT, Misconfigured)
EXPECTED: dict[str, tuple[Callable[[str], object], object]] = {
    "adminconsent-redirects.json": (
        lambda name: {what: returned(url) for what, url in load(name).items()},
        {"success": "success", "declined": "AADSTS65004", "authorize_cancelled": "access_denied"},
    ),
    "batch-request.json": (lambda name: [part["id"] for part in load(name)["requests"]], ["1", "2", "3", "4"]),
    "batch-response.json": (
        batch_answers,
        {"1": (302, None), "3": (401, "Forbidden"), "2": (200, None), "4": (204, None)},
    ),
    "getschedule-request.2021.json": (same_question, True),
    "getschedule-request.concept.json": (same_question, True),
    "getschedule-request.current.json": (same_question, True),
    "getschedule-response.2021.json": (statuses, ["busy", "busy tentative busy busy tentative"]),
    "getschedule-response.concept.json": (statuses, ["tentative busy"]),
    "getschedule-response.current.json": (
        statuses,
        ["free workingElsewhere busy tentative workingElsewhere", "busy busy tentative busy tentative"],
    ),
    "getschedule-response.error-5009.json": (statuses, ["5009"]),
    "graph-401-claims-challenge.headers.json": (
        challenges,
        [
            {"access_token": {"acrs": {"essential": True, "value": "cp1"}}},
            {"access_token": {"nbf": {"essential": True, "value": "1604106651"}}},
        ],
    ),
    "graph-401-expired-token.headers.json": (
        graph_error,
        ("InvalidAuthenticationToken", "InvalidAuthenticationToken", ConsentRequired),
    ),
    "graph-403-access-denied.json": (graph_error, ("ErrorAccessDenied", "ErrorAccessDenied", ConsentRequired)),
    "graph-404-mailbox-not-enabled.json": (
        graph_error,
        ("MailboxNotEnabledForRESTAPI", "MailboxNotEnabledForRESTAPI", ConsentRequired),
    ),
    "graph-429-body.json": (graph_error, ("TooManyRequests", "429", Unavailable)),
    "graph-error-invalid-merged-interval.json": (
        graph_error,
        ("ErrorInvalidMergedFreeBusyInterval", "ErrorInvalidMergedFreeBusyInterval", Misconfigured),
    ),
    "graph-error-mailbox-array-too-big.json": (
        graph_error,
        ("ErrorMailboxDataArrayTooBig", "ErrorMailboxDataArrayTooBig", Misconfigured),
    ),
    "instance-discovery.recorded-2021.json": (hosts, (True, {"global", "usgov", "usgovdod", "china"})),
    "openid-configuration.recorded-2021.json": (origin, CLOUDS["global"].authority),
    "token-error-50076-with-claims.json": (token_error, ("AADSTS50076", *NEEDS_CONSENT)),
    "token-error-50173.json": (token_error, ("AADSTS50173", *NEEDS_CONSENT)),
    "token-error-7000222.json": (token_error, ("AADSTS7000222", *OURS)),
    "token-error-70011.json": (token_error, ("AADSTS70011", *OURS)),
    "token-error-9002313.json": (token_error, ("AADSTS9002313", *OURS)),
    "token-response.json": (scopes, ["https://graph.microsoft.com/mail.read"]),
}


def test_every_sample_has_a_row_here():
    assert {path.name for path in SAMPLES.glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_is_understood(name):
    understand, result = EXPECTED[name]
    assert understand(name) == result
