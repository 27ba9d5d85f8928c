"""Encryption keys: are those in use all here, and re-encrypting what an older one still protects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import BinaryField, Value
from django.db.models.functions import Cast

from tenants.fields import EncryptedTextField, UndecryptableValue, current_fernet
from tenants.models import TokenRecord

BATCH = 200


class KeyProblem(Exception):
    """FERNET_KEYS are missing or do not open what is stored."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a run did: values looked at and values written anew."""

    rows: int
    rewritten: int


def check_keys() -> str:
    """One line for `/readyz`; raises KeyProblem when keys are missing or the newest token cannot be opened."""
    if not settings.FERNET_KEYS:
        raise KeyProblem("FERNET_KEYS is empty")
    newest = _raw(TokenRecord, "refresh_token").order_by("-refreshed_at").values_list("raw", flat=True).first()
    if newest is not None:
        try:
            current_fernet().decrypt(bytes(newest))
        except InvalidToken:
            raise KeyProblem("none of FERNET_KEYS opens the newest stored token") from None
    return f"{len(settings.FERNET_KEYS)} keys"


def rotate() -> Iterator[Rotation]:
    """Brings every stored value under the newest key, batch by batch; yields the running totals.

    Safe to repeat and to interrupt: a value that the newest key opens is left alone, and a row that changed in the
    meantime is left to its writer, who used the newest key. Raises UndecryptableValue when no key opens a value.
    """
    newest = Fernet(settings.FERNET_KEYS[0])
    rows = rewritten = 0
    for model, column in encrypted_columns():
        last = 0
        stored = _raw(model, column).filter(**{f"{column}__isnull": False}).order_by("pk")
        while batch := list(stored.filter(pk__gt=last).values_list("pk", "raw")[:BATCH]):
            rewritten += sum(_renew(model, column, pk, bytes(raw), newest) for pk, raw in batch)
            rows += len(batch)
            last = batch[-1][0]
            yield Rotation(rows, rewritten)
    yield Rotation(rows, rewritten)


def encrypted_columns() -> list[tuple[type[models.Model], str]]:
    """Every encrypted column of every app: what a rotation misses is lost with the old key."""
    return [
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.fields
        if isinstance(field, EncryptedTextField)
    ]


def _renew(model: type[models.Model], column: str, pk: int, raw: bytes, newest: Fernet) -> bool:
    try:
        newest.decrypt(raw)
    except InvalidToken:
        pass
    else:
        return False
    try:
        renewed = current_fernet().rotate(raw)  # keeps the time of the first encryption
    except InvalidToken:
        detail = f"{model.__name__} {pk}, {column}: none of FERNET_KEYS fits."
        raise UndecryptableValue("encryption_key_missing", detail=detail) from None
    unchanged = _raw(model, column).filter(pk=pk, raw=raw)
    return bool(unchanged.update(**{column: Value(renewed, output_field=BinaryField())}))


def _raw(model: type[models.Model], column: str) -> models.QuerySet[models.Model]:
    """The rows with the column's own bytes as `raw`, past the field that would decrypt them."""
    return model._default_manager.annotate(raw=Cast(column, BinaryField()))
