"""Pure: how every connection must stand, and who must have been told what, worked out from the story alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.year.story import LASTING, Misfortune, Story, Trouble

# An idle connection is refreshed within a day and probed within 1.1 of one; then two bad checks in a row are needed.
SETTLED = timedelta(hours=30)
_DOWN = {
    Trouble.LICENCE_LOST: "MailboxNotEnabledForRESTAPI",
    Trouble.NETWORK_DOWN: "microsoft_unavailable",
    Trouble.THROTTLED: "TooManyRequests",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """State, health and the code that explains them; health None where no check is to be expected."""

    state: str = "enabled"
    health: str | None = "healthy"
    code: str = ""


def standing(story: Story, tenant: str, at: datetime) -> Standing | None:
    """How the tenant's connection must stand, or None while something has just happened to it."""
    began = [own for own in story.of(tenant) if own.begins <= at]
    if any(moment <= at < found_out_by(story, moment) for own in began for moment in _moments(own)):
        return None
    if any(outage.begins <= at < outage.ends + SETTLED for outage in story.outages):
        return None
    if not began or _over(began[-1], at):
        return Standing()
    if code := LASTING.get(began[-1].trouble):
        return Standing("needs_consent", None, code)
    return Standing("enabled", "down", _DOWN[began[-1].trouble])


def codes_of(own: Misfortune) -> set[str]:
    """The reasons that its incident may name.

    Where nothing answers, the first to be missed is Graph while an access token lasts, else Entra.
    """
    also = {"unavailable"} if own.trouble is Trouble.NETWORK_DOWN else set()
    return {LASTING.get(own.trouble) or _DOWN[own.trouble], *also}


def events(story: Story, tenant: str) -> Counter[str]:
    """The webhooks that the tenant's story must have led to, by type; of two kinds only the least.

    A loss that a probe finds, and not a refresh or a read, is also told as `connection.degraded`, and the consent that
    ends it as `connection.recovered`.
    """
    told = Counter({"connection.enabled": 1})
    for own in story.of(tenant):
        if own.trouble in LASTING:
            told["connection.needs_consent"] += 1
            told["connection.enabled"] += own.reconnected is not None
        else:
            told.update(["connection.degraded", "connection.down", "connection.recovered"])
    return told


def letters(story: Story, tenant: str) -> int:
    """How many mails the contact must have got: one a consent, one an alert, one an all-clear."""
    own = story.of(tenant)
    consents = 1 + sum(trouble.reconnected is not None for trouble in own)
    return consents + len(own) + sum(trouble.over is not None for trouble in own)


def found_out_by(story: Story, moment: datetime) -> datetime:
    """When what happened at this moment must be known; an outage puts checks off by up to their interval."""
    latest = moment + SETTLED
    for outage in story.outages:
        if outage.begins <= latest and moment <= outage.ends:
            latest = max(latest, outage.ends + SETTLED)
    return latest


def troubled(story: Story, tenant: str, at: datetime) -> bool:
    """Whether the tenant has a trouble of its own, or had one until just now."""
    began = [own for own in story.of(tenant) if own.begins <= at]
    return any(own.over is None or at < found_out_by(story, own.over) for own in began)


def _over(own: Misfortune, at: datetime) -> bool:
    return own.over is not None and own.over <= at


def _moments(own: Misfortune) -> Iterator[datetime]:
    yield from (moment for moment in (own.begins, own.mended, own.reconnected) if moment is not None)
