"""Who sits before Cadence Admin in the tests: people of the ready-made groups, and the log of what they did."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.test import Client

from tenants.models import AuditEntry

READ, ACT, ADMINISTER = "Support (read)", "Support (act)", "Administrators"


def browser_of(name: str, group: str = "", *, superuser: bool = False) -> Client:
    """Signed in as a new person of that group."""
    user = User.objects.create_user(name, is_staff=True, is_superuser=superuser)
    if group:
        user.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(user)
    return client


def last_entry(action: str) -> AuditEntry:
    """What was written down last of that action."""
    entry = AuditEntry.objects.filter(action=action).first()
    assert entry is not None, action
    return entry
