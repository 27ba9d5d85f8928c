"""An id_token is believed only when every claim fits."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from microsoft.errors import Refused
from microsoft.id_token import LEEWAY_SECONDS, check_claims, decode_claims

NOW = 1_800_000_000.0
TENANT = "11111111-2222-3333-4444-555555555555"
TEMPLATE = "https://login.microsoftonline.com/{tenantid}/v2.0"
GOOD = {
    "aud": "our-client",
    "tid": TENANT,
    "oid": "reader-oid",
    "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
    "exp": NOW + 3600,
    "nbf": NOW,
    "nonce": hashlib.sha256(b"kept").hexdigest(),
    "preferred_username": "ada@contoso.example",
    "name": "Ada",
}


def check(template=TEMPLATE, **changes):
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return check_claims(claims, client_id="our-client", nonce="kept", issuer_template=template, now=NOW)


def test_a_token_that_fits_says_who_signed_in():
    claims = check()
    assert (claims.tenant_id, claims.oid, claims.upn, claims.name) == (
        TENANT,
        "reader-oid",
        "ada@contoso.example",
        "Ada",
    )
    assert claims.issuer == GOOD["iss"]


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("aud", "another-client"),
        ("aud", None),
        ("aud", ["our-client"]),
        ("tid", None),
        ("tid", "contoso.example"),
        ("tid", f"{TENANT}/../x"),
        ("oid", None),
        ("oid", ""),
        ("iss", None),
        ("iss", "https://login.microsoftonline.com/99999999-2222-3333-4444-555555555555/v2.0"),
        ("iss", f"https://evil.example/{TENANT}/v2.0"),
        ("iss", TEMPLATE),
        ("exp", None),
        ("exp", NOW - LEEWAY_SECONDS),
        ("exp", "tomorrow"),
        ("exp", True),
        ("nbf", NOW + LEEWAY_SECONDS + 1),
        ("nbf", "yesterday"),
        ("nonce", None),
        ("nonce", "kept"),
        ("nonce", hashlib.sha256(b"other").hexdigest()),
    ],
)
def test_a_token_with_one_claim_wrong_is_refused_by_its_name(claim, value):
    with pytest.raises(Refused) as refused:
        check(**{claim: value})
    assert refused.value.code == "id_token_invalid"
    assert refused.value.detail.startswith(claim)


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("exp", NOW - LEEWAY_SECONDS + 1),
        ("nbf", NOW + LEEWAY_SECONDS),
        ("nbf", None),
        ("name", None),
        ("preferred_username", None),
    ],
)
def test_clock_differences_and_missing_display_names_are_forgiven(claim, value):
    assert check(**{claim: value}).oid == "reader-oid"


def test_the_issuer_of_a_single_tenant_document_is_taken_as_it_is():
    assert check(template=str(GOOD["iss"])).tenant_id == TENANT


def test_a_tenant_id_is_compared_in_lower_case_afterwards():
    upper = "AAAAAAAA-2222-3333-4444-555555555555"
    assert check(tid=upper, iss=TEMPLATE.replace("{tenantid}", upper)).tenant_id == upper.lower()


def encoded(payload: bytes) -> str:
    return f"e30.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.x"


def test_the_payload_is_decoded_whatever_the_signature():
    assert decode_claims(encoded(json.dumps(GOOD).encode())) == GOOD


@pytest.mark.parametrize(
    "token",
    ["", "a.b", "a.b.c.d", "x.!!!.y", encoded(b"[1]"), encoded(b"\xff\xfe"), encoded(b"{"), None, 7, "x.ü.y"],
)
def test_something_that_is_no_jwt_is_refused(token):
    with pytest.raises(Refused) as refused:
        decode_claims(token)
    assert refused.value.code == "id_token_invalid"
