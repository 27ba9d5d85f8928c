"""Fills a new installation by the product's own commands and pages: accounts, a key, somebody for the admin, a past."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from demo import customers, folder
from demo.environment import KEY, PASSWORD, USER, Setting
from demo.folder import Seeded
from demo.microsoft import Microsoft
from demo.processes import Children
from demo.story import say

_ADMIN = "demo"
_ACCOUNTS = (
    ("contoso", "Contoso Ltd", "contoso.example", "Europe/Berlin"),
    ("fabrikam", "Fabrikam Inc", "fabrikam.example", "America/New_York"),
)


def prepare(setting: Setting, children: Children, seeded: Seeded | None) -> Seeded:
    """Brings the database up to date, and fills it when it is new; tells the sandbox who is there."""
    say("  database: migrating")
    children.run("migrate", setting.manage("migrate", "--noinput"))
    if seeded is None:
        return _seed(setting, children, setting.folder)
    with Microsoft(setting.sandbox_pages) as microsoft:
        for verbs in customers.forgotten():
            microsoft.set(verbs)
    return seeded


def _seed(setting: Setting, children: Children, where: Path) -> Seeded:
    for slug, name, domain, zone in _ACCOUNTS:
        say(f"  account:  {slug}")
        options = ("--name", name, "--domain", domain, "--time-zone", zone)
        children.run("create_account", setting.manage("create_account", slug, *options))
    say("  API key:  demo, for all accounts")
    made = json.loads(children.run("create_api_key", setting.manage("create_api_key", "demo", "--all-accounts")))
    # The plain key must not stay in a log.
    (where / "logs" / "create_api_key.log").unlink()
    say(f"  admin:    {_ADMIN}")
    password = secrets.token_urlsafe(9)
    children.run(
        "createsuperuser",
        setting.manage("createsuperuser", "--noinput", "--username", _ADMIN, "--email", "demo@localhost.example"),
        DJANGO_SUPERUSER_PASSWORD=password,
    )
    count = len(customers.CUSTOMERS)
    say(f"  history:  {customers.DAYS} days of {count} more customers, lived through now (about half a minute)")
    told = {USER: _ADMIN, PASSWORD: password, KEY: made["key"], "LOG_LEVEL": "WARNING"}
    children.run("history", setting.history(), **told)
    seeded = Seeded(api_key=made["key"], admin_user=_ADMIN, admin_password=password)
    folder.keep(where, seeded)
    return seeded
