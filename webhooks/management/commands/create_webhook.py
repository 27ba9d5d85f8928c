"""Makes an endpoint; its secret is shown this once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from tenants.management.json_command import JsonCommand, account_named
from webhooks import endpoints, signing
from webhooks.events import EventType
from webhooks.models import Endpoint


class Command(JsonCommand):
    help = "Creates a webhook endpoint for one, several or all accounts; prints its secret this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", metavar="URL")
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--account", action="append", dest="accounts", metavar="SLUG")
        which.add_argument("--all-accounts", action="store_true")
        choices = [event.value for event in EventType]
        parser.add_argument(
            "--event", action="append", dest="events", metavar="EVENT", choices=choices, help="default: all"
        )

    def run(self, **options: Any) -> dict[str, object]:
        accounts = [account_named(slug) for slug in dict.fromkeys(options["accounts"] or [])]
        secret = signing.new_secret()
        row = Endpoint(
            url=options["url"],
            secret=secret,
            all_accounts=options["all_accounts"],
            events=list(dict.fromkeys(options["events"] or [])),
        )
        row.full_clean()
        with transaction.atomic():
            row.save()
            row.accounts.set(accounts)
            endpoints.record(row, "webhook_created", actor="command line")
        slugs = ["*"] if row.all_accounts else [account.slug for account in accounts]
        events = row.events or [event.value for event in EventType]
        return {"id": row.pk, "url": row.url, "secret": secret.reveal(), "events": events, "accounts": slugs}
