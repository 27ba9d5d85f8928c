"""What the API's tests share beside the cast of all tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.factories import Api

Ask = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def availability(api: Api) -> Ask:
    """POST availability of contoso, which must succeed; gives the answer's JSON."""
    return _asking(api, "availability")


@pytest.fixture
def slots(api: Api) -> Ask:
    """POST slots of contoso, half an hour long unless the question says otherwise."""

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        return _asking(api, "slots")({"duration_minutes": 30, **question})

    return ask


def _asking(api: Api, what: str) -> Ask:
    def ask(question: dict[str, Any]) -> dict[str, Any]:
        answer = api.post("contoso", what, question)
        assert answer.status_code == 200, answer.content
        json: dict[str, Any] = answer.json()
        return json

    return ask
