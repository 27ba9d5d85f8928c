"""The encrypted column: what is written, what comes back, what shows itself, and what is refused."""

from __future__ import annotations

import io
import json
from datetime import datetime
from typing import Any

import pytest
from cryptography.fernet import Fernet, MultiFernet
from django.core import serializers
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import connection as database
from django.db.models import F
from django.forms import modelform_factory
from django.utils import timezone

from microsoft.errors import Misconfigured
from microsoft.secret import Secret
from tenants.fields import UndecryptableValue
from tenants.models import Connection, TokenRecord
from tests.factories import make_account

TOKEN = "SBXRT-" + "ünïcode-" * 256  # about 2 KB, as Microsoft's
KEYS = [Fernet.generate_key().decode() for _ in range(3)]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keys(settings: Any) -> None:
    settings.FERNET_KEYS = KEYS[:1]


def values(**changed: Any) -> dict[str, Any]:
    """The columns of a token record; its refresh token is TOKEN."""
    now: datetime = timezone.now()
    return {
        "refresh_token": Secret(TOKEN),
        "access_token": Secret("SBXAT-access"),
        "access_expires_at": now,
        "refreshed_at": now,
        "refresh_due_at": now,
        **changed,
    }


def make_record(slug: str = "contoso", **changed: Any) -> TokenRecord:
    connection = Connection.objects.create(account=make_account(slug))
    return TokenRecord.objects.create(connection=connection, **values(**changed))


def raw(record: TokenRecord, column: str = "refresh_token") -> bytes:
    """The column's own bytes."""
    with database.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM tenants_tokenrecord WHERE id = %s", [record.pk])  # noqa: S608
        return bytes(cursor.fetchone()[0])


def stored(record: TokenRecord) -> Any:
    return TokenRecord.objects.get(pk=record.pk).refresh_token


def test_a_token_comes_back_as_a_secret_with_the_same_text() -> None:
    found = stored(make_record())
    assert isinstance(found, Secret)
    assert found.reveal() == TOKEN


def test_a_plain_text_may_be_given_and_comes_back_as_a_secret() -> None:
    assert stored(make_record(refresh_token="plain")) == Secret("plain")


def test_plain_fernet_reads_the_column_with_the_key_as_it_is_given() -> None:
    assert MultiFernet([Fernet(KEYS[0])]).decrypt(raw(make_record())).decode() == TOKEN


def test_neither_the_text_nor_the_same_bytes_twice_are_in_the_column() -> None:
    first, second = raw(make_record("contoso")), raw(make_record("fabrikam"))
    assert b"SBXRT-" not in first
    assert first != second


def test_an_empty_text_stays_an_empty_text() -> None:
    assert stored(make_record(refresh_token=Secret(""))).reveal() == ""


def test_save_and_refresh_from_db_keep_the_token() -> None:
    record = make_record()
    record.refresh_from_db()
    record.save()
    assert stored(record).reveal() == TOKEN


def test_update_encrypts() -> None:
    record = make_record()
    TokenRecord.objects.filter(pk=record.pk).update(refresh_token=Secret("new"))
    assert Fernet(KEYS[0]).decrypt(raw(record)) == b"new"
    assert stored(record).reveal() == "new"


def test_update_with_another_column_keeps_the_token() -> None:
    record = make_record(access_token=Secret("other"))
    TokenRecord.objects.filter(pk=record.pk).update(refresh_token=F("access_token"))
    assert stored(record).reveal() == "other"


def test_bulk_create_encrypts() -> None:
    connections = [Connection.objects.create(account=make_account(slug)) for slug in ("contoso", "fabrikam")]
    TokenRecord.objects.bulk_create(
        [TokenRecord(connection=row, **values(refresh_token=Secret(f"token {row.pk}"))) for row in connections]
    )
    for row in connections:
        record = TokenRecord.objects.get(connection=row)
        assert record.refresh_token.reveal() == f"token {row.pk}"
        assert b"token" not in raw(record)


