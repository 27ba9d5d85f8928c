"""Plain functions that make rows, and the API as a caller with a key sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from tenants.authentication import new_key
from tenants.models import Account, ApiKey


def make_account(slug: str = "contoso", **fields: Any) -> Account:
    """A customer account whose domain is `<slug>.example`."""
    values = {"name": slug.title(), "domains": [f"{slug}.example"], "time_zone": "Europe/Berlin", **fields}
    return Account.objects.create(slug=slug, **values)


def make_api_key(*accounts: Account, **fields: Any) -> str:
    """A key for these accounts, in clear."""
    made = new_key()
    row = ApiKey.objects.create(name="test", prefix=made.prefix, key_hash=made.key_hash, **fields)
    row.accounts.set(accounts)
    return made.key.reveal()


@dataclass(frozen=True, slots=True)
class Api:
    """`api.post("contoso", "slots", {...})` with the key's header; `api.get("contoso")` asks the connection."""

    key: str
    client: Client = field(default_factory=Client)

    def get(self, slug: str, what: str = "connection", **extra: Any) -> Any:
        """GET /accounts/{slug}/{what}/"""
        return self.client.get(_path(slug, what), headers={"Authorization": f"Bearer {self.key}"}, **extra)

    def post(self, slug: str, what: str, body: Any, **extra: Any) -> Any:
        """POST /accounts/{slug}/{what}/ with a JSON body."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return self.client.post(_path(slug, what), body, content_type="application/json", headers=headers, **extra)


def _path(slug: str, what: str) -> str:
    return f"/api/v1/accounts/{slug}/{what}/"
