"""What can become of a customer's connection, how the sandbox brings it about, and what support must read of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

NOBODY, PERSON, ADMINISTRATOR, CADENCE = (
    "nobody", "whoever signs in", "an administrator of the customer", "Event Cadence",
)  # fmt: skip
PEOPLE = 6  # of each customer, enough for a sample whose calendars can be missed


class WayBack(StrEnum):
    """What makes a connection whole once its cause is gone."""

    SIGN_IN = "sign in"  # by the consent link, as the customer
    CHECK = "check"  # by support's button


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One broken customer, named by its slug. `breaks`, `mends`: what the sandbox is told.

    The rest is what the pages must say: `stands` is the badge, `reason` the title, `next_step` the words for support or
    what they pass on to the customer's IT.
    """

    slug: str
    breaks: Mapping[str, Any]
    stands: str
    code: str
    reason: str
    actor: str
    next_step: str
    mends: Mapping[str, Any] = field(default_factory=dict)
    way_back: WayBack = WayBack.SIGN_IN


def domain(slug: str) -> str:
    """The domain of the Entra tenant of that name."""
    return f"{slug}.example"


def reader(slug: str) -> str:
    """Who signs in for the customer."""
    return f"cadence-service@{domain(slug)}"


def people(slug: str) -> list[str]:
    """Whose calendars the customer's bookings ask for."""
    return [f"person{number}@{domain(slug)}" for number in range(1, PEOPLE + 1)]


def entries(slug: str) -> dict[str, list[dict[str, str]]]:
    """An hour of tomorrow in everybody's calendar."""
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    busy = {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat(), "status": "busy"}
    return {address: [busy] for address in people(slug)}


def own_troubles() -> list[Trouble]:
    """Those that a customer has alone, while the others work."""
    return [
        Trouble(
            slug="revoked",
            breaks={"revoke_refresh_tokens": reader("revoked")},
            stands="needs consent",
            code="AADSTS50173",
            reason="The permission was revoked",
            actor=PERSON,
            next_step="Open the consent link and sign in again with the same account.",
        ),
        Trouble(
            slug="second-factor",
            breaks={"conditions": {reader("second-factor"): {"mfa": True}}},  # ends by the sign-in alone
            stands="needs consent",
            code="AADSTS50076",
            reason="Multi-factor authentication is needed",
            actor=PERSON,
            next_step="sign in, completing the second factor",
        ),
        Trouble(
            slug="policy",
            breaks={"conditions": {reader("policy"): {"conditional_access": 53003}}},
            stands="needs consent",
            code="AADSTS53003",
            reason="A Conditional Access policy blocks the access",
            actor=ADMINISTRATOR,
            next_step="exclude the account or allow the app and our network addresses",
            mends={"cure": reader("policy")},
        ),
        Trouble(
            slug="withdrawn",
            breaks={"withdraw_consent": domain("withdrawn")},
            stands="needs consent",
            code="AADSTS65001",
            reason="Consent is missing or was withdrawn",
            actor=PERSON,
            next_step="Open the consent link and accept the permissions.",
        ),
        Trouble(
            slug="deleted",
            breaks={"conditions": {domain("deleted"): {"deleted": True}}},
            stands="needs consent",
            code="AADSTS90002",
            reason="Microsoft does not know this organisation",
            actor=CADENCE,
            next_step="if the tenant is gone, disconnect the account",
            mends={"conditions": {domain("deleted"): {"deleted": False}}},
        ),
        Trouble(
            slug="licence",
            breaks={"licences": {reader("licence"): False}},
            stands="down",
            code="MailboxNotEnabledForRESTAPI",
            reason="The account has no mailbox in Exchange Online",
            actor=ADMINISTRATOR,
            next_step="tick a licence with Exchange Online",
            mends={"licences": {reader("licence"): True}},
            way_back=WayBack.CHECK,
        ),
        Trouble(
            slug="throttled",
            breaks={"faults": [{"path": "getSchedule", "tenant": domain("throttled"), "status": 429, "times": None,
                                "retry_after": "30"}]},
            stands="down",
            code="TooManyRequests",
            reason="Microsoft asked us to slow down",
            actor=NOBODY,
            next_step="see whether several accounts share one reader",
            mends={"clear_faults": True},
            way_back=WayBack.CHECK,
        ),
        Trouble(
            slug="emptied",
            breaks={"mailboxes": people("emptied")},  # new and empty ones under the old addresses
            stands="degraded",
            code="canary_empty",
            reason="The calendars look empty all at once",
            actor=CADENCE,
            next_step="Ask the customer for one person who certainly has appointments",
            mends={"events": entries("emptied")},
            way_back=WayBack.CHECK,
        ),
    ]  # fmt: skip
