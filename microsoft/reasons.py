"""Pure: every failure code → what it means, who acts and what to click. Unknown codes get generic words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from microsoft.reason import Actor, Kind, Reason
from microsoft.reasons_entra import ENTRA_REASONS
from microsoft.reasons_graph import GRAPH_REASONS
from microsoft.reasons_own import OWN_REASONS

__all__ = ["REASONS", "Actor", "Kind", "Reason", "aadsts_codes", "from_token_error", "reason"]

REASONS: dict[str, Reason] = {row.code: row for row in (*ENTRA_REASONS, *GRAPH_REASONS, *OWN_REASONS)}

_UNKNOWN = Reason(
    code="unknown",
    kind=Kind.UNKNOWN,
    actor=Actor.CADENCE,
    title="Microsoft refused for a reason we do not know yet",
    cause="Microsoft answered with a code that is not in our table.",
    what_to_do="Nothing needs to be changed on your side now. Please tell Cadence support this code.",
    support="Look the code up at https://login.microsoftonline.com/error?code=… (digits only) or in "
    "Microsoft's Graph error pages, and have it added to the table of reasons.",
)

# Says only "the credentials did not pass"; the number beside it is the telling one.
_VAGUE = frozenset({"AADSTS70002", "AADSTS50000"})
_AADSTS = re.compile(r"AADSTS(\d{4,9})")
_PLAIN_WORD = re.compile(r"[a-z][a-z_]{0,39}")


def reason(code: str) -> Reason:
    """The row of this code; a code without a row keeps its name under generic words."""
    return REASONS.get(code) or replace(_UNKNOWN, code=code or "unknown")


def aadsts_codes(text: str) -> list[str]:
    """The `AADSTSnnnnn` codes in a text, in order, each once."""
    return list(dict.fromkeys(f"AADSTS{digits}" for digits in _AADSTS.findall(text)))


def from_token_error(body: Mapping[str, object]) -> str:
    """An OAuth error `{error, suberror?, error_codes?, error_description?}` → its code, e.g. "AADSTS50173".

    Branches on `error` and `suberror` and lets the numbers refine only within what those allow: Microsoft
    warns that numbers and texts may change. https://learn.microsoft.com/entra/identity-platform/reference-error-codes
    """
    error = body.get("error")
    error = error if isinstance(error, str) else ""
    if body.get("suberror") == "consent_required":
        error = "consent_required"
    number = _telling_number(body)
    allowed = _ALLOWED_KINDS.get(error)
    if number and number in REASONS and (allowed is None or REASONS[number].kind in allowed):
        return number
    if error in REASONS:
        return error
    return number or (error if _PLAIN_WORD.fullmatch(error) else "unknown")


# Which kinds a number may turn the OAuth word into. A word that is not listed leaves it to the number.
_ALLOWED_KINDS: dict[str, frozenset[Kind]] = {
    # Our secret or certificate was refused. Whatever the number, no tenant is to blame for it.
    "invalid_client": frozenset({Kind.OUR_FAULT, Kind.TRANSIENT}),
    "temporarily_unavailable": frozenset({Kind.TRANSIENT}),
    "server_error": frozenset({Kind.TRANSIENT}),
    "consent_required": frozenset({Kind.NEEDS_CONSENT, Kind.NEEDS_CUSTOMER_ADMIN}),
    "interaction_required": frozenset({Kind.NEEDS_CONSENT, Kind.NEEDS_CUSTOMER_ADMIN}),
    "login_required": frozenset({Kind.NEEDS_CONSENT, Kind.NEEDS_CUSTOMER_ADMIN}),
}


def _telling_number(body: Mapping[str, object]) -> str:
    numbers = body.get("error_codes")
    codes = [f"AADSTS{n}" for n in numbers if isinstance(n, int)] if isinstance(numbers, list) else []
    if not codes:
        codes = aadsts_codes(str(body.get("error_description") or ""))
    # Known and precise first; the order of Microsoft's own list decides among equals.
    return min(codes, key=lambda code: (code not in REASONS, code in _VAGUE), default="")
