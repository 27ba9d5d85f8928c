"""The delegated permissions the sandbox knows, in Microsoft's words."""

from __future__ import annotations

from collections.abc import Iterable

GRAPH = "https://graph.microsoft.com/"
OPENID = ("openid", "profile", "email", "offline_access")
CONSENT_TEXTS = {
    "offline_access": "Maintain access to data you have given it access to",
    "openid": "Sign you in and read your profile",
    "profile": "Sign you in and read your profile",
    "User.Read": "Sign you in and read your profile",
    "email": "View your email address",
    "Calendars.ReadBasic": "Read basic details of your calendars",
    "Calendars.Read": "Read your calendars",
    "Calendars.Read.Shared": "Read calendars you can access",
    "Calendars.ReadWrite": "Have full access to your calendars",
    "Mail.Read": "Read your mail",
}
# Calendars.Read.Shared is not in the table of getSchedule's permissions, so it is not enough here.
READS_SCHEDULES = frozenset({"Calendars.ReadBasic", "Calendars.Read", "Calendars.ReadWrite"})
_KNOWN = {name.casefold(): name for name in CONSENT_TEXTS}


class UnknownScopeError(ValueError):
    """A scope that Graph does not offer."""


def parse_scopes(text: str) -> tuple[str, ...]:
    """Return short names in the documentation's spelling, in order; UnknownScopeError for any other."""
    found: dict[str, None] = {}
    for word in text.split():
        short = word[len(GRAPH) :] if word.casefold().startswith(GRAPH) else word
        known = _KNOWN.get(short.casefold())
        if known is None:
            raise UnknownScopeError(word)
        found[known] = None
    return tuple(found)


def wire_scopes(names: Iterable[str], form: str) -> str:
    """Return scopes as the token answer shows them: URIs or short names; offline_access is never shown."""
    shown = (name for name in names if name != "offline_access")
    return " ".join(name if name in OPENID or form == "short" else GRAPH + name for name in shown)
