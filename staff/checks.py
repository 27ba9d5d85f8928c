"""Start-up checks: what an operator should know of how staff sign in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Info, Tags, register


@register(Tags.security, deploy=True)
def staff_need_a_second_factor(**_: Any) -> list[CheckMessage]:
    """cadence.I002: on a public address a password alone opens Cadence Admin."""
    if settings.ADMIN_REQUIRE_TOTP or not settings.PUBLIC_HTTPS:
        return []
    return [
        Info(
            "A password alone opens Cadence Admin for those without a second factor.",
            hint="Set ADMIN_REQUIRE_TOTP=True once everybody knows.",
            id="cadence.I002",
        )
    ]
