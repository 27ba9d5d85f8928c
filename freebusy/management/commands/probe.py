"""Checks connections now."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from freebusy import probes
from tenants.health import Health
from tenants.management.json_command import JsonCommand, account_named
from tenants.models import Connection
from tenants.standing import shown_health


class Command(JsonCommand):
    help = "Probes the enabled connections (or one account's) and counts their health afterwards."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", metavar="SLUG")

    def run(self, **options: Any) -> dict[str, object]:
        connections = probes.enabled_connections()
        if options["account"]:
            connections = connections.filter(account=account_named(options["account"]))
        chosen = list(connections.values_list("pk", flat=True))
        probes.probe_all(connections)
        found: Counter[str] = Counter()
        now = timezone.now()
        for connection in Connection.objects.filter(pk__in=chosen).select_related("account").order_by("account__slug"):
            health = shown_health(connection, now)
            found[health.value] += 1
            self.stdout.write(f"{connection.account.slug}: {health.value}")
        return {health.value: found[health.value] for health in Health}
