"""Failures of the API that are not the caller's mistake, with what they carry to the caller."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rest_framework.exceptions import APIException

from microsoft.graph import CallRecord
from tenants.models import Account, Connection

RETRY_AFTER_SECONDS = 10


class Problem(APIException):
    """`members` join the problem document, `headers` the answer."""

    code = ""

    def __init__(
        self,
        detail: str,
        *,
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail, self.code)
        self.members = members or {}
        self.headers = headers or {}


class NotConnected(Problem):
    """The account has no enabled connection: its administrator must consent, at the address given."""

    status_code = 409
    code = "not_connected"

    def __init__(self, account: Account, connection: Connection | None) -> None:
        state = connection.state if connection else "pending"
        super().__init__(
            f"The account's connection to Microsoft 365 is {state}.",
            members={"consent_url": account.consent_url, "state": state},
        )


class MicrosoftUnavailable(Problem):
    """Nothing could be read and it may pass; also when our own registration is refused. `calls`: what was tried."""

    status_code = 503
    code = "microsoft_unavailable"

    def __init__(self, detail: str, retry_after: float | None = None, calls: Sequence[CallRecord] = ()) -> None:
        seconds = max(math.ceil(retry_after or RETRY_AFTER_SECONDS), 1)
        super().__init__(detail, headers={"Retry-After": str(seconds)})
        self.calls = tuple(calls)
