"""Why a sign-in did not become a connection: what Microsoft's answers amount to, and how it is written down."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.conf import settings

from microsoft.entra import IdClaims, TokenSet
from microsoft.reasons import REASONS, Kind, from_token_error, reason
from tenants import audit
from tenants.models import Account
from tenants.scopes import grants

# https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference: personal accounts
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
VISITOR = "visitor of the consent page"


class Unfinished(Exception):
    """The flow ended without a connection; carries what the page and the audit entry need."""

    def __init__(self, code: str, status: int, **details: object) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.details = details


def refused_by_microsoft(query: Mapping[str, str]) -> Unfinished:
    """The visitor's words of an error are only looked up in our table, never shown or stored."""
    body = {"error": query.get("error", ""), "error_description": query.get("error_description", "")}
    code = from_token_error(body)
    if code not in REASONS and not code.startswith("AADSTS"):
        code = "unknown"
    status = 502 if reason(code).kind in (Kind.TRANSIENT, Kind.OUR_FAULT) else 200
    return Unfinished(code, status)


def acceptable_claims(tokens: TokenSet) -> IdClaims:
    """Who signed in; raises Unfinished for an account or a grant that cannot become a connection."""
    claims = tokens.claims
    if claims is None or not claims.upn:
        raise Unfinished("id_token_invalid", 502)
    if claims.tenant_id == PERSONAL_TENANT:
        raise Unfinished("personal_account", 200, actor=claims.upn)
    if not grants(tokens.scopes, settings.MICROSOFT_CALENDAR_SCOPE):
        raise Unfinished("scope_missing", 200, actor=claims.upn, granted=list(tokens.scopes))
    return claims


def write_down(
    account: Account, code: str, mode: str, *, address: str | None, details: Mapping[str, object] | None = None
) -> None:
    """One audit entry and one log line. Our own fault is an ERROR line: it hits every customer alike."""
    facts: dict[str, object] = {"mode": str(mode), **(details or {})}
    actor = str(facts.pop("actor", VISITOR))
    level = logging.INFO
    if reason(code).kind is Kind.OUR_FAULT:
        level, facts["our_fault"] = logging.ERROR, reason(code).support
    audit.record(account, "consent", code, actor=actor, address=address, level=level, **facts)
