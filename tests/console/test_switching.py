"""A move to another Entra tenant takes two people, of whom the second is a superuser, and allows exactly one tenant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from console.models import TenantSwitch
from tenants.disconnecting import disconnect
from tenants.models import Account, AuditEntry, Connection
from tests.console.people import ACT, ADMINISTER, browser_of, last_entry
from tests.factories import make_account

pytestmark = pytest.mark.django_db
OTHER = "cadence-service@fabrikam.example"


@pytest.fixture
def refused(contoso: Account, consent: Callable[..., Any]) -> str:
    """The tenant of a sign-in that was refused, since contoso is connected with another."""
    assert consent(contoso, OTHER).status_code == 200
    tenant = Connection.objects.get().refused_tenant_id
    assert tenant and tenant != contoso.connection.tenant_id
    return str(tenant)


@pytest.fixture
def proposer(db: None) -> Client:
    """Somebody of support."""
    return browser_of("ann", ACT)


@pytest.fixture
def root(db: None) -> Client:
    """A superuser."""
    return browser_of("root", superuser=True)


def press(client: Client, step: str, tenant: str) -> str:
    answer = client.post(f"/admin/accounts/contoso/switch/{step}/", {"tenant": tenant})
    assert answer.status_code == 302
    [said] = [str(message) for message in get_messages(answer.wsgi_request)]
    client.get(answer["Location"])
    return said


def allowed() -> str:
    return str(Connection.objects.get(account__slug="contoso").allowed_tenant_id)


def page(client: Client) -> str:
    return client.get("/admin/accounts/contoso/").content.decode()


def test_two_people_let_exactly_the_refused_tenant_in(
    contoso: Account, consent: Callable[..., Any], refused: str, proposer: Client, root: Client
) -> None:
    before = contoso.connection.tenant_id
    assert "Allow tenant switch: propose" in page(proposer) and "Approve the switch" not in page(root)
    assert press(proposer, "propose", refused).startswith("Proposed.")
    assert allowed() == ""
    assert "Proposed by ann" in page(root) and "Approve the switch" in page(root)
    assert press(root, "approve", refused).startswith("Allowed: contoso may now connect from")
    assert allowed() == refused
    entry = last_entry("tenant_switch_allowed")
    assert (entry.actor, entry.details) == (
        "root",
        {"tenant_id": refused, "previous_tenant_id": before, "proposed_by": "ann"},
    )
    assert last_entry("tenant_switch_proposed").actor == "ann"
    assert consent(contoso, OTHER).status_code == 200
    row = Connection.objects.get()
    assert (row.tenant_id, row.allowed_tenant_id) == (refused, "")


def test_nobody_approves_what_they_proposed_superusers_neither(refused: str, contoso: Account, root: Client) -> None:
    press(root, "propose", refused)
    assert "It takes a second person" in page(root) and "Approve the switch" not in page(root)
    assert press(root, "approve", refused).startswith("It takes a second person")
    assert allowed() == "" and not AuditEntry.objects.filter(action="tenant_switch_allowed").exists()


def test_the_second_person_must_be_a_superuser(refused: str, contoso: Account, proposer: Client) -> None:
    boss = browser_of("boss", ADMINISTER)
    press(proposer, "propose", refused)
    assert "Only a superuser can approve" in page(boss)
    assert press(boss, "approve", refused) == "Only a superuser can approve the switch."
    assert allowed() == ""


def test_a_proposal_ends_after_a_day(
    refused: str, contoso: Account, proposer: Client, root: Client, time_machine: Any
) -> None:
    start = timezone.now()
    time_machine.move_to(start, tick=False)
    press(proposer, "propose", refused)
    time_machine.move_to(start + timedelta(hours=24), tick=False)
    root.force_login(User.objects.get(username="root"))
    proposer.force_login(User.objects.get(username="ann"))
    assert press(root, "approve", refused).startswith("That switch does not wait for approval")
    assert allowed() == ""
    assert press(proposer, "propose", refused).startswith("Proposed.")  # anew
    assert press(root, "approve", refused).startswith("Allowed")


def test_what_was_refused_after_the_proposal_is_not_allowed_by_it(
    refused: str, contoso: Account, proposer: Client, root: Client
) -> None:
    press(proposer, "propose", refused)
    later = "33333333-3333-4333-8333-333333333333"
    Connection.objects.update(refused_tenant_id=later)
    assert press(root, "approve", later).startswith("That switch does not wait for approval")
    assert press(root, "approve", refused).startswith("The connection has changed")
    assert allowed() == ""
    assert press(proposer, "propose", later).startswith("Proposed.")
    assert press(root, "approve", refused).startswith("That switch does not wait for approval")
    assert press(root, "approve", later).startswith("Allowed")


@pytest.mark.parametrize("tenant", ["", "44444444-4444-4444-8444-444444444444"])
def test_only_the_tenant_that_was_refused_last_can_be_proposed(
    refused: str, contoso: Account, proposer: Client, tenant: str
) -> None:
    assert press(proposer, "propose", tenant).startswith("That is not the tenant")
    assert not TenantSwitch.objects.exists()


def test_where_nothing_was_refused_nothing_is_offered(contoso: Account, root: Client) -> None:
    assert "tenant switch" not in page(root)
    assert press(root, "propose", "").startswith("That is not the tenant")


def test_a_switch_is_proposed_once_at_a_time(refused: str, contoso: Account, proposer: Client, root: Client) -> None:
    press(proposer, "propose", refused)
    assert press(root, "propose", refused).startswith("This switch is proposed already")
    assert press(root, "approve", refused).startswith("Allowed")


def test_a_withdrawn_proposal_cannot_be_approved(
    refused: str, contoso: Account, proposer: Client, root: Client
) -> None:
    press(proposer, "propose", refused)
    assert press(proposer, "withdraw", refused) == "The proposal is withdrawn."
    assert press(root, "approve", refused).startswith("That switch does not wait for approval")
    assert press(proposer, "withdraw", refused) == "No switch waits for approval."
    assert allowed() == "" and last_entry("tenant_switch_withdrawn").actor == "ann"


def test_an_approval_is_used_once(refused: str, contoso: Account, proposer: Client, root: Client) -> None:
    press(proposer, "propose", refused)
    press(root, "approve", refused)
    assert press(root, "approve", refused).startswith("That switch does not wait for approval")
    assert AuditEntry.objects.filter(action="tenant_switch_allowed").count() == 1


def test_a_proposal_dies_with_the_connection_it_was_about(
    refused: str, contoso: Account, proposer: Client, root: Client
) -> None:
    press(proposer, "propose", refused)
    disconnect(contoso, why="test", actor="test")
    assert press(root, "approve", refused).startswith("The connection has changed")
    assert allowed() == ""


def test_a_proposal_of_one_account_does_not_help_another(
    refused: str, contoso: Account, proposer: Client, root: Client
) -> None:
    other = Connection.objects.create(account=make_account("fabrikam"), tenant_id="x", refused_tenant_id=refused)
    press(proposer, "propose", refused)
    root.post("/admin/accounts/fabrikam/switch/approve/", {"tenant": refused})
    other.refresh_from_db()
    assert other.allowed_tenant_id == "" and allowed() == ""


def test_a_proposal_whose_proposer_is_gone_is_gone_too(
    refused: str, contoso: Account, proposer: Client, root: Client
) -> None:
    press(proposer, "propose", refused)
    User.objects.get(username="ann").delete()
    assert press(root, "approve", refused).startswith("That switch does not wait for approval")
