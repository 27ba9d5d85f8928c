"""The claims of an id_token: entra-docs id-token-claims-reference.md."""

from __future__ import annotations

from sandbox.people import Account
from sandbox.tokens import pairwise_subject
from sandbox.world import World

LIFETIME = 3600


def id_token_claims(world: World, account: Account, *, origin: str, nonce: str) -> dict[str, object]:
    """Return the claims for one sign-in, with whatever the options forge; `origin` is the authority's."""
    now, client_id = int(world.clock.now()), world.registration.client_id
    claims: dict[str, object] = {
        "aud": client_id,
        "iss": f"{origin}/{account.tenant.tid}/v2.0",
        "iat": now,
        "nbf": now,
        "exp": now + LIFETIME,
        "name": account.name,
        "oid": account.oid,
        "preferred_username": account.upn,
        "sub": pairwise_subject(account.oid, client_id),
        "tid": account.tenant.tid,
        "uti": "sandbox",
        "ver": "2.0",
    }
    if nonce:
        claims["nonce"] = nonce
    claims.update(world.options.id_token_claims)
    return {name: value for name, value in claims.items() if value is not None}
