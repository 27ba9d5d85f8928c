"""Microsoft Graph v1.0 as far as free/busy needs it: /me and getSchedule, with Graph's limits."""

from __future__ import annotations

import gzip
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from sandbox.clock import Clock
from sandbox.counters import Counters
from sandbox.directory import Directory
from sandbox.messages import Headers, Request, Response, json_response
from sandbox.options import Options
from sandbox.people import Account
from sandbox.schedules import Question, longest_window, schedule_information
from sandbox.scopes import READS_SCHEDULES
from sandbox.tokens import Grant, Mint
from sandbox.zones import find_zone

_CONTEXT = "https://graph.microsoft.com/v1.0/$metadata#Collection(microsoft.graph.scheduleInformation)"
_SCHEDULE = re.compile(
    r"^(?:me|users/(?P<user>[^/]+))/calendar/(?:microsoft\.graph\.)?getSchedule$", re.IGNORECASE
)
_PREFER = re.compile(r'outlook\.timezone\s*=\s*"?([^",;]+)"?', re.IGNORECASE)
_INTERVAL = (
    "The specified merged free/busy interval is not valid. Specify an interval that is less than the free/busy "
    "time window and between 5 and 1440 minutes."
)
_AUTHENTICATE = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    'client_id="00000003-0000-0000-c000-000000000000"'
)


