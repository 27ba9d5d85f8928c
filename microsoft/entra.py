"""Signing in and refreshing at Microsoft Entra ID."""

from __future__ import annotations

from dataclasses import dataclass

from microsoft.secret import Secret


@dataclass(frozen=True, slots=True)
class ClientCredential:
    """Our app registration: the client id with either a secret or a PEM of private key and certificate."""

    client_id: str
    secret: Secret | None = None
    certificate_pem: Secret | None = None


@dataclass(frozen=True, slots=True)
class IdClaims:
    """Who signed in, from an id_token that passed our checks. A connection is keyed by tenant_id and oid."""

    tenant_id: str
    oid: str
    upn: str
    name: str
    issuer: str


@dataclass(frozen=True, slots=True)
class TokenSet:
    """What the token endpoint gave. `expires_in` in seconds from now; `scopes` as Microsoft spelled them.

    `claims` is None after a refresh. `refresh_token` is the new one, or the one used if Microsoft sent none.
    """

    access_token: Secret
    refresh_token: Secret
    expires_in: int
    scopes: tuple[str, ...]
    claims: IdClaims | None = None


@dataclass(frozen=True, slots=True)
class AuthFlow:
    """A begun sign-in: send the browser to `auth_uri`; keep `payload` encrypted on the server."""

    auth_uri: str
    state: str
    payload: Secret
