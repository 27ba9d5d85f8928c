"""What the OpenAPI document says of each operation: shapes, examples, and every problem it may answer with."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from freebusy.core.rules import TECHNICAL
from freebusy.serializers import AvailabilitySerializer, RosterSerializer, SlotsSerializer
from freebusy.shapes import AvailabilityShape, ConnectionShape, ProblemShape, RosterShape, SlotsShape

PROBLEM = "application/problem+json"


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its registry is untyped
    """How a key is sent; found by drf-spectacular because it exists."""

    target_class = "tenants.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer token made by `manage.py create_api_key` or in the admin."""
        return {"type": "http", "scheme": "bearer", "description": "An API key of Event Cadence."}


class StrictRequests(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # its registry is untyped
    """Says that requests may hold no other members than those named."""

    target_class = "freebusy.fields.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        """The serializer's schema, closed."""
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**schema, "additionalProperties": False}


_PROBLEMS = {
    400: ("invalid_request", "A field is missing, wrong or unknown; `errors` names each."),
    401: ("unauthenticated", "No API key, or one that is not valid any more."),
    403: ("forbidden", "Reserved for keys that may do only some things."),
    404: ("not_found", "No such account for this key."),
    405: ("method_not_allowed", "Another method than the ones documented."),
    409: ("not_connected", "The account has no enabled connection; carries `consent_url` and `state`."),
    415: ("unsupported_media_type", "The body is not application/json."),
    429: ("rate_limited", "Too many requests with this key; `Retry-After` says when to come back."),
    500: ("internal_error", "Our fault; quote `request_id` to support."),
    503: ("microsoft_unavailable", "Nothing could be read and it may pass; carries `Retry-After`."),
}
_EVERY = (401, 403, 404, 405, 429, 500)
_READING = (400, *_EVERY, 409, 415, 503)
_POLICY = {"name": TECHNICAL.name, "version": TECHNICAL.version, "rules": TECHNICAL.as_json()}
_HEADERS = [
    OpenApiParameter(
        "X-Request-ID",
        str,
        OpenApiParameter.HEADER,
        description="Taken over into logs and the answer if it is at most 64 letters, digits, `.`, `_`, `:` or `-`.",
    ),
    OpenApiParameter("Retry-After", int, OpenApiParameter.HEADER, description="Seconds.", response=[429, 503]),
    OpenApiParameter("X-Request-ID", str, OpenApiParameter.HEADER, response=True),
]
_AS_OF = "2027-03-15T18:04:11.482000-04:00"


def _answers(shape: type, example: dict[str, Any], statuses: tuple[int, ...]) -> dict[Any, Any]:
    answers: dict[Any, Any] = {
        200: OpenApiResponse(shape, examples=[OpenApiExample("Answer", example, response_only=True)])
    }
    for status in sorted(statuses):
        code, text = _PROBLEMS[status]
        answers[status, PROBLEM] = OpenApiResponse(ProblemShape, description=f"`{code}`: {text}")
    return answers


_QUESTION = {
    "attendees": [{"email": "ann@contoso.example", "required": True}],
    "rooms": ["room1@contoso.example"],
    "start": "2027-03-16T00:00:00-04:00",
    "end": "2027-03-17T00:00:00-04:00",
    "time_zone": "America/New_York",
}
_BLOCK = {
    "start": "2027-03-16T10:00:00-04:00",
    "end": "2027-03-16T10:30:00-04:00",
    "status": "busy",
    "conflict": True,
    "code": "OUTLOOK_BUSY",
    "label": "Outlook Event",
}
_ROOM: dict[str, Any] = {
    "email": "room1@contoso.example",
    "state": "known",
    "as_of": _AS_OF,
    "problem": None,
    "blocks": [],
}

