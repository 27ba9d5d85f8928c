"""Client assertions: which are believed."""

from __future__ import annotations

import datetime as dt
import hashlib

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from sandbox.assertion import assertion_is_good
from sandbox.options import CLIENT_ID, Registration

HERE = "https://login.sandbox.test/organizations/oauth2/v2.0/token"
NOW = 1_800_000_000


def make():
    """A private key, its certificate as PEM, and the certificate's thumbprint."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + dt.timedelta(days=999))
    certificate = builder.sign(key, hashes.SHA256())
    digest = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return key, pem, jwt.utils.base64url_encode(digest).decode()


@pytest.fixture(scope="module")
def ours():
    return make()


@pytest.fixture(scope="module")
def strangers():
    return make()


def judged(key, thumbprint, certificates, *, algorithm="PS256", **changed):
    claims = {"aud": HERE, "iss": CLIENT_ID, "sub": CLIENT_ID, "exp": NOW + 600, "jti": "1", **changed}
    headers = {"x5t#S256": thumbprint} if thumbprint else {}
    given = {name: value for name, value in claims.items() if value is not None}
    assertion = jwt.encode(given, key, algorithm=algorithm, headers=headers)
    registration = Registration(certificates=tuple(certificates))
    return assertion_is_good(assertion, registration=registration, audience=HERE, now=NOW)


@pytest.mark.parametrize("algorithm", ["PS256", "RS256"])
def test_an_assertion_of_the_registered_certificate_is_believed(ours, algorithm):
    key, pem, thumbprint = ours
    assert judged(key, thumbprint, [pem], algorithm=algorithm)
    assert judged(key, thumbprint + "=", [pem])
    assert judged(key, "", [pem])


def test_the_thumbprint_says_which_of_several_certificates_signed(ours, strangers):
    key, pem, thumbprint = ours
    assert judged(key, thumbprint, [strangers[1], pem])


def test_the_registered_thumbprint_does_not_make_up_for_another_key(ours, strangers):
    assert not judged(strangers[0], ours[2], [ours[1]])
    assert not judged(strangers[0], strangers[2], [ours[1]])
    assert not judged(ours[0], ours[2], [])


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://elsewhere.test/token"},
        {"iss": "another"},
        {"sub": "another"},
        {"exp": NOW},
        {"exp": None},
        {"jti": None},
    ],
)
def test_an_assertion_with_other_claims_is_not_believed(ours, changed):
    assert not judged(ours[0], ours[2], [ours[1]], **changed)


def test_what_is_no_assertion_is_not_believed(ours):
    registration = Registration(certificates=(ours[1],))
    assert not assertion_is_good("nonsense", registration=registration, audience=HERE, now=NOW)
