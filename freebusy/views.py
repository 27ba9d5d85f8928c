"""API v1: validate, call, render."""

from __future__ import annotations

import logging
from typing import Any, cast

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.common import no_append_slash
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from freebusy import decisions, kept, questions
from freebusy import documentation as docs
from freebusy.problems import Problem
from freebusy.questions import Question
from freebusy.serializers import AvailabilitySerializer, RosterSerializer, SlotsSerializer
from microsoft.http import Deadline
from microsoft.reasons import reason
from tenants.authentication import as_it_is_now
from tenants.models import Account, ApiKey, Connection
from tenants.simulation import is_simulated
from tenants.standing import shown_health, why_bad

log = logging.getLogger(__name__)

_QUESTION = (
    *("slug", "domains", "time_zone", "cloud", "policy", "consent_key"),
    *(f"connection__{name}" for name in ("account", "state", "tenant_id", "reader_oid", "reader")),
    *(f"connection__{name}" for name in ("connected_at", "last_used_at")),
    *(f"connection__token__{name}" for name in ("connection", "access_token", "access_expires_at")),
)

# One of each for all requests: validating changes nothing in them, and making one copies every field.
_AVAILABILITY = AvailabilitySerializer()
_SLOTS = SlotsSerializer()
_ROSTER = RosterSerializer()


@method_decorator(no_append_slash, name="dispatch")  # a redirect would lose the body of a POST
class AccountView(APIView):
    """A view on one of the key's accounts; what it says is of this moment, so nobody may keep it."""

    http_method_names = ["get", "head", "post"]  # no OPTIONS: the methods are in the OpenAPI document

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Cache-Control"] = "no-store"
        return answer

    def columns(self, rows: QuerySet[Account]) -> QuerySet[Account]:
        """What the query brings: for questions to calendars, all that a warm one needs, which is a third of it all."""
        return rows.only(*_QUESTION)

    def account(self, slug: str) -> Account:
        """The account with its connection and token in one query; 404 when the key may not see it."""
        key = cast(ApiKey, self.request.user)

        def seen_by(key: ApiKey) -> Account | None:
            rows = key.visible_accounts().select_related("connection", "connection__token")
            return self.columns(rows).filter(slug=slug).order_by().first()

        account = seen_by(key) or seen_by(as_it_is_now(key))
        if account is None:
            raise NotFound("There is no such account for this key.")
        return account


class ConnectionView(AccountView):
    """How an account is connected, and whether it works."""

    def columns(self, rows: QuerySet[Account]) -> QuerySet[Account]:
        return rows.defer("connection__token__refresh_token", "connection__token__access_token")

    @docs.connection
    def get(self, request: Request, slug: str) -> Response:
        return Response(connection_json(self.account(slug)))


class QuestionView(AccountView):
    """A question to calendars; what its answer was decided from is kept for a while."""

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Problem):
            kept.note_refusal(self.kwargs["slug"], exc)
        return super().handle_exception(exc)


class AvailabilityView(QuestionView):
    """Conflicts of people and rooms."""

    @docs.availability
    def post(self, request: Request, slug: str) -> Response:
        deadline = Deadline.after(settings.ANSWER_DEADLINE_SECONDS)
        account = self.account(slug)
        data = _AVAILABILITY.run_validation(request.data)
        question = Question.of(account, data)
        reading = question.read(deadline)
        answer = questions.availability_of(question, reading, include_ignored=data["include_ignored"])
        decided = decisions.of_availability(question, answer)
        log.info("availability answered", extra=decided)
        kept.note("availability", question, cast(dict[str, Any], request.data), reading, decided)
        return Response(answer)


class SlotsView(QuestionView):
    """Times that work."""

    @docs.slots
    def post(self, request: Request, slug: str) -> Response:
        deadline = Deadline.after(settings.ANSWER_DEADLINE_SECONDS)
        account = self.account(slug)
        data = _SLOTS.run_validation(request.data)
        question = Question.of(account, data)
        query = questions.slot_query(question, data)  # too much is refused before anybody is asked
        reading = question.read(deadline)
        answer = questions.slots_of(question, query, data, reading)
        decided = decisions.of_slots(question, data, answer)
        log.info("slots answered", extra=decided)
        kept.note("slots", question, cast(dict[str, Any], request.data), reading, decided)
        return Response(answer)


class RosterView(AccountView):
    """Reading ahead."""

    @docs.roster
    def post(self, request: Request, slug: str) -> Response:
        deadline = Deadline.after(settings.ANSWER_DEADLINE_SECONDS)
        account = self.account(slug)
        answer = questions.roster(account, _ROSTER.run_validation(request.data), deadline)
        log.info("roster refreshed", extra=decisions.of_roster(answer))
        return Response(answer)


def connection_json(account: Account) -> dict[str, Any]:
    """The connection as the API shows it; an account that never connected is `pending`."""
    connection: Connection = getattr(account, "connection", None) or Connection(account=account)
    token = getattr(connection, "token", None) if connection.pk else None
    return {
        "account": account.slug,
        "state": connection.state,
        "enabled": connection.enabled,
        "mode": connection.mode or None,
        "tenant_id": connection.tenant_id or None,
        "reader": connection.reader or None,
        "scopes": connection.scopes,
        "extra_scopes": connection.extra_scopes,
        "connected_at": connection.connected_at,
        "health": shown_health(connection, timezone.now()).value,
        "reason": _reason_json(connection),
        "last_check": _last_check_json(connection),
        "token": token and {"refreshed_at": token.refreshed_at, "expires_at": token.access_expires_at},
        "consent_url": account.consent_url,
        "simulated": is_simulated(connection),
    }


def _reason_json(connection: Connection) -> dict[str, str] | None:
    """Why the connection does not work, from the one table of reasons."""
    code = why_bad(connection)
    if not code:
        return None
    row = reason(code)
    return {"code": row.code, "title": row.title, "what_to_do": row.what_to_do}


def _last_check_json(connection: Connection) -> dict[str, Any] | None:
    if connection.last_check_at is None:
        return None
    return {
        "at": connection.last_check_at,
        "outcome": connection.last_check_outcome,
        "latency_ms": connection.last_check_latency_ms,
        "code": connection.last_check_code or None,
    }
