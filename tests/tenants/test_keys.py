"""Rotation of encryption keys: what it counts, that it may be repeated and interrupted, and what readyz says."""

from __future__ import annotations

import importlib
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.checks import run_checks
from django.db import connection as database
from django.utils import timezone

from microsoft.secret import Secret
from tenants import keys
from tenants.fields import UndecryptableValue, current_key_id, key_id
from tenants.keys import KeyProblem, Rotation, check_keys
from tenants.models import Connection, ConsentAttempt, Mode, TokenRecord
from tests.factories import Api, make_account
from webhooks.models import Endpoint

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


def test_an_interrupted_run_leaves_readable_rows_and_the_next_one_finishes(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "BATCH", 1)
    make_tokens("contoso", "fabrikam")
    settings.FERNET_KEYS = [NEW, OLD]
    run = keys.rotate()
    assert next(run) == Rotation(rows=2, rewritten=2)  # the first row is done
    run.close()
    assert {record.access_token.reveal() for record in TokenRecord.objects.all()} == {
        "access contoso",
        "access fabrikam",
    }
    assert last(keys.rotate()) == Rotation(rows=4, rewritten=2)


def test_a_row_that_says_it_is_under_the_newest_key_is_not_opened(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tokens("contoso", "fabrikam")
    settings.FERNET_KEYS = [NEW, OLD]
    last(keys.rotate())
    monkeypatch.setattr(keys, "_renew", never)
    assert last(keys.rotate()) == Rotation(rows=4, rewritten=0)


def never(*_: Any) -> None:
    raise AssertionError("looked at")


def test_progress_says_how_much_there_is(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "BATCH", 1)
    make_tokens("contoso", "fabrikam")
    make_attempt("northwind")
    assert [(step.rows, step.total) for step in keys.rotate()] == [(2, 5), (4, 5), (5, 5), (5, 5)]


def test_more_rows_than_a_batch_are_all_rewritten(settings: Any) -> None:
    make_tokens(*(f"account-{number}" for number in range(keys.BATCH + 1)))
    settings.FERNET_KEYS = [NEW, OLD]
    assert last(keys.rotate()) == Rotation(rows=2 * (keys.BATCH + 1), rewritten=2 * (keys.BATCH + 1))


def test_a_token_stored_while_a_run_is_under_way_is_not_overwritten(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tokens("contoso", "fabrikam")
    settings.FERNET_KEYS = [NEW, OLD]
    renew = keys._renewed

    def overtaken(model: Any, pk: int, column: str, raw: bytes) -> bytes | None:
        TokenRecord.objects.filter(pk=pk).update(access_token=Secret("newer"), key_id=current_key_id())
        return renew(model, pk, column, raw)

    monkeypatch.setattr(keys, "_renewed", overtaken)
    assert last(keys.rotate()).rewritten == 0
    assert {record.access_token.reveal() for record in TokenRecord.objects.all()} == {"newer"}


def test_a_value_that_no_key_opens_is_named_by_its_row_and_keeps_no_other_from_being_rewritten(settings: Any) -> None:
    make_tokens("contoso")
    settings.FERNET_KEYS = [STRANGE]
    make_tokens("fabrikam")
    settings.FERNET_KEYS = [NEW, STRANGE]
    with pytest.raises(UndecryptableValue, match=r"TokenRecord \d+, refresh_token"):
        list(keys.rotate())
    found = dict(TokenRecord.objects.values_list("connection__account__slug", "key_id"))
    assert found == {"contoso": "", "fabrikam": key_id(NEW)}


def test_the_api_answers_and_tokens_are_renewed_while_a_run_is_under_way(
    api: Api, contoso: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "BATCH", 1)
    make_tokens("fabrikam", "northwind")
    settings.FERNET_KEYS = [NEW, OLD]
    steps = []
    for step in keys.rotate():
        steps.append(step)
        TokenRecord.objects.filter(connection__account=contoso).update(access_expires_at=timezone.now())
        now = timezone.now()
        question = {
            "attendees": [{"email": "ann@contoso.example"}],
            "start": now.isoformat(),
            "end": (now + timedelta(days=1)).isoformat(),
        }
        assert api.post("contoso", "availability", question).json()["attendees"][0]["state"] == "known"
    assert len(steps) > 2
    assert last(keys.rotate()).rewritten == 0
    settings.FERNET_KEYS = [NEW]
    assert check_keys() == "1 keys"


def test_the_keys_are_fine_while_nothing_is_stored() -> None:
    assert check_keys() == "1 keys"


def test_the_keys_are_fine_when_an_older_one_opens_the_newest_token(settings: Any) -> None:
    make_tokens("contoso")
    settings.FERNET_KEYS = [NEW, OLD]
    assert check_keys() == "2 keys"


@pytest.mark.parametrize(
    ("now_set", "said"), [([], "FERNET_KEYS is empty"), ([STRANGE], "not among FERNET_KEYS: unknown")]
)
def test_missing_keys_are_noticed(settings: Any, now_set: list[str], said: str) -> None:
    make_tokens("contoso")
    settings.FERNET_KEYS = now_set
    with pytest.raises(KeyProblem, match=said):
        check_keys()


def test_a_dropped_key_is_named_by_its_id_from_the_column_alone(settings: Any) -> None:
    make_tokens("contoso")
    TokenRecord.objects.update(key_id=key_id(OLD))
    assert keys.missing_keys() == []
    settings.FERNET_KEYS = [NEW]
    assert keys.missing_keys() == [key_id(OLD)]
    with pytest.raises(KeyProblem, match=key_id(OLD)):
        check_keys()


def test_of_rows_that_do_not_say_their_key_the_latest_are_tried(settings: Any) -> None:
    make_tokens("contoso")
    settings.FERNET_KEYS = [NEW]
    assert keys.missing_keys() == ["unknown"]


def test_a_webhook_under_a_dropped_key_is_noticed_and_a_sign_in_under_way_is_not(settings: Any) -> None:
    make_attempt("northwind")
    settings.FERNET_KEYS = [NEW]
    assert keys.missing_keys() == []
    Endpoint.objects.create(url="https://hooks.example/", secret=Secret("whsec"))
    settings.FERNET_KEYS = [STRANGE]
    assert keys.missing_keys() == ["unknown"]


@pytest.mark.parametrize("stored", [0, 3, 60])
def test_a_look_at_the_keys_costs_a_few_queries_however_many_rows_there_are(
    stored: int, django_assert_max_num_queries: Any
) -> None:
    make_tokens(*(f"account-{number}" for number in range(stored)))
    with django_assert_max_num_queries(5):
        assert keys.missing_keys() == []


def test_the_check_of_the_database_names_a_dropped_key_and_not_the_key_itself(settings: Any) -> None:
    make_tokens("contoso")
    TokenRecord.objects.update(key_id=key_id(OLD))
    assert run_checks(tags=["database"], databases=["default"]) == []
    settings.FERNET_KEYS = [NEW]
    (found,) = run_checks(tags=["database"], databases=["default"])
    assert (found.id, key_id(OLD) in found.msg, OLD in str(found)) == ("cadence.E003", True, False)


def test_rows_stored_before_there_were_key_ids_get_them_by_migration(settings: Any) -> None:
    fill = importlib.import_module("tenants.migrations.0004_fill_key_ids").fill
    make_tokens("contoso")
    settings.FERNET_KEYS = [NEW]
    make_tokens("fabrikam")
    settings.FERNET_KEYS = [STRANGE]
    make_tokens("northwind")
    settings.FERNET_KEYS = [NEW, OLD]  # nobody has the third
    fill(apps, SimpleNamespace(connection=database))
    found = dict(TokenRecord.objects.values_list("connection__account__slug", "key_id"))
    assert found == {"contoso": key_id(OLD), "fabrikam": key_id(NEW), "northwind": ""}
