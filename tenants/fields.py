"""The encrypted column: django-fernet-fields behind a guard.

What the guard adds to the package: `bulk_update` stores the value and not the text of an SQL expression; keys are
looked up at each use, so that a rotation needs no restart; a wrong key is a typed error; no lookup but `isnull`;
never in a form; hidden in dumps; and the value comes back as a `Secret`, which shows itself nowhere.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Any

import fernet_fields
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError
from django.db import models

from microsoft.errors import Misconfigured
from microsoft.secret import Secret


class UndecryptableValue(Misconfigured):
    """None of FERNET_KEYS opens a stored value: our fault, an operator must bring the key back."""


@lru_cache(maxsize=8)
def _multifernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def current_fernet() -> MultiFernet:
    """Encrypts with the newest key, decrypts with all."""
    return _multifernet(tuple(settings.FERNET_KEYS))


def key_id(key: str) -> str:
    """Which key this is: enough to know it again, of no use for anything else."""
    return sha256(key.encode()).hexdigest()[:16]


def current_key_id() -> str:
    """The one that `current_fernet` encrypts with."""
    return key_id(settings.FERNET_KEYS[0])


def unseal(stored: bytes) -> Secret:
    """The text in the bytes of an encrypted column; raises UndecryptableValue."""
    try:
        return Secret(current_fernet().decrypt(stored).decode())
    except InvalidToken:
        raise UndecryptableValue("encryption_key_missing", "none of FERNET_KEYS fits") from None


class EncryptedTextField(fernet_fields.EncryptedTextField):  # type: ignore[misc]
    """Text encrypted with FERNET_KEYS (AES-128-CBC and HMAC, plain Fernet tokens in the column)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    @property
    def fernet(self) -> MultiFernet:
        return current_fernet()

    def get_lookup(self, name: str) -> Any:
        if name != "isnull":
            raise FieldError(f"{self.name} is encrypted: it can only be asked whether it is null")
        return models.Field.get_lookup(self, name)

    def get_prep_value(self, value: Any) -> Any:
        return value.reveal() if isinstance(value, Secret) else value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if value is None or hasattr(value, "as_sql"):  # bulk_update, F(), Case: already SQL
            return value
        text = self.get_prep_value(value)
        return connection.Database.Binary(self.fernet.encrypt(str(text).encode()))

    # Query expressions (bulk_update's CASE branches, update()) come this way.
    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return self.get_db_prep_save(value, connection)

    def from_db_value(self, value: Any, expression: Any, connection: Any, *args: Any) -> Secret | None:
        if value is None:
            return None
        try:
            return Secret(self.fernet.decrypt(bytes(value)).decode())
        except InvalidToken:
            detail = f"{self.model.__name__}.{self.name}: none of FERNET_KEYS fits."
            raise UndecryptableValue("encryption_key_missing", detail=detail) from None

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:
        """Dumps must not carry tokens."""
        return "***"
