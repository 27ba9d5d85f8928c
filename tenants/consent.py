"""The consent flow: an account's page → Microsoft → back → a real read → an enabled connection."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from microsoft.entra import IdClaims, TokenSet
from microsoft.errors import IntegrationError
from microsoft.http import Deadline
from microsoft.reasons import Reason, reason
from tenants import audit, breakers, microsoft365, vault
from tenants.lifecycle import Event, State, after
from tenants.models import Account, Connection, ConsentAttempt, Mode, fingerprint
from tenants.recording import CheckResult, record_check
from tenants.refusals import VISITOR, Unfinished, acceptable_claims, refused_by_microsoft, write_down
from tenants.scopes import extra_scopes
from tenants.signals import connection_established, connection_proven
from tenants.simulation import installation_is_simulated
from tenants.verification import Proof, verify

log = logging.getLogger(__name__)

ATTEMPT_LIFETIME = timedelta(minutes=10)
# The administrator is to see the tick "on behalf of your organisation"; a service account is to be chosen.
PROMPTS = {Mode.ADMIN: "consent", Mode.SERVICE_ACCOUNT: "select_account"}


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the browser, and the value of the cookie that ties the way back to it."""

    auth_uri: str
    browser: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """What a request says about who sent it."""

    browser: str
    address: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """How a way back ended: the HTTP status of its page, why (None when connected), and for whom."""

    status: int
    reason: Reason | None
    account: Account | None = None
    connection: Connection | None = None
    proof: Proof | None = None


def redirect_uri() -> str:
    """The one address registered at Microsoft."""
    return f"{settings.PUBLIC_URL}{reverse('connect-callback')}"


def begin(account: Account, mode: Mode, visitor: Visitor, deadline: Deadline) -> Begun:
    """Starts an attempt of this browser; raises IntegrationError when Microsoft or our registration is not usable."""
    state = secrets.token_urlsafe(32)
    try:
        flow = microsoft365.entra_for(account).begin(
            scopes=microsoft365.calendar_scopes(account),
            redirect_uri=redirect_uri(),
            state=state,
            prompt=PROMPTS[mode],
            deadline=deadline,
        )
    except IntegrationError as error:
        write_down(account, error.code, mode, address=visitor.address)
        raise
    browser = visitor.browser or secrets.token_urlsafe(32)
    now = timezone.now()
    ConsentAttempt.objects.create(
        account=account,
        mode=mode,
        state_hash=fingerprint(state),
        browser_hash=fingerprint(browser),
        flow=flow.payload,
        created_at=now,
        expires_at=now + ATTEMPT_LIFETIME,
    )
    audit.record(account, "consent_begun", mode, actor=VISITOR, address=visitor.address)
    return Begun(flow.auth_uri, browser)


def complete(query: Mapping[str, str], visitor: Visitor, deadline: Deadline) -> Result:
    """The way back. Only `state`, `code` and `error` of the query are used; nothing in it is believed."""
    # Deferred: a flow that no key opens is our failure at the exchange, not at the door.
    attempts = ConsentAttempt.of_state(query.get("state", ""))
    attempt = attempts.select_related("account").defer("flow").first()
    if attempt is None:  # not audited: it is no account's, and anybody can send as many as they like
        log.warning("consent came back with an unknown state")
        return Result(400, reason("state_unknown"))
    try:
        _use_up(attempt, visitor.browser)
        return _connect(attempt, query, visitor, deadline)
    except Unfinished as end:
        write_down(attempt.account, end.code, attempt.mode, address=visitor.address, details=end.details)
        # A stranger learns neither the account's name nor its consent link.
        return Result(end.status, reason(end.code), None if end.code == "other_browser" else attempt.account)


def _use_up(attempt: ConsentAttempt, browser: str) -> None:
    """By whatever visit of the browser that began it; another browser's leaves the attempt as it is."""
    if not browser or not secrets.compare_digest(attempt.browser_hash, fingerprint(browser)):
        raise Unfinished("other_browser", 400)
    now = timezone.now()
    if not ConsentAttempt.objects.filter(pk=attempt.pk, used_at=None).update(used_at=now):
        raise Unfinished("state_used", 400)
    if attempt.expires_at <= now:
        raise Unfinished("state_expired", 400)


