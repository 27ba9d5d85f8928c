"""API keys: making them, and telling who calls."""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from microsoft.secret import Secret
from tenants.models import ApiKey

_MARK = "cadence"
_FORM = re.compile(rf"{_MARK}_([0-9a-f]{{8}})_[A-Za-z0-9_-]+")
# When a key was last used is worth an entry now and then, not a write with every request.
LAST_USED_GRAIN = timedelta(minutes=10)
MOST_REMEMBERED = 1_000  # keys, by process

_rows: dict[str, ApiKey] = {}  # by hash


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is shown this once, with what is kept of it."""

    key: Secret
    prefix: str
    key_hash: str


def new_key() -> NewKey:
    """`cadence_<prefix>_<256 random bits>`; so many bits need no slow hash."""
    prefix = secrets.token_hex(4)
    key = f"{_MARK}_{prefix}_{secrets.token_urlsafe(32)}"
    return NewKey(Secret(key), prefix, _hash(key))


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key>`; the key becomes the request's user."""

    def authenticate(self, request: Request) -> tuple[ApiKey, None] | None:
        scheme, _, key = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        match = _FORM.fullmatch(key.strip())
        if match is None:
            raise AuthenticationFailed("The API key is not valid.")
        row = _row_of(match[1], _hash(key.strip()))
        _note_use(row)
        return row, None

    def authenticate_header(self, request: Request) -> str:
        """Makes a missing key a 401 with the scheme to use, not a 403."""
        return 'Bearer realm="Cadence Exchange"'


def as_it_is_now(row: ApiKey) -> ApiKey:
    """The key from the database, in place of what is remembered of it; AuthenticationFailed when it was revoked."""
    _rows.pop(row.key_hash, None)
    return _row_of(row.prefix, row.key_hash)


def _row_of(prefix: str, key_hash: str) -> ApiKey:
    """Whose key this is, remembered: a hash belongs to one key for ever. That it may still be used, and for which
    accounts, is not: `ApiKey.visible_accounts` asks the database, in the query that brings the account.
    """
    row = _rows.get(key_hash)
    if row is None:
        row = ApiKey.objects.filter(prefix=prefix, revoked_at=None).first()
        if row is None or not hmac.compare_digest(row.key_hash, key_hash):
            raise AuthenticationFailed("The API key is not valid.")
        if len(_rows) >= MOST_REMEMBERED:
            _rows.clear()
        _rows[key_hash] = row
    return row


def _note_use(row: ApiKey) -> None:
    now = timezone.now()
    if row.last_used_at is None or now - row.last_used_at > LAST_USED_GRAIN:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_GRAIN)
        ApiKey.objects.filter(stale, pk=row.pk).update(last_used_at=now)
        row.last_used_at = now


def _hash(key: str) -> str:
    return sha256(key.encode("utf-8", "replace")).hexdigest()
