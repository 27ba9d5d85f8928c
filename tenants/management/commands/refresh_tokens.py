"""Refreshes tokens now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tenants import refreshing
from tenants.management.json_command import JsonCommand, account_named


class Command(JsonCommand):
    help = "Refreshes the tokens that are due, those of one account, or all."

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--account", metavar="SLUG")
        which.add_argument("--due", action="store_true", help="those that are due (the default)")
        which.add_argument("--all", action="store_true", dest="everything")

    def run(self, **options: Any) -> dict[str, object]:
        if options["account"]:
            return {**refreshing.refresh_all(account_named(options["account"]).slug).as_json()}
        tally = refreshing.refresh_all() if options["everything"] else refreshing.refresh_due()
        return {**tally.as_json()}