class GraphError(Exception):
    """The whole request is answered with Graph's error body."""

    def __init__(self, status: int, code: str, message: str, headers: Headers = ()) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: the grant behind the token and its account."""

    grant: Grant
    account: Account


class Graph:
    """Answers `/v1.0/…`; None for other paths."""

    def __init__(
        self, *, directory: Directory, mint: Mint, options: Options, clock: Clock, counters: Counters
    ) -> None:
        self._directory, self._mint = directory, mint
        self._options, self._clock, self._counters = options, clock, counters
        self._expired: dict[str, float] = {}

    def expire_access_tokens(self, oid: str) -> None:
        """Refuse the access tokens issued to a user up to now, as after a revocation that Graph heard of."""
        self._expired[oid] = self._clock.now()

    def caller(self, request: Request) -> Caller | None:
        """Return who the bearer token belongs to, valid or not; None when there is none of ours."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self._mint.read_access(token.strip()) if scheme.lower() == "bearer" else None
        account = None if grant is None else self._directory.by_oid(grant.oid)
        return None if grant is None or account is None else Caller(grant=grant, account=account)

    def charged(self, request: Request) -> str:
        """Return the mailbox a getSchedule call is counted against, or an empty string for other calls."""
        match = _SCHEDULE.match(request.path.removeprefix("/v1.0/"))
        if match is None or not request.path.startswith("/v1.0/"):
            return ""
        caller = self.caller(request)
        return match["user"] or (caller.account.upn if caller else "")

    def answer(self, request: Request) -> Response | None:
        """Answer one request."""
        if not request.path.startswith("/v1.0/"):
            return None
        path = request.path.removeprefix("/v1.0/")
        try:
            caller = self._authorised(request)
            match = _SCHEDULE.match(path)
            if match and request.method == "POST":
                body = self._get_schedule(request, caller, match["user"])
            elif path == "me" and request.method == "GET":
                body = self._me(caller.account)
            else:
                raise GraphError(400, "BadRequest", "Resource not found for the segment.")
        except GraphError as error:
            return self.error(request, error)
        return self._finish(request, json_response(200, body))

    def throttled(self, request: Request) -> Response:
        """Return Graph's answer to one call too many at a time."""
        headers = (("Retry-After", self._options.retry_after),)
        message = "Application is over its MailboxConcurrency limit."
        return self.error(request, GraphError(429, "ApplicationThrottled", message, headers))

    def error(self, request: Request, error: GraphError) -> Response:
        """Return an error answer with Graph's body and headers."""
        inner = {
            "date": self._clock.moment().strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": str(uuid.uuid4()),
            "client-request-id": request.headers.get("client-request-id", ""),
        }
        body = {"error": {"code": error.code, "message": error.message, "innerError": inner}}
        return self._finish(request, json_response(error.status, body, error.headers))

    def _authorised(self, request: Request) -> Caller:
        headers = (("WWW-Authenticate", _AUTHENTICATE),)
        if not request.headers.get("authorization"):
            raise GraphError(401, "InvalidAuthenticationToken", "Access token is empty.", headers)
        caller = self.caller(request)
        if caller is None:
            raise GraphError(401, "InvalidAuthenticationToken", "IDX14100: JWT is not well formed.", headers)
        grant = caller.grant
        expired = self._clock.now() >= grant.expires or grant.issued <= self._expired.get(grant.oid, -1.0)
        if expired:
            self._counters.add("unauthorized", whose=caller.account.upn)
            message = "Access token has expired or is not yet valid."
            raise GraphError(401, "InvalidAuthenticationToken", message, headers)
        return caller

    def _me(self, account: Account) -> dict[str, object]:
        self._counters.add("me")
        return {
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users/$entity",
            "displayName": account.name,
            "mail": account.upn if account.mailbox else None,
            "userPrincipalName": account.upn,
            "id": account.oid,
        }

    def _get_schedule(self, request: Request, caller: Caller, user: str | None) -> dict[str, object]:
        self._counters.add("get_schedule", whose=caller.account.upn)
        if not READS_SCHEDULES.intersection(caller.grant.scopes) or caller.account.kind == "personal":
            raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        target = caller.account
        if user is not None:
            found = self._directory.find(user) or self._directory.by_oid(user)
            if found is None or found.tenant != caller.account.tenant:
                raise GraphError(404, "ResourceNotFound", "Resource could not be discovered.")
            target = found
        if target.mailbox is None:
            message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
            raise GraphError(404, "MailboxNotEnabledForRESTAPI", message)
        addresses, question = self._question(request)
        self._counters.add("mailboxes", by=len(addresses))
        value = [schedule_information(self._directory, target, address, question) for address in addresses]
        return {"@odata.context": _CONTEXT, "value": value}

    def _question(self, request: Request) -> tuple[list[str], Question]:
        """Check a getSchedule body by the limits of learn.microsoft.com/graph/api/calendar-getschedule."""
        fields = _fields(request.body)
        addresses = fields.get("schedules")
        if not isinstance(addresses, list) or not all(isinstance(a, str) for a in addresses) or not addresses:
            raise GraphError(400, "ErrorInvalidRequest", "The schedules property needs at least one address.")
        if len(addresses) > self._options.max_mailboxes:
            message = (
                "There are too many target users in the EmailAddress array. "
                f"The allowed size = {self._options.max_mailboxes}; the actual size = {len(addresses)}."
            )
            raise GraphError(400, "ErrorMailboxDataArrayTooBig", message)
        start, end = _moment(fields.get("starttime")), _moment(fields.get("endtime"))
        question = replace(
            _question_of(start, end, fields), floating_all_day=self._options.all_day == "floating"
        )
        preferred = _PREFER.search(request.headers.get("prefer", ""))
        if preferred is None:
            return addresses, question
        name = preferred[1].strip()
        return addresses, replace(question, zone=_zone(name), zone_name=name)

    def _finish(self, request: Request, response: Response) -> Response:
        request_id = str(uuid.uuid4())
        headers: Headers = (
            *response.headers,
            ("request-id", request_id),
            ("client-request-id", request.headers.get("client-request-id", request_id)),
            (
                "x-ms-ags-diagnostic",
                '{"ServerInfo":{"DataCenter":"Sandbox","Slice":"E","Ring":"0","ScaleUnit":"000"}}',
            ),
        )
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return replace(response, headers=headers)
        packed = gzip.compress(response.body, compresslevel=1, mtime=0)
        return replace(
            response,
            body=packed,
            headers=(*headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")),
        )


def _fields(body: bytes) -> Mapping[str, Any]:
    """Return the body's members by lower-case name: documentation and metadata differ in case, both work."""
    try:
        fields = json.loads(body)
    except ValueError as error:
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload.") from error
    if not isinstance(fields, dict):
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload.")
    return {name.lower(): value for name, value in fields.items()}


def _question_of(start: datetime, end: datetime, fields: Mapping[str, Any]) -> Question:
    window = end - start
    if window <= timedelta():
        message = "The time duration specified for FreeBusyViewOptions.TimeWindow is invalid."
        raise GraphError(400, "ErrorInvalidTimeInterval", message)
    if window >= longest_window():
        message = (
            "The requested time duration specified for FreeBusyViewOptions.TimeWindow is too long. "
            f"The allowed limit = 62 days; the actual limit = {window.days} days."
        )
        raise GraphError(400, "ErrorTimeIntervalTooBig", message)
    given = fields.get("availabilityviewinterval", 30)
    if given is None:  # microsoft-graph-docs issue 4494
        raise GraphError(500, "InternalServerError", "An internal server error occurred.")
    interval = _interval(given)
    if not 5 <= interval <= 1440 or timedelta(minutes=interval) > window:
        raise GraphError(400, "ErrorInvalidMergedFreeBusyInterval", _INTERVAL)
    return Question(start=start, end=end, interval=interval, zone=_zone("UTC"), zone_name="UTC")


def _interval(given: object) -> int:
    """Return the interval; the official sample gives it as a string."""
    if isinstance(given, str | int) and not isinstance(given, bool):
        try:
            return int(given)
        except ValueError:
            pass
    raise GraphError(400, "BadRequest", "Cannot convert the value of availabilityViewInterval to Edm.Int32.")


def _moment(value: object) -> datetime:
    """Return the instant of a dateTimeTimeZone; a trailing Z is taken beside any zone."""
    text = value.get("dateTime") if isinstance(value, dict) else None
    zone_name = value.get("timeZone", "UTC") if isinstance(value, dict) else None
    if not isinstance(text, str) or not isinstance(zone_name, str):
        raise GraphError(400, "BadRequest", "startTime and endTime need dateTime and timeZone.")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise GraphError(400, "BadRequest", "Cannot convert the literal to Edm.DateTime.") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=_zone(zone_name))).astimezone(UTC)


def _zone(name: str) -> tzinfo:
    zone = find_zone(name)
    if zone is None:
        message = f"A valid TimeZone value must be specified. The following TimeZone value is not supported: '{name}'."
        raise GraphError(400, "TimeZoneNotSupportedException", message)
    return zone
