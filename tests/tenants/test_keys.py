"""Rotation of encryption keys: what it counts, that it may be repeated and interrupted, and what readyz says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection as database
from django.utils import timezone

from microsoft.secret import Secret
from tenants import keys
from tenants.fields import UndecryptableValue
from tenants.keys import KeyProblem, Rotation, check_keys
from tenants.models import Connection, ConsentAttempt, Mode, TokenRecord
from tests.factories import make_account

OLD, NEW, STRANGE = (Fernet.generate_key().decode() for _ in range(3))

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _old_key(settings: Any) -> None:
    settings.FERNET_KEYS = [OLD]


def make_tokens(*slugs: str) -> None:
    """A token record for an account of each slug."""
    now = timezone.now()
    for slug in slugs:
        TokenRecord.objects.create(
            connection=Connection.objects.create(account=make_account(slug)),
            refresh_token=Secret(f"refresh {slug}"),
            access_token=Secret(f"access {slug}"),
            access_expires_at=now,
            refreshed_at=now,
            refresh_due_at=now,
        )


def make_attempt(slug: str) -> None:
    now = timezone.now()
    ConsentAttempt.objects.create(
        account=make_account(slug),
        mode=Mode.ADMIN,
        state_hash=slug,
        browser_hash=slug,
        flow=Secret("flow"),
        expires_at=now + timedelta(minutes=10),
    )


def raw_values() -> list[bytes]:
    """All encrypted bytes of the product."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT refresh_token FROM tenants_tokenrecord UNION ALL SELECT access_token FROM tenants_tokenrecord "
            "UNION ALL SELECT flow FROM tenants_consentattempt"
        )
        return [bytes(row[0]) for row in cursor.fetchall()]


def last(totals: Any) -> Rotation:
    return list(totals)[-1]


def test_every_encrypted_value_comes_under_the_newest_key(settings: Any) -> None:
    make_tokens("contoso", "fabrikam")
    make_attempt("northwind")
    settings.FERNET_KEYS = [NEW, OLD]
    assert last(keys.rotate()) == Rotation(rows=5, rewritten=5)
    settings.FERNET_KEYS = [NEW]
    opened = sorted(Fernet(NEW).decrypt(value).decode() for value in raw_values())
    assert opened == ["access contoso", "access fabrikam", "flow", "refresh contoso", "refresh fabrikam"]
    assert TokenRecord.objects.get(connection__account__slug="contoso").refresh_token.reveal() == "refresh contoso"


def test_a_second_run_rewrites_nothing_and_leaves_the_bytes_alone(settings: Any) -> None:
    make_tokens("contoso")
    settings.FERNET_KEYS = [NEW, OLD]
    last(keys.rotate())
    before = raw_values()
    assert last(keys.rotate()) == Rotation(rows=2, rewritten=0)
    assert raw_values() == before


def test_with_no_rows_there_is_still_a_count() -> None:
    assert last(keys.rotate()) == Rotation(0, 0)


def test_an_interrupted_run_leaves_readable_rows_and_the_next_one_finishes(settings: Any) -> None:
    make_tokens("contoso", "fabrikam")
    settings.FERNET_KEYS = [NEW, OLD]
    run = keys.rotate()
    assert next(run) == Rotation(rows=2, rewritten=2)  # the first column is done
    run.close()
    assert {record.access_token.reveal() for record in TokenRecord.objects.all()} == {
        "access contoso",
        "access fabrikam",
    }
    assert last(keys.rotate()) == Rotation(rows=4, rewritten=2)


def test_more_rows_than_a_batch_are_all_rewritten(settings: Any) -> None:
    make_tokens(*(f"account-{number}" for number in range(keys.BATCH + 1)))
    settings.FERNET_KEYS = [NEW, OLD]
    assert last(keys.rotate()) == Rotation(rows=2 * (keys.BATCH + 1), rewritten=2 * (keys.BATCH + 1))


def test_a_token_stored_while_a_run_is_under_way_is_not_overwritten(settings: Any) -> None:
    make_tokens("contoso")
    settings.FERNET_KEYS = [NEW, OLD]
    run = keys.rotate()
    next(run)
    TokenRecord.objects.update(access_token=Secret("newer"))
    list(run)
    assert TokenRecord.objects.get().access_token.reveal() == "newer"


def test_a_value_that_no_key_opens_stops_the_run_and_is_named_by_its_row(settings: Any) -> None:
    make_tokens("contoso")
    settings.FERNET_KEYS = [STRANGE]
    with pytest.raises(UndecryptableValue, match=r"TokenRecord \d+, refresh_token"):
        list(keys.rotate())


def test_the_keys_are_fine_while_nothing_is_stored() -> None:
    assert check_keys() == "1 keys"


def test_the_keys_are_fine_when_an_older_one_opens_the_newest_token(settings: Any) -> None:
    make_tokens("contoso")
    settings.FERNET_KEYS = [NEW, OLD]
    assert check_keys() == "2 keys"


@pytest.mark.parametrize(("now_set", "said"), [([], "FERNET_KEYS is empty"), ([STRANGE], "none of FERNET_KEYS")])
def test_missing_keys_are_noticed(settings: Any, now_set: list[str], said: str) -> None:
    make_tokens("contoso")
    settings.FERNET_KEYS = now_set
    with pytest.raises(KeyProblem, match=said):
        check_keys()
