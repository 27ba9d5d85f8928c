"""What a reason is: one failure code of Microsoft's or ours, put into words for the people who must act."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a failure means for the connection."""

    TRANSIENT = "transient"  # may pass by itself: retry with back-off
    NEEDS_CONSENT = "needs_consent"  # somebody at the customer signs in or consents again
    NEEDS_CUSTOMER_ADMIN = "needs_customer_admin"  # a policy or account at the customer must be changed first
    OUR_FAULT = "our_fault"  # our registration, settings or code: never the customer's problem
    UNKNOWN = "unknown"  # nothing known about it: neither blame the customer nor retry blindly


class Actor(StrEnum):
    """Who can end it."""

    NOBODY = "nobody"
    PERSON = "person"  # the person who signs in
    CUSTOMER_ADMIN = "customer_admin"
    CADENCE = "cadence"
    MICROSOFT = "microsoft"

    @property
    def in_words(self) -> str:
        """For people, in the middle of a sentence."""
        return _ACTORS[self]


_ACTORS = {
    Actor.NOBODY: "nobody",
    Actor.PERSON: "whoever signs in",
    Actor.CUSTOMER_ADMIN: "an administrator of the customer",
    Actor.CADENCE: "Event Cadence",
    Actor.MICROSOFT: "Microsoft",
}


# Microsoft says the same for both: the licence is missing, or the mailbox is.
NO_MAILBOX_CAUSE = (
    "The account has no licence with Exchange Online, or its mailbox does not exist yet, was deleted or is not in the "
    "cloud."
)
NO_MAILBOX_REMEDY = (
    "Open the consent link again and sign in with an account that has a mailbox. Or let an administrator open the "
    "account in the Microsoft 365 admin center under Users > Active users and tick a licence with Exchange Online "
    "under Licenses and apps; try again once the mailbox exists."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One row of the table.

    `what_to_do` is written for the customer's IT and may be shown to them; `support` is for Cadence's own
    people. `retry_once`: seen to pass by itself although it looks final; try once more later before acting.
    `of_one_account`: a fault of ours that lies in one account's settings, and meets no other.
    """

    code: str
    kind: Kind
    actor: Actor
    title: str
    cause: str
    what_to_do: str
    support: str
    retry_once: bool = False
    of_one_account: bool = False

    @property
    def customer_acts(self) -> bool:
        """Whether somebody at the customer can end it."""
        return self.actor in (Actor.PERSON, Actor.CUSTOMER_ADMIN)

    @property
    def next_step(self) -> str:
        """The words for whoever acts; support passes them on to the customer."""
        return self.what_to_do if self.customer_acts else self.support


def rows(
    codes: Iterable[str],
    kind: Kind,
    actor: Actor,
    *,
    title: str,
    cause: str,
    what_to_do: str,
    support: str,
    retry_once: bool = False,
    of_one_account: bool = False,
) -> list[Reason]:
    """The same words for several codes that mean the same to a person."""
    return [
        Reason(
            code=code,
            kind=kind,
            actor=actor,
            title=title,
            cause=cause,
            what_to_do=what_to_do,
            support=support,
            retry_once=retry_once,
            of_one_account=of_one_account,
        )
        for code in codes
    ]
