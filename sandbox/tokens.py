"""Tokens: opaque to clients, self-contained for the sandbox, recognisable to tests that hunt for leaks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

ACCESS_PREFIX = "SBXAT-"
REFRESH_PREFIX = "SBXRT-"
CODE_PREFIX = "SBXCODE-"
# Real tokens are of about this size; columns, headers and encryption should meet it.
_ACCESS_BYTES, _REFRESH_BYTES = 700, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token stands for; times in seconds. Tokens issued by older versions lack the later members."""

    oid: str
    tid: str
    client_id: str
    scopes: tuple[str, ...]
    issued: float
    expires: float
    generation: int = 0
    id: str = ""
    auth_time: float = 0.0  # of the sign-in behind it
    mfa: bool = False  # that sign-in proved more than a password
    cp1: bool = False  # the client said that it understands claims challenges
    nbf: float = 0.0  # the claims it was asked for with


class Mint:
    """Issues and reads signed tokens."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def access(self, grant: Grant) -> str:
        """Return an access token."""
        return self._issue(ACCESS_PREFIX, grant, _ACCESS_BYTES)

    def refresh(self, grant: Grant) -> str:
        """Return a refresh token."""
        return self._issue(REFRESH_PREFIX, grant, _REFRESH_BYTES)

    def read_access(self, token: str) -> Grant | None:
        """Return what an access token stands for; None when it is not ours."""
        return self._read(ACCESS_PREFIX, token)

    def read_refresh(self, token: str) -> Grant | None:
        """Return what a refresh token stands for; None when it is not ours."""
        return self._read(REFRESH_PREFIX, token)

    def _issue(self, prefix: str, grant: Grant, padding: int) -> str:
        payload = {
            **asdict(grant),
            "id": secrets.token_urlsafe(12),
            "padding": secrets.token_urlsafe(padding),
        }
        body = prefix + _encode(json.dumps(payload).encode())
        return f"{body}.{_encode(self._sign(body))}"

    def _read(self, prefix: str, token: str) -> Grant | None:
        body, _, signature = token.rpartition(".")
        if not body.startswith(prefix) or not token.isascii():
            return None
        if not hmac.compare_digest(_encode(self._sign(body)), signature):
            return None
        fields: dict[str, Any] = json.loads(_decode(body[len(prefix) :]))
        fields.pop("padding")
        return Grant(**{**fields, "scopes": tuple(fields["scopes"])})

    def _sign(self, body: str) -> bytes:
        return hmac.digest(self._secret, body.encode(), "sha256")


def client_info(oid: str, tid: str) -> str:
    """Return the client_info member from which MSAL builds the account's id."""
    return _encode(json.dumps({"uid": oid, "utid": tid}).encode())


def pairwise_subject(oid: str, client_id: str) -> str:
    """Return the `sub` claim, different for each app."""
    return _encode(hashlib.sha256(f"{oid}/{client_id}".encode()).digest())


def challenge_of(verifier: str) -> str:
    """Return the S256 code challenge of a verifier (RFC 7636)."""
    return _encode(hashlib.sha256(verifier.encode()).digest())


def sign_id_token(claims: dict[str, object]) -> str:
    """Return the claims as an RS256 JWT under the process's key."""
    return jwt.encode(claims, _signing_key(), algorithm="RS256", headers={"kid": "sandbox"})


def public_keys() -> dict[str, Any]:
    """Return the JWKS document with the public key of id_tokens."""
    key = jwt.algorithms.RSAAlgorithm.to_jwk(_signing_key().public_key(), as_dict=True)
    return {"keys": [{**key, "kid": "sandbox", "use": "sig"}]}


@lru_cache(maxsize=1)
def _signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
