"""Who calls: keys are kept as hashes, revoked and wrong ones refused, and their use noted now and then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tenants import authentication
from tenants.authentication import LAST_USED_GRAIN, new_key
from tenants.models import ApiKey
from tests.factories import make_account, make_api_key

pytestmark = pytest.mark.django_db
NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)


def ask(header: str | None, slug: str = "contoso") -> Any:
    headers = {} if header is None else {"Authorization": header}
    return Client().get(f"/api/v1/accounts/{slug}/connection/", headers=headers)


def test_a_key_opens_its_account() -> None:
    key = make_api_key(make_account())
    assert ask(f"Bearer {key}").status_code == 200


def test_the_scheme_is_compared_without_case_and_blanks_around_the_key_do_no_harm() -> None:
    key = make_api_key(make_account())
    assert ask(f"bEARER   {key} ").status_code == 200


def test_only_a_hash_and_a_prefix_of_a_key_are_kept() -> None:
    key = make_api_key(make_account())
    row = ApiKey.objects.get()
    assert row.key_hash == sha256(key.encode()).hexdigest()
    assert key.startswith(f"cadence_{row.prefix}_")
    secret = key.removeprefix(f"cadence_{row.prefix}_")
    assert len(secret) >= 43  # 256 bits
    assert not [value for value in ApiKey.objects.values().get().values() if secret in str(value)]


def test_no_two_keys_are_alike() -> None:
    made = {new_key().key.reveal() for _ in range(50)}
    assert len(made) == 50


def refused_headers(key: str) -> dict[str, str | None]:
    mark, prefix, secret = key.split("_", 2)
    return {
        "no header": None,
        "no key": "Bearer",
        "blank key": "Bearer ",
        "other scheme": f"Basic {key}",
        "scheme of Django REST framework": f"Token {key}",
        "key without scheme": key,
        "wrong secret": f"Bearer {mark}_{prefix}_{secret[:-1]}{'A' if secret[-1] != 'A' else 'B'}",
        "shortened": f"Bearer {key[:-1]}",
        "longer": f"Bearer {key}x",
        "prefix alone": f"Bearer {mark}_{prefix}_",
        "no secret": f"Bearer {mark}_{prefix}",
        "other mark": f"Bearer cadenza_{prefix}_{secret}",
        "unknown prefix": f"Bearer {mark}_00000000_{secret}",
        "hash in place of the key": f"Bearer {mark}_{prefix}_{sha256(key.encode()).hexdigest()}",
        "not ASCII": f"Bearer {mark}_{prefix}_schlüssel",
        "a NUL": f"Bearer {mark}_\x00_{secret}",
    }


@pytest.mark.parametrize("case", list(refused_headers("a_b_c")))
def test_anything_else_is_401_and_names_the_scheme(case: str) -> None:
    key = make_api_key(make_account())
    answer = ask(refused_headers(key)[case])
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert key not in answer.content.decode()


def test_a_revoked_key_is_refused() -> None:
    key = make_api_key(make_account())
    ApiKey.objects.update(revoked_at=NOON)
    assert ask(f"Bearer {key}").status_code == 401


def withdrawn(how: str) -> None:
    if how == "revoked":
        ApiKey.objects.update(revoked_at=NOON)
    else:
        ApiKey.objects.all().delete()


@pytest.mark.parametrize("all_accounts", [False, True])
@pytest.mark.parametrize("how", ["revoked", "deleted"])
def test_a_key_that_was_just_used_is_refused_from_the_moment_it_is_withdrawn(how: str, all_accounts: bool) -> None:
    account = make_account()
    key = make_api_key(all_accounts=True) if all_accounts else make_api_key(account)
    assert ask(f"Bearer {key}").status_code == 200
    withdrawn(how)
    assert ask(f"Bearer {key}").status_code == 401


def test_what_a_key_may_see_changes_at_once() -> None:
    key = make_api_key(make_account())
    make_account("fabrikam")
    row = ApiKey.objects.get()
    assert ask(f"Bearer {key}").status_code == 200
    ApiKey.objects.update(all_accounts=True)
    assert ask(f"Bearer {key}", "fabrikam").status_code == 200
    ApiKey.objects.update(all_accounts=False)
    assert ask(f"Bearer {key}", "fabrikam").status_code == 404
    assert ask(f"Bearer {key}").status_code == 200
    row.accounts.clear()
    assert ask(f"Bearer {key}").status_code == 404


def test_who_was_told_apart_before_is_so_without_a_query_of_its_own() -> None:
    key = make_api_key(make_account())
    ask(f"Bearer {key}")
    with CaptureQueriesContext(connection) as queries:
        ask(f"Bearer {key}")
    assert len(queries) == 1


def test_only_so_many_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "MOST_REMEMBERED", 2)
    account = make_account()
    keys = [make_api_key(account) for _ in range(5)]
    for key in keys * 2:
        assert ask(f"Bearer {key}").status_code == 200
        assert len(authentication._rows) <= 2


def test_a_key_sees_only_its_accounts() -> None:
    key = make_api_key(make_account("contoso"))
    make_account("fabrikam")
    assert ask(f"Bearer {key}", "fabrikam").status_code == 404


def test_a_key_for_all_accounts_also_sees_one_made_later() -> None:
    key = make_api_key(all_accounts=True)
    make_account("fabrikam")
    assert ask(f"Bearer {key}", "fabrikam").status_code == 200


@pytest.mark.parametrize(
    ("later", "noted"),
    [
        (timedelta(seconds=1), NOON),
        (LAST_USED_GRAIN, NOON),
        (LAST_USED_GRAIN + timedelta(seconds=1), NOON + LAST_USED_GRAIN + timedelta(seconds=1)),
    ],
)
def test_the_last_use_is_noted_at_most_once_in_ten_minutes(later: timedelta, noted: datetime) -> None:
    key = make_api_key(make_account())
    with time_machine.travel(NOON, tick=False) as clock:
        ask(f"Bearer {key}")
        clock.shift(later)
        ask(f"Bearer {key}")
    assert ApiKey.objects.get().last_used_at == noted


def test_a_refused_key_is_not_noted_as_used() -> None:
    key = make_api_key(make_account())
    ask(f"Bearer {key}x")
    assert ApiKey.objects.get().last_used_at is None


def test_the_rate_limit_counts_each_key_by_itself(settings: Any) -> None:
    settings.API_RATE_PER_MINUTE, settings.API_RATE_BURST = 1, 3
    account = make_account()
    first, second = make_api_key(account), make_api_key(account)
    answers = [ask(f"Bearer {first}") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["code"] == "rate_limited"
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert ask(f"Bearer {second}").status_code == 200
