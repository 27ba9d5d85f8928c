"""Two workers, each with a beat of its own, and a queue that loses everything now and then: no harm."""

from __future__ import annotations

from typing import Any

import redis

from tests.processes.installation import BIN, Installation, wait_until

SEND = """
from alerts.tasks import reconcile_incidents, send_mails
from freebusy.tasks import probe_due_connections
from tenants.tasks import refresh_due_tokens
from webhooks.tasks import send_due_webhooks
for _ in range(5):
    for task in (refresh_due_tokens, probe_due_connections, reconcile_incidents, send_mails, send_due_webhooks):
        task.delay()
"""
ROWS = """
import json
from alerts.models import Incident, Mail
from django.utils import timezone
from tenants.models import AuditEntry, Connection, TokenRecord
print(json.dumps({
    "states": dict(Connection.objects.values_list("account__slug", "state")),
    "incidents": list(Incident.objects.values_list("connection__account__slug", flat=True)),
    "alerts": list(Mail.objects.filter(kind="alert", status="sent").values_list("audience", flat=True)),
    "due": TokenRecord.objects.filter(connection__state="enabled", refresh_due_at__lte=timezone.now()).count(),
    "losses": AuditEntry.objects.filter(action="connection_lost").count(),
}))
"""


def lose_all_messages(installation: Installation) -> None:
    """What is in the queue is gone, as after a broker without persistence was restarted."""
    url = installation.services.get("REDIS_URL")
    if url:
        redis.Redis.from_url(url).delete("celery")
    else:
        for message in (installation.folder / "broker").rglob("*.msg"):
            message.unlink(missing_ok=True)


def start_two_workers_with_a_beat_each(installation: Installation) -> None:
    for name in ("first", "second"):
        installation.spawn(
            name,
            str(BIN / "celery"),
            "-A",
            "cadence_exchange",
            "worker",
            "-B",
            "--pool",
            "threads",
            "-n",
            name,
            "-l",
            "INFO",
        )
    for name in ("first", "second"):
        log = installation.folder / f"{name}.log"
        wait_until(f"the {name} worker", lambda log=log: b"ready." in log.read_bytes())


def rows(installation: Installation) -> dict[str, Any]:
    return installation.manage("shell", "-c", ROWS)


def test_two_beats_and_lost_and_doubled_messages_cost_no_second_refresh_loss_or_mail(
    installation: Installation,
) -> None:
    mails = installation.folder / "mails"
    installation.services |= {
        "TICK_SECONDS": "5",
        "ALERT_SETTLE_SECONDS": "0",
        "ALERT_PAUSE_SECONDS": "0",
        "EMAIL_URL": f"file://{mails}",
        "SUPPORT_EMAIL": "support@cadence.example",
    }
    installation.start_web(workers=1)
    installation.connect("contoso", "cadence-service@contoso.example")
    installation.connect("fabrikam", "cadence-service@fabrikam.example")
    start_two_workers_with_a_beat_each(installation)
    lose_all_messages(installation)
    installation.control(revoke_refresh_tokens="cadence-service@fabrikam.example")
    installation.expire_tokens()
    installation.manage("shell", "-c", SEND)
    wait_until("the alert", lambda: rows(installation)["alerts"] == ["support"])
    lose_all_messages(installation)
    installation.manage("shell", "-c", SEND)
    wait_until("the other's refresh", lambda: installation.counter("token_refresh"))
    wait_until("all messages to be worked off", lambda: rows(installation)["due"] == 0)

    seen = rows(installation)
    assert seen["states"] == {"contoso": "enabled", "fabrikam": "needs_consent"}
    assert (seen["losses"], seen["incidents"]) == (1, ["fabrikam"])
    assert seen["alerts"] == ["support"]
    assert installation.counter("token_refresh:cadence-service@contoso.example") == 1
    assert installation.counter("token_errors") == 1
    assert sum("needs" in path.read_text() for path in mails.iterdir()) == 1
