"""The address at which an administrator approves the app for everybody, without anybody signing in to it.

https://learn.microsoft.com/entra/identity-platform/v2-admin-consent. It leads back with neither code nor token.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

# Without them the people of the organisation would be asked for these, and may not agree, when they sign in.
_SIGN_IN_SCOPES = ("openid", "profile", "offline_access")


def admin_consent_url(authority: str, *, client_id: str, scopes: Sequence[str], redirect_uri: str, state: str) -> str:
    """`authority` is an origin; `scopes` of Graph are full URIs of the cloud's own Graph.

    The organisation is the one whose administrator signs in there.
    """
    query = {
        "client_id": client_id,
        "scope": " ".join((*scopes, *_SIGN_IN_SCOPES)),
        "redirect_uri": redirect_uri,
        "state": state,
    }
    return f"{authority.rstrip('/')}/organizations/v2.0/adminconsent?{urlencode(query, quote_via=quote)}"
