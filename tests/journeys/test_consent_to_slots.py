"""The main job: consent, verification, availability, slots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tenants.models import AuditEntry
from tests.factories import Api


def next_monday() -> datetime:
    """Midnight UTC of the Monday after today: calendars of the sandbox lie around today."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=7 - today.weekday())


def test_an_account_that_consents_gets_availability_and_slots(contoso: Any, api: Api) -> None:
    connection = api.get("contoso").json()
    assert (connection["state"], connection["health"]) == ("enabled", "healthy")
    assert connection["reader"] == "cadence-service@contoso.example"

    monday = next_monday()
    question = {
        "attendees": [{"email": "ann@contoso.example"}, {"email": "bob@contoso.example", "required": False}],
        "rooms": ["room1@contoso.example"],
        "start": monday.isoformat(),
        "end": (monday + timedelta(days=5)).isoformat(),
    }
    availability = api.post("contoso", "availability", question).json()
    assert [attendee["state"] for attendee in availability["attendees"]] == ["known", "known"]
    assert all(block["label"] == "Outlook Event" for block in availability["attendees"][0]["blocks"])

    slots = api.post("contoso", "slots", {**question, "duration_minutes": 30}).json()
    assert slots["slots"]
    assert slots["withheld"]["candidates"] == slots["withheld"]["offered"] + sum(slots["withheld"]["by_code"].values())


def test_every_step_of_a_consent_is_in_the_audit_trail(contoso: Any) -> None:
    entries = AuditEntry.objects.filter(account=contoso).order_by("pk").values_list("action", "outcome")
    assert list(entries) == [("consent_begun", "service_account"), ("consent", "enabled")]
