"""Ends an account's connection."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from tenants.disconnecting import disconnect
from tenants.management.json_command import JsonCommand, account_named


class Command(JsonCommand):
    help = "Deletes an account's tokens and stops all reading; the customer can consent again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--why", required=True, help="kept in the audit trail")

    def run(self, **options: Any) -> dict[str, object]:
        if not options["why"].strip():
            raise CommandError("--why must say something: it is kept in the audit trail.")
        account = account_named(options["slug"])
        connection = disconnect(account, why=options["why"], actor="command line")
        return {"account": account.slug, "state": connection.state}
