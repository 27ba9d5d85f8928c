"""Microsoft Graph v1.0 as far as free/busy needs it: /me and getSchedule, with Graph's limits."""

from __future__ import annotations

import gzip
import re
import uuid
from dataclasses import dataclass, replace

from sandbox.claims import challenge
from sandbox.messages import Headers, Request, Response, json_response
from sandbox.people import Account
from sandbox.questions import GraphError, parse_question
from sandbox.schedules import schedule_information
from sandbox.scopes import READS_SCHEDULES
from sandbox.tokens import Grant
from sandbox.world import World

_CONTEXT = "https://graph.microsoft.com/v1.0/$metadata#Collection(microsoft.graph.scheduleInformation)"
_SCHEDULE = re.compile(r"^(?:me|users/(?P<user>[^/]+))/calendar/(?:microsoft\.graph\.)?getSchedule$", re.IGNORECASE)
_AUTHENTICATE = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    'client_id="00000003-0000-0000-c000-000000000000"'
)
# Several such headers may come (claims-challenge.md); a client has to find the one with claims.
_PLAIN_CHALLENGE = 'Bearer authorization_uri="https://login.windows.net/common/oauth2/authorize"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: the grant behind the token and its account."""

    grant: Grant
    account: Account


class Graph:
    """Answers `/v1.0/…`; None for other paths."""

    def __init__(self, world: World) -> None:
        self._directory, self._mint, self._grants = world.directory, world.mint, world.grants
        self._options, self._clock, self._counters = world.options, world.clock, world.counters
        self._conditions = world.conditions

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
        if match["user"]:
            account = self._named(match["user"])
            return account.upn if account else match["user"]
        return caller.account.upn if caller else ""

    def _named(self, user: str) -> Account | None:
        return self._directory.find(user) or self._directory.by_oid(user)

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
        return self.finished(request, body)

    def throttled(self, request: Request) -> Response:
        """Return Graph's answer to one call too many at a time."""
        headers = (("Retry-After", self._options.retry_after),)
        message = "Application is over its MailboxConcurrency limit."
        return self.error(request, GraphError(429, "ApplicationThrottled", message, headers))

    def exhausted(self, request: Request, wait: float) -> Response:
        """Return Graph's answer to one call too many in ten minutes; `wait` in seconds."""
        headers = (("Retry-After", f"{wait:.3f}"),)
        return self.error(request, GraphError(429, "TooManyRequests", "Please retry again later.", headers))

    def finished(self, request: Request, body: dict[str, object]) -> Response:
        """Return a good answer with Graph's headers."""
        return self._finish(request, json_response(200, body))

    def refusal(self, request: Request) -> Response | None:
        """Return the 401 for a request without a usable token, or None."""
        try:
            self._authorised(request)
        except GraphError as error:
            return self.error(request, error)
        return None

    def error(self, request: Request, error: GraphError) -> Response:
        """Return an error answer with Graph's body and headers."""
        inner = {
            "date": self._clock.moment().strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": str(uuid.uuid4()),
            "client-request-id": request.headers.get("client-request-id", ""),
        }
        if error.code == "TooManyRequests":  # the sample of concepts/throttling.md repeats itself inside
            inner = {"code": "429", "message": "Please retry after", "status": "429", **inner}
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
        early = grant.generation < self._grants.access_generation(grant.oid)
        if early or self._clock.now() >= grant.expires:
            self._counters.add("unauthorized", whose=caller.account.upn)
            message = "Access token has expired or is not yet valid."
            raise GraphError(401, "InvalidAuthenticationToken", message, headers)
        self._challenge(caller)
        return caller

    def _challenge(self, caller: Caller) -> None:
        """Continuous access evaluation: refuse until a token comes that was asked for with our claims."""
        condition, grant = self._conditions.of(caller.account, "cae"), caller.grant
        if condition is None or not (grant.cp1 or self._options.cae_for_all):
            return
        if condition.value == "cures" and grant.nbf >= int(condition.since):
            return
        self._counters.add("claims_challenge", whose=caller.account.upn)
        message = "Continuous access evaluation resulted in challenge with result: InteractionRequired."
        headers = (("WWW-Authenticate", challenge(condition.since)), ("WWW-Authenticate", _PLAIN_CHALLENGE))
        raise GraphError(401, "InvalidAuthenticationToken", message, headers)

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
            found = self._named(user)
            if found is None or found.tenant != caller.account.tenant:
                raise GraphError(404, "ResourceNotFound", "Resource could not be discovered.")
            target = found
        if target.mailbox is None:
            message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
            raise GraphError(404, "MailboxNotEnabledForRESTAPI", message)
        addresses, question = parse_question(request, self._options)
        self._counters.add("mailboxes", by=len(addresses))
        value = [schedule_information(self._directory, target, address, question) for address in addresses]
        return {"@odata.context": _CONTEXT, "value": value}

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
