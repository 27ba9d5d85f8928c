"""The operators' commands: one JSON object on the last line, messages elsewhere, and what the exit status says."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.utils import timezone

from sandbox import Sandbox
from tenants.models import Account, ApiKey, AuditEntry, Connection, TokenRecord
from tests.factories import Api, make_account

ROOT = Path(__file__).resolve().parents[2]
SERVICE = "cadence-service@contoso.example"

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> dict[str, Any]:
    """The object on the command's last line of standard output."""
    printed = io.StringIO()
    call_command(*arguments, stdout=printed, stderr=io.StringIO())
    return dict(json.loads(printed.getvalue().splitlines()[-1]))


def create(slug: str, *more: str) -> dict[str, Any]:
    needed = ["--name", slug.title(), "--domain", f"{slug}.example", "--time-zone", "Europe/Berlin"]
    return run("create_account", slug, *needed, *more)


# --- create_account -------------------------------------------------------------------------------------------------


def test_create_account_prints_the_slug_and_the_consent_page(client: Any, settings: Any) -> None:
    settings.PUBLIC_URL = "https://exchange.example"
    made = create("contoso")
    account = Account.objects.get()
    assert made == {"account": "contoso", "consent_url": f"https://exchange.example/connect/{account.consent_key}/"}
    settings.SECURE_SSL_REDIRECT = False
    settings.ALLOWED_HOSTS = ["*"]
    assert client.get(made["consent_url"].removeprefix("https://exchange.example")).status_code == 200


def test_create_account_keeps_what_it_was_given() -> None:
    create("contoso", "--domain", "Sales.Contoso.Example", "--cloud", "usgov", "--contact-email", "it@contoso.example")
    account = Account.objects.get()
    assert account.domains == ["contoso.example", "sales.contoso.example"]
    assert (account.cloud, account.contact_email, account.time_zone) == ("usgov", "it@contoso.example", "Europe/Berlin")
    assert AuditEntry.objects.get().action == "account_created"


@pytest.mark.parametrize(("arguments", "language"), [([], "en"), (["--language", "fr"], "fr")])
def test_create_account_keeps_the_language_of_its_mails(arguments: list[str], language: str) -> None:
    create("contoso", *arguments)
    assert Account.objects.get().language == language


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["Contoso!"], "slug"),
        (["contoso", "--domain", "not a domain"], "domains"),
        (["contoso", "--domain", "contoso.example"], "domains"),  # twice
        (["contoso", "--time-zone", "Berlin"], "time_zone"),
        (["contoso", "--contact-email", "nobody"], "contact_email"),
        (["taken"], "slug"),
    ],
)
def test_create_account_refuses_a_bad_value_in_one_line_and_makes_nothing(arguments: list[str], named: str) -> None:
    make_account("taken")
    with pytest.raises(CommandError, match=named) as caught:
        create(*arguments)
    assert "\n" not in str(caught.value)
    assert Account.objects.count() == 1


# --- create_api_key -------------------------------------------------------------------------------------------------


def test_create_api_key_shows_a_key_that_works_for_its_accounts_and_keeps_its_hash() -> None:
    make_account("contoso")
    make_account("fabrikam")
    make_account("northwind")
    made = run("create_api_key", "backend", "--account", "contoso", "--account", "fabrikam")
    assert set(made) == {"name", "prefix", "key", "accounts"}
    assert (made["name"], made["accounts"]) == ("backend", ["contoso", "fabrikam"])
    assert made["prefix"] in made["key"]
    assert made["key"] not in str(ApiKey.objects.values().get())
    answers = [Api(made["key"]).get(slug).status_code for slug in ("contoso", "fabrikam", "northwind")]
    assert answers == [200, 200, 404]


def test_create_api_key_for_all_accounts_opens_every_one() -> None:
    make_account("contoso")
    made = run("create_api_key", "backend", "--all-accounts")
    assert made["accounts"] == ["*"]
    assert Api(made["key"]).get("contoso").status_code == 200


def test_every_account_of_a_new_key_has_it_in_its_audit_trail_without_the_key() -> None:
    make_account("contoso")
    make_account("fabrikam")
    made = run("create_api_key", "backend", "--account", "contoso", "--account", "fabrikam")
    entries = AuditEntry.objects.filter(action="api_key_created")
    assert sorted(entries.values_list("account_slug", flat=True)) == ["contoso", "fabrikam"]
    assert made["key"].rpartition("_")[2] not in str(list(entries.values()))


def test_create_api_key_for_an_unknown_account_makes_no_key() -> None:
    make_account("contoso")
    with pytest.raises(CommandError, match="fabrikam"):
        run("create_api_key", "backend", "--account", "contoso", "--account", "fabrikam")
    assert not ApiKey.objects.exists()


# --- refresh_tokens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--due"]])
def test_refresh_tokens_without_an_option_means_the_due_ones(contoso: Account, options: list[str]) -> None:
    assert run("refresh_tokens", *options) == {"refreshed": 0, "skipped": 0, "failed": 0, "needs_consent": 0}


