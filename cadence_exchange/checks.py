"""Start-up checks: what the environment got wrong, by variable, without showing a secret's value."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register, run_checks
from django.db import DatabaseError, connection

from cadence_exchange.env import PROBLEMS
from tenants import keys, simulation

log = logging.getLogger(__name__)


@register("cadence")
def environment_is_usable(**_: Any) -> list[CheckMessage]:
    """cadence.E001: a variable holds something that is not allowed, or a needed one is missing."""
    return [
        Error(
            f"{problem.variable} cannot be used: read {problem.read}.",
            hint=f"Allowed is {problem.allowed}.",
            id="cadence.E001",
        )
        for problem in PROBLEMS
    ]


@register("cadence")
def microsoft_registration_is_complete(**_: Any) -> list[CheckMessage]:
    """cadence.E002/W001: half an app registration cannot work; none at all lets everything but consent work."""
    has_credential = bool(settings.MICROSOFT_CLIENT_SECRET or settings.MICROSOFT_CLIENT_CERTIFICATE)
    if bool(settings.MICROSOFT_CLIENT_ID) == has_credential:
        return []
    return [
        checks.Warning(
            "The Microsoft app registration is incomplete: nobody can connect a calendar.",
            hint="Set MICROSOFT_CLIENT_ID together with MICROSOFT_CLIENT_SECRET or MICROSOFT_CLIENT_CERTIFICATE.",
            id="cadence.W001",
        )
    ]


@register("cadence")
def a_simulated_microsoft_is_for_training(**_: Any) -> list[CheckMessage]:
    """cadence.W003/I001: real customers must not sign in at a simulation."""
    if not (settings.PUBLIC_HTTPS and simulation.installation_is_simulated()):
        return []
    if settings.ALLOW_SIMULATED_MICROSOFT:
        return [checks.Info("Microsoft 365 is simulated: this is a training installation.", id="cadence.I001")]
    return [
        checks.Warning(
            "MICROSOFT_AUTHORITY_URL is no Microsoft address: nobody can connect, and connections are not renewed.",
            hint="Remove it, or set ALLOW_SIMULATED_MICROSOFT=True if this installation is for training.",
            id="cadence.W003",
        )
    ]


@register(Tags.security, deploy=True)
def public_address_is_https(**_: Any) -> list[CheckMessage]:
    """cadence.W002: codes and session cookies must not travel in clear."""
    if settings.PUBLIC_HTTPS:
        return []
    return [checks.Warning("PUBLIC_URL is not https.", hint="Set PUBLIC_URL=https://…", id="cadence.W002")]


@register(Tags.database)
def keys_in_use_are_here(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """cadence.E003: what is stored needs a key that was dropped. Run by `migrate` and `check --database default`."""
    missing = _missing_keys() if databases else []
    if not missing:
        return []
    return [
        Error(
            f"Keys still in use are not among FERNET_KEYS: {', '.join(missing)}.",
            hint="Bring them back behind the newest one and run rotate_encryption_keys before dropping them.",
            id="cadence.E003",
        )
    ]


def _missing_keys() -> list[str]:
    try:
        return keys.missing_keys()
    except DatabaseError:  # no table yet, or no database: others say so
        return []


def tell_of_missing_keys() -> None:
    """For servers and workers: one ERROR line, and the start goes on, since all other rows can be served."""
    missing = _missing_keys()
    # A worker forks afterwards: no connection may be carried over.
    connection.close()
    if hasattr(connection, "close_pool"):
        connection.close_pool()
    if missing:
        log.error("encryption keys still in use are missing", extra={"key_ids": missing})


# gunicorn's sign that a worker cannot boot: with any other status it would start a new one for ever.
CANNOT_BOOT = 3


def refuse_to_start_when_misconfigured() -> None:
    """For servers and workers, which run no checks by themselves. Ends the process with one line an error."""
    errors = [message for message in run_checks(tags=["cadence"]) if message.is_serious()]
    if errors:
        sys.stderr.write("".join(f"{error.id}: {error.msg} {error.hint}\n" for error in errors))
        raise SystemExit(CANNOT_BOOT)
