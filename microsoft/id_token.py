"""Pure: what an id_token must say before we believe who signed in.

It comes straight from the token endpoint over TLS, so its signature need not be checked
(https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation, 6). MSAL checks the nonce and, since
1.38, nothing else (https://github.com/AzureAD/microsoft-authentication-library-for-python/issues/911).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from microsoft.errors import Refused

LEEWAY_SECONDS = 120
_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class IdClaims:
    """Who signed in, from an id_token that passed our checks. A connection is keyed by tenant_id and oid.

    `tenant_id` is in lower case. `upn` and `name` are for display and may be "".
    """

    tenant_id: str
    oid: str
    upn: str
    name: str
    issuer: str


def decode_claims(id_token: object) -> dict[str, object]:
    """The payload of a JWT, unchecked. Raises Refused when it is none."""
    try:
        if not isinstance(id_token, str):
            raise ValueError("not a text")
        _, payload, _ = id_token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if not isinstance(claims, dict):
            raise ValueError("not an object")
    except (ValueError, RecursionError):
        raise _invalid("form") from None
    return claims


def check_claims(
    claims: Mapping[str, object], *, client_id: str, nonce: str, issuer_template: str, now: float
) -> IdClaims:
    """Who signed in; raises Refused(`id_token_invalid`) naming the claim that does not fit.

    `nonce` is the one kept on the server; on the wire goes its SHA-256 (MSAL's way). `issuer_template` is the
    discovery document's issuer, in which `{tenantid}` stands for the tenant. `now`: seconds since the epoch.
    """
    if claims.get("aud") != client_id:
        raise _invalid("aud")
    tenant_id, oid = _text(claims, "tid"), _text(claims, "oid")
    if not _GUID.fullmatch(tenant_id.lower()):
        raise _invalid("tid")
    if not oid:
        raise _invalid("oid")
    issuer = _text(claims, "iss")
    if not issuer or issuer != issuer_template.replace("{tenantid}", tenant_id):
        raise _invalid("iss")
    expires, not_before = _moment(claims, "exp"), _moment(claims, "nbf")
    if expires is None or expires <= now - LEEWAY_SECONDS:
        raise _invalid("exp")
    if "nbf" in claims and (not_before is None or not_before > now + LEEWAY_SECONDS):
        raise _invalid("nbf")
    if not hmac.compare_digest(_text(claims, "nonce").encode(), hashlib.sha256(nonce.encode()).hexdigest().encode()):
        raise _invalid("nonce")
    return IdClaims(
        tenant_id=tenant_id.lower(),
        oid=oid,
        upn=_text(claims, "preferred_username") or _text(claims, "upn"),
        name=_text(claims, "name"),
        issuer=issuer,
    )


def _invalid(claim: str) -> Refused:
    return Refused("id_token_invalid", f"{claim} does not fit")


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _moment(claims: Mapping[str, object], name: str) -> float | None:
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
