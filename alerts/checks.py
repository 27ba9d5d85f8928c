"""Start-up checks: whether anybody can be told when something breaks."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register


@register(Tags.security, deploy=True)
def somebody_is_told(**_: Any) -> list[CheckMessage]:
    """cadence.W010/W011: without a mail server, or without support's address, trouble is seen in the admin only."""
    if not settings.SENDS_MAILS:
        return [
            checks.Warning(
                "No mail is sent: alerts wait in the admin and are given up after two days.",
                hint="Set EMAIL_URL=smtp://user:password@host:587, smtps://… or file:///directory.",
                id="cadence.W010",
            )
        ]
    if not settings.SUPPORT_EMAIL:
        return [
            checks.Warning(
                "Nobody at Cadence is told when a connection breaks.",
                hint="Set SUPPORT_EMAIL=address.",
                id="cadence.W011",
            )
        ]
    return []
