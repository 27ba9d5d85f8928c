"""Answers the question of a support bundle again, from what is in the file alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rest_framework.exceptions import ValidationError

from freebusy.bundle import Damaged, decoded
from freebusy.replay import Unreplayable, inspection_of
from tenants.management.json_command import JsonCommand


class Command(JsonCommand):
    help = "Finds the slots of a support bundle's question again; needs neither database nor network."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)

    def run(self, **options: Any) -> dict[str, object]:
        try:
            bundle = decoded(options["file"].read_bytes())
            if bundle.case is None:
                raise CommandError(f"This bundle holds no answer: {(bundle.problem or {}).get('detail', 'none asked')}")
            inspection = inspection_of(bundle.case)
            found = {"availability": inspection.availability, "slots": inspection.slots}
        except (OSError, Damaged, Unreplayable) as error:
            raise CommandError(str(error)) from None
        except ValidationError:
            raise CommandError("The question in this bundle is none that the API of this version takes.") from None
        kept = {"availability": bundle.case.availability, "slots": bundle.case.slots}
        different = [name for name, answer in found.items() if answer != kept[name]]
        if bundle.answered_at:
            self.say(f"Answered at {bundle.answered_at:%Y-%m-%d %H:%M:%S} UTC by version {bundle.answered_by}.")
        self.say(f"Made by version {bundle.code_version}; {'different' if different else 'the same'} here.")
        return {"equal": not different, "different": different, "slots": found["slots"]["slots"]}
