"""Whether Microsoft 365 is the real one: a simulated one is marked wherever a person sees it."""

from __future__ import annotations

from django.conf import settings

from microsoft import clouds
from tenants.models import Connection


def installation_is_simulated() -> bool:
    """Whether this installation signs people in at something that is not Microsoft."""
    return clouds.is_simulated(settings.MICROSOFT_AUTHORITY_URL)


def is_simulated(connection: Connection | None) -> bool:
    """Whether the connection was made with a simulated Microsoft 365, or is read from one now."""
    return installation_is_simulated() or (connection is not None and connection.simulated)


def refused() -> bool:
    """On a public address only installations that say they are for training may use a simulation."""
    return installation_is_simulated() and settings.PUBLIC_HTTPS and not settings.ALLOW_SIMULATED_MICROSOFT
