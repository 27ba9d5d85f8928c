"""What the tests of webhooks share: a receiver on this machine, and an endpoint for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from microsoft.secret import Secret
from tests.webhooks.receiver import Receiver, receiving
from webhooks.models import Endpoint
from webhooks.signing import new_secret

MakeEndpoint = Callable[..., tuple[Endpoint, str]]


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """One that the operator has allowed, in plain http."""
    with receiving() as here:
        settings.WEBHOOK_PRIVATE_HOSTS = frozenset({"127.0.0.1"})
        yield here


@pytest.fixture
def make_endpoint(db: None) -> MakeEndpoint:
    """An endpoint for these accounts, all if none, with its secret in clear."""

    def make(url: str, *accounts: Any, **fields: Any) -> tuple[Endpoint, str]:
        secret: Secret = new_secret()
        endpoint = Endpoint.objects.create(url=url, secret=secret, **{"all_accounts": not accounts, **fields})
        endpoint.accounts.set(accounts)
        return endpoint, secret.reveal()

    return make