@pytest.mark.parametrize("options", [["--all"], ["--account", "contoso"]])
def test_refresh_tokens_of_all_or_of_one_account_overrides_the_due_time(contoso: Account, options: list[str]) -> None:
    assert run("refresh_tokens", *options) == {"refreshed": 1, "skipped": 0, "failed": 0, "needs_consent": 0}
    assert TokenRecord.objects.get().version == 2


def test_refresh_tokens_counts_each_outcome(
    contoso: Account, consent: Callable[..., Any], microsoft: Sandbox, settings: Any
) -> None:
    settings.SWEEP_WIDTH = 1  # the fault is for the first
    consent(make_account("fabrikam"), "fay@fabrikam.example")
    consent(make_account("northwind"), "ada@contoso.example")
    make_account("pending")
    for minutes, token in enumerate(TokenRecord.objects.order_by("pk")):  # contoso is the first
        TokenRecord.objects.filter(pk=token.pk).update(refresh_due_at=timezone.now() + timedelta(minutes=minutes))
    microsoft.control.set({"disable_user": "fay@fabrikam.example"})
    microsoft.control.set({"faults": [{"path": "/token", "status": 503, "times": 1}]})
    assert run("refresh_tokens", "--all") == {"refreshed": 1, "skipped": 1, "failed": 1, "needs_consent": 1}
    assert run("refresh_tokens", "--all") == {"refreshed": 2, "skipped": 2, "failed": 0, "needs_consent": 0}


def test_refresh_tokens_of_an_unknown_account_is_one_line() -> None:
    with pytest.raises(CommandError, match="nobody"):
        run("refresh_tokens", "--account", "nobody")


# --- rotate_encryption_keys and disconnect --------------------------------------------------------------------------


def test_rotate_encryption_keys_counts_and_may_be_repeated(contoso: Account, settings: Any) -> None:
    newest = Fernet.generate_key().decode()
    settings.FERNET_KEYS = [newest, *settings.FERNET_KEYS]
    assert run("rotate_encryption_keys") == {"rows": 3, "rewritten": 3}  # two tokens, one consent attempt
    settings.FERNET_KEYS = [newest]
    assert run("rotate_encryption_keys") == {"rows": 3, "rewritten": 0}
    assert run("refresh_tokens", "--all")["refreshed"] == 1


def test_rotate_encryption_keys_without_the_right_key_says_why_in_one_line(contoso: Account, settings: Any) -> None:
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="none of FERNET_KEYS fits") as caught:
        run("rotate_encryption_keys")
    assert "\n" not in str(caught.value)


def test_disconnect_deletes_the_tokens_and_keeps_the_reason_in_the_trail(contoso: Account) -> None:
    assert run("disconnect", "contoso", "--why", "contract ended") == {"account": "contoso", "state": "disabled"}
    assert not TokenRecord.objects.exists()
    assert Connection.objects.get().state == "disabled"
    entry = AuditEntry.objects.get(action="disconnect")
    assert entry.details["why"] == "contract ended"
    assert run("disconnect", "contoso", "--why", "again") == {"account": "contoso", "state": "disabled"}


def test_disconnect_works_for_an_account_that_never_connected() -> None:
    make_account("contoso")
    assert run("disconnect", "contoso", "--why", "never mind")["state"] == "disabled"


def test_disconnect_wants_a_reason() -> None:
    make_account("contoso")
    with pytest.raises(CommandError, match="--why"):
        run("disconnect", "contoso", "--why", "  ")


# --- as a process ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a migrated installation of its own."""
    folder = tmp_path_factory.mktemp("installation")
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{folder}/cadence.sqlite3"}
    done = manage(environment, "migrate", "--noinput", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    return environment


def manage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_a_completed_run_ends_with_0_and_its_object_on_the_last_line(installed: dict[str, str]) -> None:
    done = manage(installed, "rotate_encryption_keys")
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[-1]) == {"rows": 0, "rewritten": 0}
    assert len(done.stdout.splitlines()) == 1
    assert "values looked at" in done.stderr


def test_what_cannot_be_done_ends_with_1_and_one_line_that_says_why(installed: dict[str, str]) -> None:
    done = manage(installed, "disconnect", "nobody", "--why", "w")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.strip().splitlines()
    assert "nobody" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["create_account", "contoso"],
        ["create_account", "c", "--name", "C", "--domain", "c.example", "--time-zone", "UTC", "--cloud", "moon"],
    ],
)
def test_wrong_usage_ends_with_2(installed: dict[str, str], arguments: list[str]) -> None:
    done = manage(installed, *arguments)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["create_api_key", "backend"],
        ["create_api_key", "backend", "--account", "contoso", "--all-accounts"],
        ["refresh_tokens", "--all", "--due"],
        ["refresh_tokens", "--everything"],
        ["disconnect", "contoso"],
    ],
)
def test_options_that_do_not_go_together_or_are_missing_are_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command(*arguments)
    assert not ApiKey.objects.exists()
