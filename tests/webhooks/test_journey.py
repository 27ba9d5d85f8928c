"""From what happens at Microsoft to what the Cadence backend hears, over the simulated Microsoft and a real socket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from alerts import expiry
from freebusy import probes
from sandbox import Sandbox
from tenants import recording
from tenants.disconnecting import disconnect
from tenants.health import Health, Outcome
from tenants.models import Account, Connection, TokenRecord
from tenants.refreshing import refresh_all
from tenants.signals import credential_expiring
from tests.conftest import READER
from tests.factories import make_account
from tests.webhooks.conftest import MakeEndpoint
from tests.webhooks.receiver import Receiver
from webhooks.models import Delivery
from webhooks.sending import send_due
from webhooks.tasks import send_due_webhooks


def probe() -> Health:
    return probes.probe(probes.enabled_connections().get())


def test_a_revoked_reader_is_told_once_and_a_reconnect_too(
    contoso: Account,
    microsoft: Sandbox,
    consent: Callable[..., Any],
    receiver: Receiver,
    make_endpoint: MakeEndpoint,
) -> None:
    _, secret = make_endpoint(receiver.url, contoso)
    TokenRecord.objects.update(access_expires_at=timezone.now())
    microsoft.control.set({"revoke_refresh_tokens": READER})
    probe()
    for _ in range(3):
        send_due_webhooks()
    lost = next(received for received in receiver.received if received.event["type"] == "connection.needs_consent")
    assert receiver.types.count("connection.needs_consent") == 1
    lost.verify(secret)
    assert lost.path == "/events?of=cadence"
    event = lost.event
    assert (event["id"], event["account"]) == (lost.headers["webhook-id"], "contoso")
    assert event["data"]["state"] == "needs_consent"
    assert event["data"]["consent_url"] == contoso.consent_url
    assert set(event["data"]["reason"]) == {"code", "title", "actor"}
    assert READER.encode() not in b"".join(received.body for received in receiver.received)

    receiver.received.clear()
    assert consent(contoso).status_code == 200
    send_due_webhooks()
    assert "connection.enabled" in receiver.types
    enabled = next(received for received in receiver.received if received.event["type"] == "connection.enabled")
    enabled.verify(secret)
    assert enabled.event["data"] == {"state": "enabled", "health": "healthy", "reason": None}


def test_a_loss_that_a_probe_finds_is_also_told_as_the_failed_check_whose_recovery_is_told_later(
    contoso: Account,
    microsoft: Sandbox,
    consent: Callable[..., Any],
    receiver: Receiver,
    make_endpoint: MakeEndpoint,
) -> None:
    make_endpoint(receiver.url, contoso)
    TokenRecord.objects.update(access_expires_at=timezone.now())
    microsoft.control.set({"revoke_refresh_tokens": READER})
    probe()
    consent(contoso)
    while send_due():
        pass
    assert sorted(receiver.types) == sorted(
        ["connection.needs_consent", "connection.degraded", "connection.enabled", "connection.recovered"]
    )


def test_a_loss_that_a_refresh_finds_is_no_failed_check_and_its_end_no_recovery(
    contoso: Account,
    microsoft: Sandbox,
    consent: Callable[..., Any],
    receiver: Receiver,
    make_endpoint: MakeEndpoint,
) -> None:
    make_endpoint(receiver.url, contoso)
    microsoft.control.set({"revoke_refresh_tokens": READER})
    refresh_all()
    consent(contoso)
    while send_due():
        pass
    assert sorted(receiver.types) == ["connection.enabled", "connection.needs_consent"]


def test_a_first_consent_is_told_to_whom_it_concerns(
    db: None, consent: Callable[..., Any], receiver: Receiver, make_endpoint: MakeEndpoint
) -> None:
    mine, other = make_account("contoso"), make_account("fabrikam")
    make_endpoint(receiver.url, mine)
    make_endpoint(receiver.url)
    make_endpoint(receiver.url, other)
    make_endpoint(receiver.url, mine, events=["connection.down"])
    make_endpoint(receiver.url, mine, disabled_at=timezone.now())
    assert consent(mine).status_code == 200
    assert (Delivery.objects.count(), send_due()) == (2, 2)
    assert receiver.types == ["connection.enabled"] * 2
    assert len({received.event["id"] for received in receiver.received}) == 1  # one event, however many hear it


def test_an_outage_is_told_step_by_step(
    contoso: Account, microsoft: Sandbox, receiver: Receiver, make_endpoint: MakeEndpoint
) -> None:
    make_endpoint(receiver.url, contoso)
    microsoft.control.set({"faults": [{"path": "getSchedule", "status": 403, "times": None}]})
    for _ in range(3):
        probe()
        send_due()
    microsoft.control.set({"clear_faults": True})
    probe()
    send_due()
    assert receiver.types == ["connection.degraded", "connection.down", "connection.recovered"]
    bad, worse, good = (received.event["data"] for received in receiver.received)
    assert (bad["health"], worse["health"], good["health"]) == ("degraded", "down", "healthy")
    assert bad["reason"]["code"] and good["reason"] is None
    assert "consent_url" not in bad


def test_a_disconnect_is_no_event(contoso: Account, receiver: Receiver, make_endpoint: MakeEndpoint) -> None:
    make_endpoint(receiver.url, contoso)
    disconnect(contoso, why="test", actor="test")
    assert not Delivery.objects.exists()


def test_what_is_rolled_back_was_never_told(contoso: Account, receiver: Receiver, make_endpoint: MakeEndpoint) -> None:
    make_endpoint(receiver.url, contoso)
    connection = Connection.objects.get()
    refused = recording.CheckResult(Outcome.REFUSED, code="ErrorAccessDenied")

    class Undone(Exception):
        pass

    with pytest.raises(Undone), transaction.atomic():
        recording.record_check(connection, refused, timezone.now())
        assert Delivery.objects.count() == 1
        raise Undone
    assert not Delivery.objects.exists()
    assert send_due() == 0


def test_a_credential_of_the_installation_is_told_to_endpoints_for_all_accounts(
    contoso: Account, receiver: Receiver, make_endpoint: MakeEndpoint
) -> None:
    make_endpoint(receiver.url, contoso)
    make_endpoint(receiver.url)
    ends = timezone.now() + timedelta(days=14)
    credential_expiring.send(Account, subject="client_secret", expires_at=ends, days_left=14)
    assert send_due() == 1
    event = receiver.received[0].event
    assert (event["type"], event["account"]) == ("credential.expiring", None)
    assert (event["data"]["subject"], event["data"]["days_left"]) == ("client_secret", 14)


def test_a_token_long_unused_is_told_under_its_account_and_once(
    contoso: Account, receiver: Receiver, make_endpoint: MakeEndpoint
) -> None:
    make_endpoint(receiver.url, contoso)
    TokenRecord.objects.update(refreshed_at=timezone.now() - timedelta(days=80))
    for _ in range(2):
        expiry.warn()
    assert send_due() == 1
    event = receiver.received[0].event
    assert (event["type"], event["account"]) == ("credential.expiring", "contoso")
    assert (event["data"]["subject"], event["data"]["days_left"]) == ("token", 9)


def test_the_link_that_is_sent_is_the_one_in_force_and_no_row_holds_it(
    contoso: Account, microsoft: Sandbox, receiver: Receiver, make_endpoint: MakeEndpoint
) -> None:
    make_endpoint(receiver.url, contoso, events=["connection.needs_consent"])
    TokenRecord.objects.update(access_expires_at=timezone.now())
    microsoft.control.set({"revoke_refresh_tokens": READER})
    probe()
    assert contoso.consent_key not in str(list(Delivery.objects.values_list("payload", flat=True)))
    Account.objects.update(consent_key="renewed")
    send_due()
    [lost] = receiver.received
    assert lost.event["data"]["consent_url"].endswith("/connect/renewed/")
