"""Commands whose last line of standard output is one JSON object; everything else goes to standard error."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from microsoft.errors import IntegrationError
from tenants.models import Account


class JsonCommand(BaseCommand, ABC):
    """Subclasses implement `run`; what they raise becomes one line and exit status 1."""

    @abstractmethod
    def run(self, **options: Any) -> dict[str, object]:
        """The object to print."""

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            result = self.run(**options)
        except ValidationError as error:
            raise CommandError(_one_line(error)) from None
        except (IntegrationError, DatabaseError) as error:
            raise CommandError(f"{type(error).__name__}: {str(error).splitlines()[0]}") from None
        self.stdout.write(json.dumps(result))

    def say(self, text: str) -> None:
        """A message for the person at the terminal."""
        self.stderr.write(text, self.style.NOTICE)


def account_named(slug: str) -> Account:
    """The account, or one line that says there is none."""
    account = Account.objects.filter(slug=slug).first()
    if account is None:
        raise CommandError(f"There is no account “{slug}”.")
    return account


def _one_line(error: ValidationError) -> str:
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items())
