"""The API against its own OpenAPI document: requests of every kind that the document allows or forbids."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import schemathesis
from django.core.exceptions import ValidationError
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.core.validators import validate_email
from django.db import close_old_connections
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st

from tenants.authentication import new_key
from tenants.models import ApiKey

PEOPLE = ("ann", "bob", "cleo", "dan", "gil", "hal", "ivy", "joe", "nobody", "room1", "room2", "ROOM2", "p17", "p18")
MONTH = datetime(2027, 3, 15, tzinfo=timezone(timedelta(hours=1)))
ZONES = ("Asia/Kolkata", "America/New_York", "Europe/Berlin", "Mars/Olympus")
TIMES = st.integers(0, 18 * 24 * 60).map(lambda minutes: (MONTH + timedelta(minutes=minutes)).isoformat())


def _is_address(text: str) -> bool:
    """Whether it is an address as people have them: Hypothesis also knows the standard's oddest forms."""
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


# Most of what is random in these says nothing: an address of another domain is not asked for, two times of any
# year are no window. So most are of contoso and of one month.
schemathesis.openapi.format(
    "email", st.sampled_from([f"{name}@contoso.example" for name in PEOPLE]) | st.emails().filter(_is_address)
)
schemathesis.openapi.format("date-time", TIMES | st.datetimes().map(lambda t: f"{t.isoformat()}Z"))
schema = schemathesis.openapi.from_wsgi("/api/v1/schema/", WSGIHandler())
schema.config.update(parameters={"path.slug": "contoso"})


@schema.hook
def map_body(context: Any, body: Any) -> Any:
    """Makes sense of what fits the document and yet would always be refused, so that calendars are read at all."""
    if not isinstance(body, dict):
        return body
    # 30.0 is a whole number to JSON Schema, but not to us.
    made = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in body.items()
    }
    match made:
        case {"start": str(start), "end": str(end)} if end < start:
            made |= {"start": end, "end": start}
    if "mailboxes" not in made and not made.get("attendees") and not made.get("rooms"):
        made["attendees"] = [{"email": "ann@contoso.example"}]
    if isinstance(made.get("time_zone"), str):
        made["time_zone"] = ZONES[len(made["time_zone"]) % len(ZONES)]
    return made


schema.config.checks.positive_data_acceptance.expected_statuses.append("400")
# What the document cannot say of a request, so that one which fits it may still be refused.
BEYOND_THE_DOCUMENT = {
    "invalid_window", "window_too_long", "invalid_hours", "invalid_time_zone", "invalid_time",
    "required",  # at least one attendee or room
    "repeated", "too_many",
}  # fmt: skip


@schema.auth()
class Key:
    """Signs requests with the key of the test's own account; some Schemathesis sends without, to see them refused."""

    made = new_key()

    def get(self, case: Any, context: Any) -> str:
        return Key.made.key.reveal()

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


@pytest.fixture
def reachable(contoso: Any, settings: Any) -> Iterator[None]:
    """As Django's own test client does it: the server's side of a request leaves the test's connection alone."""
    settings.API_RATE_BURST = 1_000_000
    row = ApiKey.objects.create(name="test", prefix=Key.made.prefix, key_hash=Key.made.key_hash)
    row.accounts.set([contoso])
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


@schema.parametrize()
@examples(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_the_document_says(case: Any, reachable: None) -> None:
    answer = case.call()
    case.validate_response(answer)
    if case.meta.generation.mode.is_positive and answer.status_code == 400:
        assert {error["code"] for error in answer.json()["errors"]} <= BEYOND_THE_DOCUMENT
