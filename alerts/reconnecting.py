"""Sends an account's contact the consent link because somebody at support asks for it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from alerts import outbox
from alerts.models import Kind, Mail
from tenants.models import Account

PAUSE = timedelta(minutes=10)


def invite(account: Account, now: datetime) -> bool:
    """Puts the mail into the outbox; False when the last one is less than ten minutes old."""
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)  # two at the same moment are one after the other
        if Mail.objects.filter(account=account, kind=Kind.RECONNECT, created_at__gt=now - PAUSE).exists():
            return False
        outbox.tell_contact(Kind.RECONNECT, account, f"link:{account.pk}:{now.isoformat()}", now)
    return True
