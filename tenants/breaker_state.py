"""Pure: when a circuit breaker opens, whom it lets try, what closes it. Times are seconds since the epoch.

There is one breaker for each tenant at a service, and one for the whole service; `tenants.breakers` keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

FAILURES = 5  # of one tenant in a row
TENANTS = 3  # different ones in a row, until the service counts as down for all
CONTRADICTED = 20  # tenants at most whose own refusal of our registration is remembered
TRIAL_SECONDS = 15.0  # the contract: an open breaker tries one call again after at most 15 seconds
CLOCKS_DIFFER = 1.0  # seconds, between machines, and far more than numbers are rounded by
QUIET_SECONDS = 3600.0  # how long a tenant's failures are remembered

# What is wrong with our one registration or its settings, whoever's call shows it. Other faults of ours may concern a
# single tenant, such as one that was put into the wrong cloud (AADSTS90038).
_OF_ALL = frozenset(
    {
        "AADSTS7000112",
        "AADSTS7000215",
        "AADSTS7000222",
        "AADSTS700027",
        "invalid_client",
        "misconfigured",
        "registration_missing",
        "simulation_refused",
    }
)


class Kind(StrEnum):
    """What a remembered failure is told as."""

    UNAVAILABLE = "unavailable"
    THROTTLED = "throttled"
    OWN_FAULT = "own_fault"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call: its code of `microsoft.reasons`, or Microsoft's own."""

    code: str
    kind: Kind = Kind.UNAVAILABLE

    @property
    def of_all(self) -> bool:
        """Our own fault, and one that meets every tenant alike."""
        return self.kind is Kind.OWN_FAULT and self.code in _OF_ALL


@dataclass(frozen=True, slots=True)
class Circuit:
    """What is known while a breaker is open: the latest failure, since when, and when one call may try."""

    failure: Failure
    since: float
    next_trial_at: float

    @classmethod
    def opened(cls, failure: Failure, now: float) -> Circuit:
        return cls(failure, now, now + TRIAL_SECONDS)

    def due(self, now: float) -> bool:
        """Whether one call may go; also when the clock was set back, so that no wait outlasts its 15 seconds."""
        return not 0 < self.next_trial_at - now <= TRIAL_SECONDS + CLOCKS_DIFFER

    def wait(self, now: float) -> float:
        """Seconds until the next trial, above 0 and at most 15."""
        return TRIAL_SECONDS if self.due(now) else min(self.next_trial_at - now, TRIAL_SECONDS)

    def tried(self, now: float) -> Circuit:
        """One call goes now. Should it never come back, the next goes 15 seconds later all the same."""
        return replace(self, next_trial_at=now + TRIAL_SECONDS)


@dataclass(frozen=True, slots=True)
class TenantBreaker:
    """One tenant at one service: opens after five failures in a row. A success ends it; none is kept then."""

    failures: int = 0
    circuit: Circuit | None = None

    def after_failure(self, failure: Failure, now: float) -> TenantBreaker:
        """One more failure. An open breaker keeps its rhythm and learns the newest reason."""
        failures, circuit = self.failures + 1, self.circuit
        if circuit is not None:
            circuit = replace(circuit, failure=failure)
        elif failures >= FAILURES:
            circuit = Circuit.opened(failure, now)
        return TenantBreaker(failures, circuit)

    def tried(self, now: float) -> TenantBreaker:
        """A trial goes now; nothing changes while none is due."""
        if self.circuit is None or not self.circuit.due(now):
            return self
        return replace(self, circuit=self.circuit.tried(now))


@dataclass(frozen=True, slots=True)
class ServiceBreaker:
    """A whole service. Opens when calls of three different tenants fail in a row, or when our registration is refused.

    `known`: up to three tenants that have ever asked; where there are two, both failing are all.
    `failing`: the tenants that failed since the last answer. `accuser`: whose call showed our registration refused.
    `contradicted`: tenants where it was while others got answers. It then counts for them alone: a customer may
    disable our app in their own tenant, and Microsoft words that as if we had. `failed_at`: the last failure of any.
    """

    known: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    accuser: str = ""
    contradicted: tuple[str, ...] = ()
    failed_at: float | None = None
    circuit: Circuit | None = None

    def quiet(self, now: float) -> bool:
        """Whether no tenant can have a failure that is still remembered."""
        return self.failed_at is None or now - self.failed_at > QUIET_SECONDS

    def after_failure(self, tenant: str, failure: Failure, now: float) -> ServiceBreaker:
        """One more failure. Throttling concerns the throttled alone, and says nothing about the service."""
        known = self._knowing(tenant)
        state = replace(self, known=known, failed_at=now)
        if failure.kind is Kind.THROTTLED:
            return state
        if failure.of_all:
            return state if tenant in self.contradicted else state._open(failure, now, accuser=tenant)
        failing = _with(self.failing, tenant)
        state = replace(state, failing=failing)
        enough = len(failing) >= min(max(len(known), 2), TENANTS)
        return state._open(failure, now) if enough or self.circuit else state

    def after_answer(self, tenant: str) -> ServiceBreaker:
        """The service answered this tenant, be it with a refusal: it is there."""
        contradicted = tuple(name for name in self.contradicted if name != tenant)
        if self.circuit is not None and self.accuser not in ("", tenant):
            contradicted = _with(contradicted, self.accuser, most=CONTRADICTED)
        return replace(
            self, known=self._knowing(tenant), failing=(), accuser="", contradicted=contradicted, circuit=None
        )

    def tried(self, now: float) -> ServiceBreaker:
        """A trial goes now; nothing changes while none is due."""
        if self.circuit is None or not self.circuit.due(now):
            return self
        return replace(self, circuit=self.circuit.tried(now))

    def _open(self, failure: Failure, now: float, *, accuser: str = "") -> ServiceBreaker:
        if self.circuit is not None:
            return replace(self, accuser=accuser, circuit=replace(self.circuit, failure=failure))
        return replace(self, accuser=accuser, circuit=Circuit.opened(failure, now))

    def _knowing(self, tenant: str) -> tuple[str, ...]:
        return self.known if len(self.known) >= TENANTS else _with(self.known, tenant)


def _with(tenants: tuple[str, ...], tenant: str, *, most: int = TENANTS) -> tuple[str, ...]:
    """The last few, this one among them: more are never asked for."""
    return tenants if tenant in tenants else (*tenants, tenant)[-most:]
