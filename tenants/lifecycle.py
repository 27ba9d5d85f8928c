"""Pure: the states of a connection and what may lead from one to another."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """As the API shows it."""

    PENDING = "pending"
    VERIFYING = "verifying"
    ENABLED = "enabled"
    NEEDS_CONSENT = "needs_consent"
    DISABLED = "disabled"


class Event(StrEnum):
    """What happens to a connection."""

    VERIFICATION_BEGUN = "verification_begun"  # Microsoft gave tokens; the first real read is under way
    VERIFIED = "verified"  # the read succeeded
    VERIFICATION_FAILED = "verification_failed"
    ACCESS_LOST = "access_lost"  # Microsoft refuses the refresh token for good
    DISCONNECTED = "disconnected"  # somebody at Cadence ended it


class IllegalTransition(Exception):
    """The event cannot happen in this state."""


# A reconnect, whatever becomes of it, must leave a working connection working: only VERIFIED moves the states
# other than `pending`.
TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.PENDING, Event.VERIFICATION_BEGUN): State.VERIFYING,
        (State.VERIFYING, Event.VERIFICATION_BEGUN): State.VERIFYING,
        (State.ENABLED, Event.VERIFICATION_BEGUN): State.ENABLED,
        (State.NEEDS_CONSENT, Event.VERIFICATION_BEGUN): State.NEEDS_CONSENT,
        (State.DISABLED, Event.VERIFICATION_BEGUN): State.DISABLED,
        (State.PENDING, Event.VERIFIED): State.ENABLED,
        (State.VERIFYING, Event.VERIFIED): State.ENABLED,
        (State.ENABLED, Event.VERIFIED): State.ENABLED,
        (State.NEEDS_CONSENT, Event.VERIFIED): State.ENABLED,
        (State.DISABLED, Event.VERIFIED): State.ENABLED,
        (State.PENDING, Event.VERIFICATION_FAILED): State.PENDING,
        (State.VERIFYING, Event.VERIFICATION_FAILED): State.PENDING,
        (State.ENABLED, Event.VERIFICATION_FAILED): State.ENABLED,
        (State.NEEDS_CONSENT, Event.VERIFICATION_FAILED): State.NEEDS_CONSENT,
        (State.DISABLED, Event.VERIFICATION_FAILED): State.DISABLED,
        (State.ENABLED, Event.ACCESS_LOST): State.NEEDS_CONSENT,
        (State.NEEDS_CONSENT, Event.ACCESS_LOST): State.NEEDS_CONSENT,
        (State.PENDING, Event.DISCONNECTED): State.DISABLED,
        (State.VERIFYING, Event.DISCONNECTED): State.DISABLED,
        (State.ENABLED, Event.DISCONNECTED): State.DISABLED,
        (State.NEEDS_CONSENT, Event.DISCONNECTED): State.DISABLED,
        (State.DISABLED, Event.DISCONNECTED): State.DISABLED,
    }
)


def after(state: State, event: Event) -> State:
    """The state that follows; raises IllegalTransition for what cannot happen."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"{event} cannot happen to a connection that is {state}") from None
