"""The audit trail: written once, kept for good, and believing no address that anybody could have written."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory

from tenants import audit
from tenants.correlation import adopt_request_id
from tenants.models import AuditEntry
from tests.factories import make_account


@pytest.mark.django_db
def test_an_entry_says_what_who_and_under_which_request() -> None:
    request_id = adopt_request_id("an-id-of-the-caller")
    account = make_account()
    audit.record(account, "tested", "ok", actor="a" * 300, address="192.0.2.7", note="kept")
    entry = AuditEntry.objects.get()
    assert (entry.account, entry.account_slug, entry.action, entry.outcome) == (account, "contoso", "tested", "ok")
    assert (entry.address, entry.request_id, entry.details) == ("192.0.2.7", request_id, {"note": "kept"})
    assert entry.actor == "a" * 254


@pytest.mark.django_db
def test_an_entry_is_neither_changed_nor_deleted() -> None:
    audit.record(None, "tested", "ok")
    entry = AuditEntry.objects.get()
    for attempt in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(outcome="other"),
    ):
        with pytest.raises(TypeError, match="never"):
            attempt()
    assert AuditEntry.objects.get().outcome == "ok"


@pytest.mark.django_db
def test_the_trail_outlives_its_account() -> None:
    account = make_account()
    audit.record(account, "tested", "ok")
    account.delete()
    assert AuditEntry.objects.get().account_slug == "contoso"


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        ("192.0.2.7", None, {"127.0.0.1"}, "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", {"127.0.0.1"}, "192.0.2.7"),  # anybody can write that header
        ("127.0.0.1", "198.51.100.1", {"127.0.0.1"}, "198.51.100.1"),
        ("127.0.0.1", "203.0.113.9, 198.51.100.1", {"127.0.0.1"}, "198.51.100.1"),  # the proxy's own word comes last
        ("127.0.0.1", "", {"127.0.0.1"}, "127.0.0.1"),
        ("127.0.0.1", "<script>", {"127.0.0.1"}, None),
        ("192.0.2.7", "2001:db8::1", {"*"}, "2001:db8::1"),
        ("", None, {"127.0.0.1"}, None),  # a unix socket has no address
    ],
)
def test_a_forwarded_address_is_believed_from_trusted_proxies_alone(
    settings: Any, peer: str, forwarded: str | None, trusted: set[str], address: str | None
) -> None:
    settings.TRUSTED_PROXIES = frozenset(trusted)
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    request = RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer)
    assert audit.client_address(request) == address
