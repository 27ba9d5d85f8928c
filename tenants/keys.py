"""Encryption keys: are those in use all here, and re-encrypting what an older one still protects.

A row of tokens says which key it is under (`key_id`), so that neither question opens 10,000 of them. Rows without it,
of other models or of an older version of the code, are tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import BinaryField, Count, Q, Value
from django.db.models.functions import Cast

from tenants.fields import EncryptedTextField, UndecryptableValue, current_fernet, current_key_id, key_id
from tenants.models import ConsentAttempt, TokenRecord

BATCH = 200
TRIED = 50  # rows without a key id that one look at the keys opens, of each model
NAMED = 10  # missing keys that it names
UNKNOWN = "unknown"


class KeyProblem(Exception):
    """FERNET_KEYS are missing, or do not open what is stored. The text holds ids of keys and no key."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a run did so far: values looked at, values written anew; and how many there are in all."""

    rows: int
    rewritten: int
    total: int = field(default=0, compare=False)


def check_keys() -> str:
    """One line for `/readyz`; raises KeyProblem when a key is missing."""
    if not settings.FERNET_KEYS:
        raise KeyProblem("FERNET_KEYS is empty")
    missing = missing_keys()
    if missing:
        raise KeyProblem(f"keys still in use are not among FERNET_KEYS: {', '.join(missing)}")
    return f"{len(settings.FERNET_KEYS)} keys"


def missing_keys() -> list[str]:
    """Ids of keys that stored values need and FERNET_KEYS lack, `unknown` where no row says which. A few small queries.

    Consent attempts do not count: they are of no use after ten minutes.
    """
    ours = [key_id(key) for key in settings.FERNET_KEYS]
    others = TokenRecord.objects.exclude(key_id__in=[*ours, ""]).order_by().values_list("key_id", flat=True)
    missing = sorted(others.distinct()[:NAMED])
    for model, columns in encrypted_models().items():
        if model is not ConsentAttempt and not all(_opens(raw) for raw in _sample(model, columns)):
            return [*missing, UNKNOWN]
    return missing


def encrypted_models() -> dict[type[models.Model], tuple[str, ...]]:
    """Every encrypted column of every app: what a rotation misses is lost with the old key."""
    found = {
        model: tuple(field.name for field in model._meta.fields if isinstance(field, EncryptedTextField))
        for model in apps.get_models()
    }
    return {model: columns for model, columns in found.items() if columns}


def rotate() -> Iterator[Rotation]:
    """Brings every stored value under the newest key, batch by batch; yields the running totals.

    Safe to repeat, to interrupt and to run while the system serves: rows that are under the newest key are left alone,
    each row changes by one UPDATE of its own, and one that changed in the meantime is left to its writer, who used the
    newest key. Raises UndecryptableValue at the end, when no key opened some value.
    """
    rows = rewritten = 0
    stuck: UndecryptableValue | None = None
    kinds = encrypted_models()
    total = sum(_values(model._default_manager.all(), columns) for model, columns in kinds.items())
    for model, columns in kinds.items():
        left = _raw(model, columns)
        if _says_its_key(model):
            rows += _values(model._default_manager.filter(key_id=current_key_id()), columns)
            left = left.exclude(key_id=current_key_id())
        last = 0
        while batch := list(left.filter(pk__gt=last).order_by("pk").values_list("pk", *_names(columns))[:BATCH]):
            for pk, *raws in batch:
                stored = {column: bytes(raw) for column, raw in zip(columns, raws, strict=True) if raw is not None}
                rows += len(stored)
                try:
                    rewritten += _renew(model, pk, stored)
                except UndecryptableValue as error:
                    stuck = stuck or error
            last = batch[-1][0]
            yield Rotation(rows, rewritten, total)
    if stuck is not None:
        raise stuck
    yield Rotation(rows, rewritten, total)


def _renew(model: type[models.Model], pk: int, stored: Mapping[str, bytes]) -> int:
    """How many of the row's values were written anew."""
    renewed = {column: new for column, raw in stored.items() if (new := _renewed(model, pk, column, raw)) is not None}
    changes: dict[str, object] = {column: Value(new, output_field=BinaryField()) for column, new in renewed.items()}
    if _says_its_key(model):
        changes["key_id"] = current_key_id()
    if not changes:
        return 0
    as_read = {f"raw_{column}": raw for column, raw in stored.items()}
    unchanged = _raw(model, tuple(stored)).filter(pk=pk, **as_read)
    return len(renewed) if unchanged.update(**changes) else 0


def _renewed(model: type[models.Model], pk: int, column: str, raw: bytes) -> bytes | None:
    """The value under the newest key, None when it is there already."""
    if _opens(raw, Fernet(settings.FERNET_KEYS[0])):
        return None
    try:
        return current_fernet().rotate(raw)  # keeps the time of the first encryption
    except InvalidToken:
        detail = f"{model.__name__} {pk}, {column}: none of FERNET_KEYS fits."
        raise UndecryptableValue("encryption_key_missing", detail=detail) from None


def _sample(model: type[models.Model], columns: tuple[str, ...]) -> Iterator[bytes]:
    """Values of the latest rows that do not say which key they are under."""
    rows = _raw(model, columns).order_by("-pk")
    if _says_its_key(model):
        rows = rows.filter(key_id="")
    for raws in rows.values_list(*_names(columns))[:TRIED]:
        yield from (bytes(raw) for raw in raws if raw is not None)


def _opens(raw: bytes, fernet: Fernet | None = None) -> bool:
    try:
        (fernet or current_fernet()).decrypt(raw)
    except InvalidToken:
        return False
    return True


def _says_its_key(model: type[models.Model]) -> bool:
    return any(field.name == "key_id" for field in model._meta.fields)


def _values(rows: models.QuerySet[models.Model], columns: tuple[str, ...]) -> int:
    """How many values the rows hold."""
    counts = {name: Count("pk", filter=Q(**{f"{column}__isnull": False})) for name, column in _named(columns)}
    return sum(rows.aggregate(**counts).values())


def _raw(model: type[models.Model], columns: tuple[str, ...]) -> models.QuerySet[models.Model]:
    """The rows with the columns' own bytes as `raw_…`, past the field that would decrypt them."""
    raws = {name: Cast(column, BinaryField()) for name, column in _named(columns)}
    rows: models.QuerySet[models.Model] = model._default_manager.annotate(**raws)
    return rows


def _named(columns: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return zip(_names(columns), columns, strict=True)


def _names(columns: tuple[str, ...]) -> list[str]:
    return [f"raw_{column}" for column in columns]
