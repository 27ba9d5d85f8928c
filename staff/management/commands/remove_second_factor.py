"""For a member of staff who has lost both the phone and the recovery codes."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from staff import second_factor
from tenants import audit
from tenants.management.json_command import JsonCommand


class Command(JsonCommand):
    help = "Takes the second factor from a member of staff; if it is required, the next sign-in sets up a new one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def run(self, **options: Any) -> dict[str, object]:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError("there is no such user")
        removed = second_factor.remove(user)
        if removed:
            audit.record(None, "second_factor_removed", "ok", actor="command line", of=user.get_username())
        return {"user": user.get_username(), "removed": removed}
