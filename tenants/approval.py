"""The administrator's approval without a sign-in: its link, and the way back from it, which proves nothing.

Microsoft's page leads back with neither code nor token, perhaps days later and in a stranger's browser, so the
link's state is signed rather than kept, may come back any number of times, and opens nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core import signing

from microsoft.admin_consent import admin_consent_url
from microsoft.reasons import reason
from tenants import audit, microsoft365
from tenants.consent import Result, Visitor, began, redirect_uri
from tenants.models import Account, ConsentAttempt
from tenants.refusals import refused_by_microsoft

log = logging.getLogger(__name__)

# The visitors who lack the right; nobody else is shown the link, since it returns no token.
NEEDED = frozenset({"approval_needed", "AADSTS90094", "AADSTS90095"})
LINK_LIFETIME = timedelta(days=30)  # a request to an IT department may wait
_SALT = "tenants.approval"
# A decline also comes back with `admin_consent=True`; these are its words and number.
_DECLINED = frozenset({"AADSTS65004", "access_denied", "consent_required", "declined"})


@dataclass(frozen=True, slots=True)
class Reported:
    """Somebody came back who says that Microsoft has the approval. `account`: only for a browser that knows it."""

    account: Account | None


def link(account: Account) -> str:
    """Where an administrator of the account's organisation approves the app for everybody."""
    return admin_consent_url(
        microsoft365.authority(account),
        client_id=settings.MICROSOFT_CLIENT_ID,
        scopes=[microsoft365.calendar_scope_uri(account)],
        redirect_uri=redirect_uri(),
        state=signing.dumps(account.pk, salt=_SALT),
    )


def arrive(query: Mapping[str, str], visitor: Visitor) -> Reported | Result | None:
    """None when this is no way back from an approval. Uses nobody's sign-in up, believes no word of the query."""
    state = query.get("state", "")
    account = _account(state)
    if account is None:
        if "admin_consent" not in query or ConsentAttempt.of_state(state).exists():
            return None
        log.warning("an approval came back with an unknown state")
        return Result(400, reason("approval_unknown"))
    known = account if began(account, visitor.browser) else None
    if "error" not in query:
        _write_down(account, "reported", visitor)
        return Reported(known)
    end = refused_by_microsoft(query)
    code = "approval_declined" if end.code in _DECLINED else end.code
    _write_down(account, code, visitor)
    return Result(end.status, reason(code), known)


def _account(state: str) -> Account | None:
    try:
        pk = signing.loads(state, salt=_SALT, max_age=LINK_LIFETIME)
    except signing.BadSignature:
        return None
    return Account.objects.filter(pk=pk).first()


def _write_down(account: Account, outcome: str, visitor: Visitor) -> None:
    audit.record(account, "admin_approval", outcome, actor="visitor from Microsoft", address=visitor.address)
