"""Pure: what changed on a connection, as incidents and webhooks hear of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tenants.health import Health
from tenants.lifecycle import State


@dataclass(frozen=True, slots=True)
class Change:
    """State and health before and after one step; `reason` is the code that explains a bad one, "" for a good one."""

    at: datetime
    state_before: State
    state: State
    health_before: Health
    health: Health
    reason: str = ""

    @property
    def became_enabled(self) -> bool:
        """The connection works again, or for the first time."""
        return self.state is State.ENABLED and self.state_before is not State.ENABLED

    @property
    def lost(self) -> bool:
        """Microsoft refused for good: somebody must consent."""
        return self.state is State.NEEDS_CONSENT and self.state_before is not State.NEEDS_CONSENT

    @property
    def ended(self) -> bool:
        """Somebody at Cadence disconnected it."""
        return self.state is State.DISABLED and self.state_before is not State.DISABLED

    @property
    def became_degraded(self) -> bool:
        """One bad or a suspicious check after good ones."""
        return self.health is Health.DEGRADED and self.health_before is not Health.DEGRADED

    @property
    def went_down(self) -> bool:
        """Two bad checks in a row."""
        return self.health is Health.DOWN and self.health_before is not Health.DOWN

    @property
    def recovered(self) -> bool:
        """A good check after bad ones."""
        return self.health is Health.HEALTHY and self.health_before in (Health.DEGRADED, Health.DOWN)

    @property
    def first_check(self) -> bool:
        """Nothing was known of the connection before, so that nothing can have been told of it."""
        return self.health_before is Health.UNKNOWN and self.state is self.state_before

    @property
    def matters(self) -> bool:
        """Whether there is anything to tell."""
        return self.state is not self.state_before or self.health is not self.health_before
