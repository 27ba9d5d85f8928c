"""What the API would say: a refusal in its own words, requests to be copied, times as people read them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse
from rest_framework.exceptions import APIException
from rest_framework.views import APIView

from tenants.models import Account

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A problem document and its status."""

    status: int
    problem: Json

    @property
    def lines(self) -> list[str]:
        """Each wrong field with what is wrong, or the one sentence there is."""
        errors = [f"{error['field'] or 'request'}: {error['message']}" for error in self.problem["errors"]]
        return errors or [self.problem["detail"] or self.problem["title"]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, to be read and copied."""

    title: str
    curl: str
    answer: str


def refusal(error: APIException) -> Refusal:
    """As the API answers it, by the API's own handler."""
    answer = APIView().get_exception_handler()(error, {})
    return Refusal(answer.status_code, answer.data)


def exchange(account: Account, what: str, body: Mapping[str, Any], answer: Mapping[str, Any]) -> Exchange:
    """`what`: availability or slots. The key is left to whoever pastes the line."""
    path = reverse(f"api-{what}", args=[account.slug])
    words = [
        f"curl -s {shlex.quote(settings.PUBLIC_URL + path)}",
        '-H "Authorization: Bearer $CADENCE_API_KEY"',
        "-H 'Content-Type: application/json'",
        f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}",
    ]
    return Exchange(f"POST {path}", " \\\n  ".join(words), json.dumps(answer, indent=2, ensure_ascii=False))


def span(start: str, end: str) -> str:
    """Two times of an answer: `Tue 16 Mar 2027 09:00–10:30`."""
    first, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    day = "%a %d %b %Y"
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{last:{day} %H:%M}"
    return f"{first:{day} %H:%M}–{until}"
