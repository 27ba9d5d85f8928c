"""Refreshes many tokens: those that are due, all, or one account's."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from django.db.models import QuerySet
from django.utils import timezone

from microsoft.errors import ConsentRequired, IntegrationError
from microsoft.http import Deadline
from tenants import vault
from tenants.lifecycle import State
from tenants.models import Account, Connection

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 20.0


@dataclass(slots=True)
class Tally:
    """How a run went; `needs_consent` counts those refused for good in this run."""

    refreshed: int = 0
    skipped: int = 0
    failed: int = 0
    needs_consent: int = 0

    def as_json(self) -> dict[str, int]:
        """As the command prints it."""
        return asdict(self)


def refresh_due() -> Tally:
    """Enabled connections whose tokens are due; nothing is counted as skipped."""
    due = _with_account().filter(state=State.ENABLED.value, token__refresh_due_at__lte=timezone.now())
    return _refresh(due.order_by("token__refresh_due_at"))


def refresh_all(slug: str | None = None) -> Tally:
    """Every enabled connection, or one account's, whatever its due time and back-off; others count as skipped."""
    accounts = Account.objects.filter(slug=slug) if slug else Account.objects.all()
    tally = _refresh(_with_account().filter(account__in=accounts).order_by("pk"))
    tally.skipped += accounts.filter(connection=None).count()  # pending, though no row says so yet
    return tally


def _with_account() -> QuerySet[Connection]:
    return Connection.objects.select_related("account", "token").defer("token__refresh_token", "token__access_token")


def _refresh(connections: Iterable[Connection]) -> Tally:
    tally = Tally()
    for connection in connections:
        if not connection.enabled:
            tally.skipped += 1
            continue
        try:
            deadline = Deadline.after(PATIENCE_SECONDS)
            vault.refresh(connection, deadline=deadline, force=True, seen=_seen(connection))
        except ConsentRequired:
            tally.needs_consent += 1
        except IntegrationError as error:
            tally.failed += 1
            log.warning("refresh failed", extra={"account": connection.account.slug, "code": error.code})
        else:
            tally.refreshed += 1
    return tally


def _seen(connection: Connection) -> vault.Seen | None:
    """As it was when the row was chosen, so that of two workers with the same list only one asks Microsoft."""
    if not hasattr(connection, "token"):
        return None
    return vault.Seen(connection.token.version, connection.token.failures)
