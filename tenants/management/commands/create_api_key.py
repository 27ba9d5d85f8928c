"""Makes an API key; it is shown this once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from tenants import audit
from tenants.authentication import new_key
from tenants.management.json_command import JsonCommand, account_named
from tenants.models import Account, ApiKey


class Command(JsonCommand):
    help = "Creates an API key for one, several or all accounts; prints it this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--account", action="append", dest="accounts", metavar="SLUG")
        which.add_argument("--all-accounts", action="store_true")

    def run(self, **options: Any) -> dict[str, object]:
        accounts = [account_named(slug) for slug in dict.fromkeys(options["accounts"] or [])]
        made = new_key()
        row = ApiKey(
            name=options["name"],
            prefix=made.prefix,
            key_hash=made.key_hash,
            all_accounts=options["all_accounts"],
        )
        row.full_clean()
        nobody: list[Account | None] = [None]  # a key for all accounts is no single account's event
        with transaction.atomic():
            row.save()
            row.accounts.set(accounts)
            for account in [*accounts] or nobody:
                audit.record(account, "api_key_created", "ok", actor="command line", prefix=made.prefix)
        slugs = ["*"] if row.all_accounts else [account.slug for account in accounts]
        return {"name": row.name, "prefix": row.prefix, "key": made.key.reveal(), "accounts": slugs}
