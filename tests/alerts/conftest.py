"""What the tests of mails share: somebody to write to, and a clock that moves on by the minute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from alerts import tasks
from tenants.models import Account
from tests.factories import make_account

SUPPORT = "support@eventcadence.example"
CONTACT = "it@contoso.example"


@pytest.fixture(autouse=True)
def _mails_leave(settings: Any) -> None:
    settings.SENDS_MAILS = True
    settings.EMAIL_FROM = "exchange@eventcadence.example"
    settings.SUPPORT_EMAIL = SUPPORT
    settings.PUBLIC_HOST = "localhost"


@pytest.fixture
def clock() -> Iterator[Any]:
    """Time that stands still until it is moved."""
    with time_machine.travel(timezone.now(), tick=False) as found:
        yield found


@pytest.fixture
def minutes(clock: Any) -> Callable[[int], None]:
    """The worker's next minutes, one after the other."""

    def pass_by(count: int) -> None:
        for _ in range(count):
            clock.shift(timedelta(minutes=1))
            tasks.reconcile_incidents()
            tasks.send_mails()

    return pass_by


@pytest.fixture
def contoso(db: None, clock: Any, consent: Callable[..., Any], minutes: Any, mailoutbox: Any) -> Account:
    """An account with a contact, connected and confirmed half an hour ago; the mailbox is empty again."""
    account = make_account("contoso", contact_email=CONTACT)
    assert consent(account).status_code == 200
    minutes(1)
    clock.shift(timedelta(minutes=30))
    mailoutbox.clear()
    account.refresh_from_db()
    return account
