"""create_webhook: what it prints, and what it refuses."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tenants.models import AuditEntry
from tests.factories import make_account
from webhooks.events import EventType
from webhooks.models import Endpoint

URL = "https://8.8.8.8/events"

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("create_webhook", *arguments, stdout=out)
    printed: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return printed


def test_the_last_line_has_all_that_a_receiver_needs() -> None:
    make_account("contoso")
    make_account("fabrikam")
    arguments = ["--account", "contoso", "--account", "fabrikam", "--event", "connection.down"]
    printed = run(URL, *arguments)
    endpoint = Endpoint.objects.get()
    assert printed == {
        "id": endpoint.pk,
        "url": URL,
        "secret": endpoint.secret.reveal(),
        "events": ["connection.down"],
        "accounts": ["contoso", "fabrikam"],
    }
    entries = AuditEntry.objects.filter(action="webhook_created", actor="command line")
    assert set(entries.values_list("account_slug", flat=True)) == {"contoso", "fabrikam"}


def test_an_endpoint_for_all_accounts_hears_of_every_event_unless_told_otherwise() -> None:
    printed = run(URL, "--all-accounts")
    assert (printed["accounts"], printed["events"]) == (["*"], [event.value for event in EventType])
    assert Endpoint.objects.get().events == []  # also of those that are added later
    assert AuditEntry.objects.get().account_slug == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([URL, "--account", "nowhere"], "There is no account “nowhere”."),
        (["http://8.8.8.8/", "--all-accounts"], "url: Only https addresses are allowed."),
        (["https://10.1.2.3/", "--all-accounts"], "url: This host is in a private or reserved network."),
        ([URL], "one of the arguments --account --all-accounts is required"),
        ([URL, "--all-accounts", "--event", "connection.exploded"], "invalid choice"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_no_endpoint(arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    assert words in str(refused.value)
    assert not Endpoint.objects.exists()


def test_a_named_host_of_ones_own_network_is_allowed(settings: Any) -> None:
    settings.WEBHOOK_PRIVATE_HOSTS = frozenset({"127.0.0.1:8000"})
    assert run("http://127.0.0.1:8000/events", "--all-accounts")["url"] == "http://127.0.0.1:8000/events"
    with pytest.raises(CommandError):
        run("http://127.0.0.1:8001/events", "--all-accounts")
