"""Pure: the Standard Webhooks signature, https://github.com/standard-webhooks/standard-webhooks."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

from microsoft.secret import Secret

_MARK = "whsec_"


def new_secret() -> Secret:
    """`whsec_` and 256 random bits in base64."""
    return Secret(_MARK + base64.b64encode(secrets.token_bytes(32)).decode())


def headers(event_id: str, at: datetime, body: bytes, keys: Iterable[Secret]) -> dict[str, str]:
    """The three headers; one signature for each key, so that a receiver may know either during a change of keys."""
    timestamp = str(int(at.timestamp()))
    content = b".".join((event_id.encode(), timestamp.encode(), body))
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{_sign(key, content)}" for key in keys),
    }


def _sign(key: Secret, content: bytes) -> str:
    raw = base64.b64decode(key.reveal().removeprefix(_MARK))
    return base64.b64encode(hmac.digest(raw, content, sha256)).decode()
