"""The `claims` parameter of authorize and token requests, and the challenge that asks for it.

entra-docs claims-challenge.md and app-resilience-continuous-access-evaluation.md.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claims:
    """What a request's claims say: the client declares cp1; tokens not before `nbf`; a sign-in step is asked."""

    cp1: bool = False
    nbf: float = 0.0
    step_up: bool = False


def parse_claims(text: str) -> Claims:
    """Read the parameter; ValueError when it is no JSON object of the documented shape."""
    if not text:
        return Claims()
    document = json.loads(text)
    wanted = document.get("access_token", {}) if isinstance(document, dict) else None
    if not isinstance(wanted, dict) or not all(v is None or isinstance(v, dict) for v in wanted.values()):
        raise ValueError("claims must hold an object access_token")
    capabilities = (wanted.get("xms_cc") or {}).get("values", ())
    nbf = (wanted.get("nbf") or {}).get("value", 0)
    return Claims(
        cp1=any(str(value).lower() == "cp1" for value in capabilities),
        nbf=float(nbf),
        step_up=bool({"capolids", "acrs"} & set(wanted)),
    )


def challenge(nbf: float) -> str:
    """Return the header value of Graph's challenge for tokens not before `nbf`, the claims in base64."""
    # Microsoft's own sample gives the seconds as a string.
    claims = {"access_token": {"nbf": {"essential": True, "value": str(int(nbf))}}}
    packed = base64.b64encode(json.dumps(claims, separators=(",", ":")).encode()).decode()
    return (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        f'error="insufficient_claims", claims="{packed}"'
    )