def began(account: Account, browser: str) -> bool:
    """Whether this browser has lately set out from the account's consent page, and so knows its link."""
    return bool(browser) and account.consent_attempts.filter(browser_hash=fingerprint(browser)).exists()


def _connect(attempt: ConsentAttempt, query: Mapping[str, str], visitor: Visitor, deadline: Deadline) -> Result:
    account = attempt.account
    if "error" in query:
        raise refused_by_microsoft(query)
    if not query.get("code"):
        raise Unfinished("code_missing", 400)
    try:
        tokens = microsoft365.entra_for(account).redeem(attempt.flow, query, deadline)
    except IntegrationError as error:
        raise Unfinished(error.code, 502, microsoft_request_id=error.request_id) from None
    claims = acceptable_claims(tokens)
    connection, _ = Connection.objects.get_or_create(account=account)
    _check_tenant(connection, claims)
    _move(connection, Event.VERIFICATION_BEGUN)
    try:
        proof = verify(account, claims, tokens, deadline)
    except IntegrationError as error:
        _move(connection, Event.VERIFICATION_FAILED)
        raise Unfinished(
            error.code, 502, actor=claims.upn, detail=error.detail, microsoft_request_id=error.request_id
        ) from None
    for service in (microsoft365.entra_service(account), microsoft365.graph_service(account)):
        breakers.report(service, claims.tenant_id, None)  # a person waits: never held up by a breaker, yet good news
    connection = _enable(attempt, claims, tokens, proof, visitor)
    return Result(200, None, account, connection, proof)


def _check_tenant(connection: Connection, claims: IdClaims) -> None:
    """An account stays with its Entra tenant until a superuser allows exactly the new one."""
    if connection.tenant_id in ("", claims.tenant_id) or connection.allowed_tenant_id == claims.tenant_id:
        return
    Connection.objects.filter(pk=connection.pk).update(refused_tenant_id=claims.tenant_id)
    raise Unfinished("other_tenant", 200, actor=claims.upn, tenant_id=claims.tenant_id)


def _move(connection: Connection, event: Event) -> None:
    """Follows the transition for whatever state the row is in now."""
    with transaction.atomic():
        row = Connection.objects.select_for_update().get(pk=connection.pk)
        state = after(State(row.state), event)
        if state != row.state:
            row.state, row.state_changed_at = state.value, timezone.now()
            row.save(update_fields=["state", "state_changed_at"])


def _enable(attempt: ConsentAttempt, claims: IdClaims, tokens: TokenSet, proof: Proof, visitor: Visitor) -> Connection:
    """Tokens, row, check and audit entry in one transaction; ids, settings, keys and history stay as they were."""
    now = timezone.now()
    account = attempt.account
    with transaction.atomic():
        connection = Connection.objects.select_for_update().select_related("account").get(account=account)
        _check_tenant(connection, claims)
        state_before = State(connection.state)
        _write_connection(connection, attempt, claims, tokens, now)
        vault.store(connection, tokens, now)
        record_check(connection, CheckResult.of_proof(proof), now, state_before=state_before)
        audit.record(
            account,
            "consent",
            "enabled",
            actor=claims.upn,
            address=visitor.address,
            mode=attempt.mode,
            tenant_id=claims.tenant_id,
            scopes=connection.scopes,
            extra_scopes=connection.extra_scopes,
            microsoft_request_id=proof.request_id,
        )
        connection_proven.send(Connection, connection_id=connection.pk, proof=proof)
        transaction.on_commit(lambda: connection_established.send(Connection, connection_id=connection.pk))
    return connection


def _write_connection(
    connection: Connection, attempt: ConsentAttempt, claims: IdClaims, tokens: TokenSet, now: datetime
) -> None:
    state = after(State(connection.state), Event.VERIFIED)
    if connection.state != state:
        connection.state_changed_at = now
    connection.state = state.value
    connection.mode = attempt.mode
    connection.tenant_id = claims.tenant_id
    connection.reader_oid = claims.oid
    connection.reader = claims.upn
    connection.scopes = list(tokens.scopes)
    connection.extra_scopes = extra_scopes(tokens.scopes, settings.MICROSOFT_CALENDAR_SCOPE)
    connection.connected_at = now
    connection.reason_code, connection.reason_at = "", None
    connection.simulated = installation_is_simulated()
    connection.refused_tenant_id = connection.allowed_tenant_id = ""
    connection.save()