def test_bulk_update_keeps_the_tokens_it_does_not_change_and_stores_those_it_does() -> None:
    records = [make_record("contoso"), make_record("fabrikam")]
    for record in records:
        record.refresh_from_db()
        record.access_token = Secret(f"access {record.pk}")
    TokenRecord.objects.bulk_update(records, ["refresh_token", "access_token"])
    for record in records:
        found = TokenRecord.objects.get(pk=record.pk)
        assert (found.refresh_token.reveal(), found.access_token.reveal()) == (TOKEN, f"access {record.pk}")
        assert Fernet(KEYS[0]).decrypt(raw(record)).decode() == TOKEN


def test_update_or_create_encrypts_both_ways() -> None:
    connection = Connection.objects.create(account=make_account())
    for text in ("made", "changed"):
        record, _ = TokenRecord.objects.update_or_create(
            connection=connection, defaults=values(refresh_token=Secret(text))
        )
        assert Fernet(KEYS[0]).decrypt(raw(record)).decode() == text


def test_values_list_gives_secrets() -> None:
    make_record()
    (found,) = TokenRecord.objects.values_list("refresh_token", flat=True)
    assert isinstance(found, Secret)
    assert found.reveal() == TOKEN


def test_a_new_first_key_encrypts_and_the_old_one_still_opens_without_a_restart(settings: Any) -> None:
    old = make_record("contoso")
    settings.FERNET_KEYS = [KEYS[1], KEYS[0]]
    new = make_record("fabrikam")
    assert stored(old).reveal() == stored(new).reveal() == TOKEN
    assert Fernet(KEYS[1]).decrypt(raw(new)).decode() == TOKEN


def test_a_missing_key_is_a_typed_error_of_ours_that_shows_neither_token_nor_ciphertext(settings: Any) -> None:
    record = make_record()
    settings.FERNET_KEYS = [KEYS[2]]
    with pytest.raises(UndecryptableValue) as caught:
        stored(record)
    assert isinstance(caught.value, Misconfigured)
    assert "TokenRecord.refresh_token" in str(caught.value)
    assert raw(record).decode()[:20] not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "lookup", ["exact", "iexact", "contains", "startswith", "in", "gt", "lt", "range", "regex", "endswith"]
)
def test_a_lookup_by_value_is_refused_and_does_not_silently_find_nothing(lookup: str) -> None:
    with pytest.raises(FieldError, match="encrypted"):
        TokenRecord.objects.filter(**{f"refresh_token__{lookup}": "SBXRT"})


def test_whether_it_is_null_may_be_asked() -> None:
    make_record()
    assert TokenRecord.objects.filter(refresh_token__isnull=False).count() == 1
    assert not TokenRecord.objects.filter(refresh_token__isnull=True).exists()


def test_no_form_offers_the_column() -> None:
    form = modelform_factory(TokenRecord, fields="__all__")
    assert not {"refresh_token", "access_token"} & set(form.base_fields)


@pytest.mark.parametrize("form", ["json", "xml", "jsonl"])
def test_a_dump_hides_the_tokens(form: str) -> None:
    make_record()
    printed = io.StringIO()
    call_command("dumpdata", "tenants", "--format", form, stdout=printed)
    assert "***" in printed.getvalue()
    assert "SBX" not in printed.getvalue()
    assert "SBX" not in serializers.serialize(form, TokenRecord.objects.all())


def test_a_dump_says_for_each_token_that_it_is_hidden() -> None:
    make_record()
    (row,) = json.loads(serializers.serialize("json", TokenRecord.objects.all()))
    assert (row["fields"]["refresh_token"], row["fields"]["access_token"]) == ("***", "***")


def test_no_repr_of_row_list_or_query_shows_a_token() -> None:
    record = make_record()
    loaded = TokenRecord.objects.get()
    shown = [
        *(repr(thing) for thing in (record, loaded, loaded.refresh_token, vars(loaded))),
        str(loaded),
        f"{loaded.refresh_token:>20}",
        repr(TokenRecord.objects.all()),
        repr(list(TokenRecord.objects.values())),
        str(TokenRecord.objects.filter(pk=record.pk).query),
    ]
    assert not [text for text in shown if "SBX" in text]