connection = extend_schema(
    operation_id="connection",
    summary="How the account is connected",
    tags=["Connection"],
    parameters=_HEADERS,
    responses=_answers(
        ConnectionShape,
        {
            "account": "contoso",
            "state": "enabled",
            "enabled": True,
            "mode": "service_account",
            "tenant_id": "aaaabbbb-0000-cccc-1111-dddd2222eeee",
            "reader": "cadence-service@contoso.example",
            "scopes": ["https://graph.microsoft.com/Calendars.Read"],
            "extra_scopes": [],
            "connected_at": "2027-01-11T08:30:00Z",
            "health": "healthy",
            "reason": None,
            "last_check": {"at": "2027-03-15T22:00:00Z", "outcome": "ok", "latency_ms": 184, "code": None},
            "token": {"refreshed_at": "2027-03-15T21:40:00Z", "expires_at": "2027-03-15T22:51:00Z"},
            "consent_url": "https://exchangeintegration.eventcadence.com/connect/Zt0bJ3uVQm1oXw/",
            "simulated": False,
        },
        _EVERY,
    ),
)
availability = extend_schema(
    operation_id="availability",
    summary="What conflicts in the calendars of people and rooms",
    tags=["Availability"],
    parameters=_HEADERS,
    request=AvailabilitySerializer,
    examples=[OpenApiExample("Question", _QUESTION, request_only=True)],
    responses=_answers(
        AvailabilityShape,
        {
            "account": "contoso",
            "start": _QUESTION["start"],
            "end": _QUESTION["end"],
            "time_zone": "America/New_York",
            "policy": _POLICY,
            "as_of": _AS_OF,
            "attendees": [
                {
                    **_ROOM,
                    "email": "ann@contoso.example",
                    "blocks": [_BLOCK],
                    "required": True,
                    "working_hours": {
                        "days": ["mon", "tue", "wed", "thu", "fri"],
                        "start": "09:00",
                        "end": "17:00",
                        "time_zone": "America/New_York",
                    },
                }
            ],
            "rooms": [_ROOM],
        },
        _READING,
    ),
)
slots = extend_schema(
    operation_id="slots",
    summary="Times at which everybody required and a room are free",
    tags=["Slots"],
    parameters=_HEADERS,
    request=SlotsSerializer,
    examples=[
        OpenApiExample(
            "Question",
            {
                **_QUESTION,
                "duration_minutes": 30,
                "working_hours": {
                    "days": ["mon", "tue", "wed", "thu", "fri"],
                    "start": "09:00",
                    "end": "17:00",
                },
                "limit": 1,
            },
            request_only=True,
        )
    ],
    responses=_answers(
        SlotsShape,
        {
            "slots": [
                {
                    "start": "2027-03-16T09:00:00-04:00",
                    "end": "2027-03-16T09:30:00-04:00",
                    "verified": True,
                    "rooms": ["room1@contoso.example"],
                    "optional_conflicts": [],
                    "unverified": [],
                }
            ],
            "truncated": True,
            "unknown": [],
            "withheld": {"candidates": 31, "offered": 28, "by_code": {"OUTLOOK_BUSY": 3}},
            "policy": _POLICY,
            "as_of": _AS_OF,
        },
        _READING,
    ),
)
roster = extend_schema(
    operation_id="roster_refresh",
    summary="Read the calendars of a roster ahead, so that searches find them at hand",
    tags=["Roster"],
    parameters=_HEADERS,
    request=RosterSerializer,
    examples=[
        OpenApiExample(
            "Question",
            {
                "mailboxes": ["ann@contoso.example", "room1@contoso.example", "guest@elsewhere.example"],
                "start": _QUESTION["start"],
                "end": _QUESTION["end"],
            },
            request_only=True,
        )
    ],
    responses=_answers(
        RosterShape,
        {
            "account": "contoso",
            "start": _QUESTION["start"],
            "end": _QUESTION["end"],
            "as_of": _AS_OF,
            "asked": 3,
            "known": 2,
            "unknown": [],
            "external": 1,
            "pending": 0,
        },
        _READING,
    ),
)
