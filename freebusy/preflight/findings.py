"""Pure: what became of an address, in words: the result, its cause, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from microsoft.reasons import REASONS, reason

READABLE = "readable"
INVALID = "invalid"
FOREIGN_DOMAIN = "foreign_domain"
UNASKED = "unasked"  # a run that ended before this address's turn, or was interrupted again and again at it


@dataclass(frozen=True, slots=True)
class Finding:
    """`tone`: good, warn (may pass by itself), bad or calm, as the admin's badges are called. `support`: for us."""

    result: str
    tone: str
    cause: str = ""
    fix: str = ""
    support: str = ""


_OWN = {
    READABLE: Finding("readable", "good"),
    INVALID: Finding(
        "no address",
        "bad",
        "The text has not the form of an e-mail address.",
        "Correct it and check again.",
        "Microsoft was not asked.",
    ),
    FOREIGN_DOMAIN: Finding(
        "foreign domain",
        "calm",
        "The domain is none of the account's: such a person is external, is never asked of Microsoft and never "
        "blocks a time.",
        "If the organisation owns the domain, have Cadence support add it to the account.",
        "Domains are matched exactly, without subdomains. Edit the account's domains.",
    ),
    UNASKED: Finding(
        "not asked",
        "calm",
        "The run ended before this address was asked.",
        "Check it again.",
        "If a run was interrupted here, the worker's log says by what.",
    ),
}
_RESULTS = {
    "not_found": ("not found", "bad"),
    "too_many_entries": ("too many entries", "bad"),
    "no_access": ("no rights", "bad"),
    "not_on_exchange_online": ("not on Exchange Online", "bad"),
    "no_data": ("no data", "warn"),
    "timeout": ("timed out", "warn"),
    "throttled": ("throttled", "warn"),
    "unavailable": ("not reachable now", "warn"),
    "other": ("not readable", "bad"),
}


def finding(code: str, raw: str = "") -> Finding:
    """The words for a code of an address, refined by Microsoft's own where our table knows that one."""
    code = code or UNASKED
    if code in _OWN:
        return _OWN[code]
    result, tone = _RESULTS.get(code, _RESULTS["other"])
    row = REASONS[raw] if raw in REASONS else reason(code)
    return Finding(result, tone, row.cause, row.what_to_do, row.support)


def order(code: str) -> int:
    """What needs somebody comes first, what is well last."""
    tones = ("bad", "warn", "calm", "good")
    return tones.index(finding(code).tone)
