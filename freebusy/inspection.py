"""A question of support's: both answers that the API would give now, from one read and by the API's own functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from freebusy import questions
from freebusy.lookup import Reading
from freebusy.questions import Question
from freebusy.serializers import AvailabilitySerializer, SlotsSerializer
from microsoft.http import Deadline
from tenants.models import Account

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was asked, as the body of POST slots and as it was understood, and what the mailboxes said."""

    body: Json
    data: Mapping[str, Any]
    question: Question
    reading: Reading

    @property
    def availability(self) -> Json:
        """What POST availability answers to `availability_body`."""
        return questions.availability_of(self.question, self.reading, include_ignored=True)

    @property
    def slots(self) -> Json:
        """What POST slots answers to the body."""
        query = questions.slot_query(self.question, self.data)
        return questions.slots_of(self.question, query, self.data, self.reading)


def availability_body(body: Mapping[str, Any]) -> Json:
    """The same people and window as a body of POST availability, with everything that is ignored."""
    shared = {name: value for name, value in body.items() if name in AvailabilitySerializer().fields}
    return {**shared, "include_ignored": True}


def inspect(account: Account, body: Json) -> Inspection:
    """Reads the calendars once, now: whoever looks wants Microsoft's word, and the ids of its calls.

    Raises what the API would answer with: ValidationError, or a Problem.
    """
    deadline = Deadline.after(settings.ANSWER_DEADLINE_SECONDS)
    data = validated(body)
    question = replace(Question.of(account, data), max_age_seconds=0)
    questions.slot_query(question, data)  # too much is refused before anybody is asked
    return Inspection(body, data, question, question.read(deadline, as_use=False))


def validated(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body of POST slots as the API understands it; raises ValidationError."""
    serializer = SlotsSerializer(data=body)
    serializer.is_valid(raise_exception=True)
    data: Mapping[str, Any] = serializer.validated_data
    return data


def read_now(account: Account, body: Mapping[str, Any]) -> tuple[Question, Reading]:
    """People, rooms and window of a body of POST availability, read once; raises what the API would answer with."""
    deadline = Deadline.after(settings.ANSWER_DEADLINE_SECONDS)
    serializer = AvailabilitySerializer(data=body)
    serializer.is_valid(raise_exception=True)
    question = replace(Question.of(account, serializer.validated_data), max_age_seconds=0)
    return question, question.read(deadline, as_use=False)
