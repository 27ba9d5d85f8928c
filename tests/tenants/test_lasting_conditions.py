"""Conditions that the customer's Entra ID keeps up until somebody there changes them."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import Sandbox
from tenants.models import Connection
from tests.factories import Api

READER = "cadence-service@contoso.example"
QUESTION = {
    "attendees": [{"email": "ann@contoso.example"}],
    "start": "2027-03-16T00:00:00Z",
    "end": "2027-03-17T00:00:00Z",
}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ({"mfa": True}, "AADSTS50076"),
        ({"conditional_access": True}, "AADSTS53003"),
        ({"inactive": True}, "AADSTS700082"),
        ({"refuse": 50173}, "AADSTS50173"),
    ],
)
def test_a_condition_at_the_customer_ends_the_connection_with_its_own_reason(
    condition: dict[str, Any], code: str, contoso: Any, api: Api, microsoft: Sandbox
) -> None:
    microsoft.control.set({"conditions": {READER: condition}})
    contoso.connection.token.access_expires_at = contoso.connection.connected_at
    contoso.connection.token.save(update_fields=["access_expires_at"])

    answer = api.post("contoso", "availability", QUESTION)

    assert (answer.status_code, answer.json()["state"]) == (409, "needs_consent")
    assert api.get("contoso").json()["reason"]["code"] == code


def test_once_the_condition_is_gone_the_same_link_connects_again(
    contoso: Any, api: Api, microsoft: Sandbox, consent: Any
) -> None:
    microsoft.control.set({"conditions": {READER: {"conditional_access": True}}})
    contoso.connection.token.access_expires_at = contoso.connection.connected_at
    contoso.connection.token.save(update_fields=["access_expires_at"])
    assert api.post("contoso", "availability", QUESTION).status_code == 409

    microsoft.control.set({"cure": READER})
    assert consent(contoso).status_code == 200

    assert Connection.objects.get(account=contoso).state == "enabled"
    assert api.post("contoso", "availability", QUESTION).status_code == 200
