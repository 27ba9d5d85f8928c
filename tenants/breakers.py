"""Circuit breakers that all processes share: whether Microsoft may be asked now, for a tenant at a service.

Ask `permit` before a call and tell `report` what became of it:

    breakers.permit(service, tenant)          # raises the remembered error while open
    …                                         # the call
    breakers.report(service, tenant, error)   # None after a success

`service` is `microsoft365.entra_service(account)` or `graph_service(account)`, `tenant` the Entra tenant id. A tenant's
breaker opens after five failures in a row that may pass, or are our own; the service's own when three different tenants
fail in a row, or at once when our registration is refused (`tenants.breaker_state`). While one is open, calls fail
without being made, but for one trial every 15 seconds over all processes. The first success closes it.

Two promises meet where Microsoft's Retry-After is longer than 15 seconds: the contract lets nobody wait longer for a
trial, and Microsoft asks for more. A trial never comes sooner than 15 seconds after the last, so each shorter wish is
kept to the letter; a longer one is kept by all calls but that one in 15 seconds, far below any of Microsoft's limits.
Within a call, and for refreshes by their due time, Retry-After is kept in full.

While the shared store is away every breaker is closed: the calls themselves still fail as they must.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from django.utils import timezone

from microsoft.errors import IntegrationError, Misconfigured, Throttled, Unavailable
from tenants import measuring
from tenants.breaker_state import QUIET_SECONDS, Circuit, Failure, Kind, ServiceBreaker, TenantBreaker
from tenants.breaker_store import Changed, Shelf

log = logging.getLogger(__name__)

LISTED = 200  # of tenants' open breakers, at most
_SERVICE_KEPT_SECONDS = 30 * 86400.0  # a service that nobody asks stays down for as long

_services = Shelf(ServiceBreaker, kept_seconds=_SERVICE_KEPT_SECONDS)
_tenants = Shelf(TenantBreaker, kept_seconds=QUIET_SECONDS)
_names = Shelf(dict[str, float], kept_seconds=_SERVICE_KEPT_SECONDS)  # key of each open breaker → when last heard of
_INDEX = "open"

B = TypeVar("B", ServiceBreaker, TenantBreaker)


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """`tenant` is "" for the whole service. `own_fault`: our registration or settings; only Cadence can end it."""

    service: str
    tenant: str
    code: str
    since: datetime
    own_fault: bool


def permit(service: str, tenant: str, *, override: bool = False) -> None:
    """Nothing when a call may be made, be it as the trial of an open breaker; else raises what the last one met.

    Unavailable and Throttled carry in `retry_after` the seconds until the next trial, above 0 and at most 15;
    Misconfigured is our own fault. `override`: somebody wants this call in any case. `report` it all the same.
    """
    if override:
        return
    now = _now()
    whole = _services.read(service) or ServiceBreaker()
    if whole.circuit is not None:
        _try(_services, service, whole.circuit, now)  # such a trial is the tenant's own too
    elif not whole.quiet(now):
        own = _tenants.read(_key(service, tenant))
        if own is not None and own.circuit is not None:
            _try(_tenants, _key(service, tenant), own.circuit, now)


def report(service: str, tenant: str, error: IntegrationError | None) -> None:
    """What became of a call: None for a success.

    What may pass and what is our fault counts against the tenant's breaker and, throttling apart, the service's.
    Any other refusal proves that the service answers, and says nothing about the tenant's breaker.
    """
    if error is not None and error.code == "encryption_key_missing":
        return  # a call that was never made, for want of a key of perhaps a single row
    failure = _failure(error)
    if failure is not None:
        _note_failure(service, tenant, failure)
    else:
        _note_answer(service, tenant, success=error is None)


def standing() -> list[OpenBreaker]:
    """The open breakers, whole services first, and at most 200 of tenants. None while the store is away."""
    keys = sorted(_names.read(_INDEX) or {}, key=lambda key: (_SEPARATOR in key, key))
    found = (_open_breaker(*_parts(key)) for key in keys)
    return [breaker for breaker in found if breaker is not None]


def whole_open(service: str) -> OpenBreaker | None:
    """The breaker of the whole service, when it is open."""
    return _open_breaker(service, "")


def _try(shelf: Shelf[B], key: str, circuit: Circuit, now: float) -> None:
    """Returns for the one call whose turn it is, over all processes; raises for the others."""
    if circuit.due(now):
        changed = shelf.change(key, lambda state: state and state.tried(now))
        before = changed.before.circuit if changed.before else None
        if before is None:  # closed by somebody else, a moment ago
            return
        if before.due(now):
            _list(key, now, still_open=True)
            return
        circuit = before
    raise _remembered(circuit, now)


def _remembered(circuit: Circuit, now: float) -> IntegrationError:
    code, detail, wait = circuit.failure.code, "Not asked: the last calls failed.", circuit.wait(now)
    if circuit.failure.kind is Kind.OWN_FAULT:
        return Misconfigured(code, detail)
    if circuit.failure.kind is Kind.THROTTLED:
        return Throttled(code, detail, retry_after=wait)
    return Unavailable(code, detail, retry_after=wait)


def _failure(error: IntegrationError | None) -> Failure | None:
    """What counts against a breaker."""
    match error:
        case Misconfigured():
            return Failure(error.code, Kind.OWN_FAULT)
        case Throttled():
            return Failure(error.code, Kind.THROTTLED)
        case Unavailable():
            return Failure(error.code, Kind.UNAVAILABLE)
    return None


def _note_failure(service: str, tenant: str, failure: Failure) -> None:
    now, own = _now(), _key(service, tenant)
    whole = _services.change(service, lambda state: (state or ServiceBreaker()).after_failure(tenant, failure, now))
    _tell(service, whole, now)
    _tell(own, _tenants.change(own, lambda state: (state or TenantBreaker()).after_failure(failure, now)), now)


def _note_answer(service: str, tenant: str, *, success: bool) -> None:
    """Writes only where something changes: in a healthy hour nothing."""
    now, own = _now(), _key(service, tenant)
    whole = _services.read(service) or ServiceBreaker()
    if success and not whole.quiet(now) and _tenants.read(own) is not None:
        _tell(own, _tenants.change(own, lambda _: None), now)
    if whole.after_answer(tenant) != whole:
        changed = _services.change(service, lambda state: (state or ServiceBreaker()).after_answer(tenant))
        _tell(service, changed, now)


def _tell(key: str, changed: Changed[B], now: float) -> None:
    """An opening or a closing: listed, counted and logged by the one process that made it."""
    before = changed.before.circuit if changed.before else None
    after = changed.after.circuit if changed.after else None
    if (before is None) == (after is None):
        return
    _list(key, now, still_open=after is not None)
    service, tenant = _parts(key)
    scope, to = "tenant" if tenant else "service", "open" if after else "closed"
    measuring.count("breaker_changes", service=service.partition(":")[0], scope=scope, to=to)
    facts = {"service": service, "scope": scope, "entra_tenant": tenant}
    if after is None:
        log.warning("breaker closed: Microsoft answers again", extra=facts)
    else:
        level = logging.ERROR if after.failure.kind is Kind.OWN_FAULT else logging.WARNING
        log.log(level, "breaker opened: Microsoft is not asked for now", extra={**facts, "code": after.failure.code})


def _list(key: str, now: float, *, still_open: bool) -> None:
    """Keeps the names of open breakers; a tenant's goes by itself when nobody has asked for it for long."""

    def listed(names: dict[str, float] | None) -> dict[str, float]:
        kept = {
            name: heard
            for name, heard in (names or {}).items()
            if name != key and (_SEPARATOR not in name or now - heard <= QUIET_SECONDS)
        }
        if still_open and (_SEPARATOR not in key or len(kept) < LISTED):
            kept[key] = now
        return kept

    _names.change(_INDEX, listed)


def _open_breaker(service: str, tenant: str) -> OpenBreaker | None:
    state = _tenants.read(_key(service, tenant)) if tenant else _services.read(service)
    if state is None or state.circuit is None:
        return None
    failure, since = state.circuit.failure, datetime.fromtimestamp(state.circuit.since, UTC)
    return OpenBreaker(service, tenant, failure.code, since, failure.kind is Kind.OWN_FAULT)


_SEPARATOR = " "  # in no origin, and in no id


def _key(service: str, tenant: str) -> str:
    return f"{service}{_SEPARATOR}{tenant}"


def _parts(key: str) -> tuple[str, str]:
    service, _, tenant = key.partition(_SEPARATOR)
    return service, tenant


def _now() -> float:
    return timezone.now().timestamp()
