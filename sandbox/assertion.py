"""Client assertions: a JWT signed by the app's registered certificate instead of a secret."""

from __future__ import annotations

import hashlib

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from sandbox.options import Registration


def assertion_is_good(assertion: str, *, registration: Registration, audience: str, now: float) -> bool:
    """Return whether the assertion is signed by a registered certificate, for this endpoint, and current.

    `audience` is the token endpoint's URL; entra-docs certificate-credentials.md names the claims. Expiry is
    judged by the sandbox's clock.
    """
    try:
        header = jwt.get_unverified_header(assertion)
        for pem in registration.certificates:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            # MSAL pads the thumbprint, RFC 7515 does not.
            if str(header.get("x5t#S256", "")).rstrip("=") in {"", _thumbprint(certificate)}:
                return _signed_by(certificate, assertion, registration.client_id, audience, now)
    except jwt.InvalidTokenError:
        return False
    return False


def _signed_by(certificate: x509.Certificate, assertion: str, client_id: str, audience: str, now: float) -> bool:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    claims = jwt.decode(
        assertion,
        key,
        algorithms=["PS256", "RS256"],
        audience=audience,
        issuer=client_id,
        subject=client_id,
        options={
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
            "require": ["exp", "sub", "jti"],
        },
    )
    return float(claims["exp"]) > now


def _thumbprint(certificate: x509.Certificate) -> str:
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    return jwt.utils.base64url_encode(digest).decode()
