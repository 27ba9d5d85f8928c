"""Fills a new database by the product's own commands: two accounts, a key, somebody who may use the admin."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from demo import folder
from demo.environment import Setting
from demo.folder import Seeded
from demo.processes import Children
from demo.story import say

_ADMIN = "demo"
_ACCOUNTS = (
    ("contoso", "Contoso Ltd", "contoso.example", "Europe/Berlin"),
    ("fabrikam", "Fabrikam Inc", "fabrikam.example", "America/New_York"),
)


def prepare(setting: Setting, children: Children) -> Seeded:
    """Brings the database up to date, and fills it when it is new."""
    seeded = folder.load(setting.folder)
    if seeded is None:
        folder.drop_half_made_database(setting.folder)
    say("  database: migrating")
    children.run("migrate", setting.manage("migrate", "--noinput"))
    return seeded or _seed(setting, children, setting.folder)


def _seed(setting: Setting, children: Children, where: Path) -> Seeded:
    for slug, name, domain, zone in _ACCOUNTS:
        say(f"  account:  {slug}")
        options = ("--name", name, "--domain", domain, "--time-zone", zone)
        children.run("create_account", setting.manage("create_account", slug, *options))
    say("  API key:  demo, for both accounts")
    both = (part for slug, *_ in _ACCOUNTS for part in ("--account", slug))
    made = json.loads(children.run("create_api_key", setting.manage("create_api_key", "demo", *both)))
    # The plain key must not stay in a log.
    (where / "logs" / "create_api_key.log").unlink()
    say(f"  admin:    {_ADMIN}")
    password = secrets.token_urlsafe(9)
    children.run(
        "createsuperuser",
        setting.manage("createsuperuser", "--noinput", "--username", _ADMIN, "--email", "demo@localhost.example"),
        DJANGO_SUPERUSER_PASSWORD=password,
    )
    seeded = Seeded(api_key=made["key"], admin_user=_ADMIN, admin_password=password)
    folder.keep(where, seeded)
    return seeded
