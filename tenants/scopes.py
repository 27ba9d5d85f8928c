"""Pure: comparing granted with asked scopes, whether Microsoft spells them short or as full URIs, in any case."""

from __future__ import annotations

from collections.abc import Iterable

# Prove themselves by an id_token and a refresh token; `email` and `User.Read` are still worth a flag.
_SIGN_IN = frozenset({"openid", "profile", "offline_access"})


def short_name(scope: str) -> str:
    """`https://graph.microsoft.com/Calendars.Read` → `calendars.read`."""
    return scope.rpartition("/")[2].lower()


def grants(granted: Iterable[str], wanted: str) -> bool:
    """Whether `wanted` is among the granted scopes."""
    return short_name(wanted) in {short_name(scope) for scope in granted}


def extra_scopes(granted: Iterable[str], wanted: str) -> list[str]:
    """What was granted although nobody asked for it."""
    asked = _SIGN_IN | {short_name(wanted)}
    return [scope for scope in granted if short_name(scope) not in asked]
