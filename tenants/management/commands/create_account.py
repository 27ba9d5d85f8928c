"""Makes a customer account and says where its administrator consents."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from microsoft.clouds import CLOUDS
from tenants import audit
from tenants.management.json_command import JsonCommand
from tenants.models import Account


class Command(JsonCommand):
    help = "Creates a customer account; prints its consent URL."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--name", required=True)
        parser.add_argument("--domain", action="append", required=True, dest="domains", metavar="DOMAIN")
        parser.add_argument("--time-zone", required=True)
        parser.add_argument("--cloud", choices=sorted(CLOUDS), default="global")
        parser.add_argument("--contact-email", default="")
        parser.add_argument("--language", choices=[code for code, _ in settings.LANGUAGES], default="en")

    def run(self, **options: Any) -> dict[str, object]:
        account = Account(
            slug=options["slug"],
            name=options["name"],
            domains=[domain.strip().lower() for domain in options["domains"]],
            time_zone=options["time_zone"],
            cloud=options["cloud"],
            contact_email=options["contact_email"],
            language=options["language"],
        )
        account.full_clean()
        account.save()
        audit.record(account, "account_created", "ok", actor="command line")
        return {"account": account.slug, "consent_url": account.consent_url}
