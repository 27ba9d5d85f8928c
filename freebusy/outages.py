"""Whose trouble a failed look is: the connection's own, or Microsoft's with everybody.

A service that answers one tenant is there, so the failure of another is that one's own. Where nobody has been answered
lately up to two other tenants are asked as witnesses; only when they fail too is the trouble general.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

from freebusy.looks import Finding, Target, look
from freebusy.targets import witnesses
from microsoft.errors import IntegrationError
from microsoft.http import Deadline
from tenants import breakers
from tenants.vault import REFRESH_SECONDS

REMEMBERED_SECONDS = 60.0
LEAST_SECONDS = 3.0  # what a witness needs to be worth asking


class Outages:
    """What one run of probes learns of Microsoft's services. `look` asks for one of them.

    `override`: ask although a breaker is open. `deadline`: when whoever waits for the run stops waiting.
    """

    def __init__(
        self, *, override: bool, look: Callable[[Target], Finding] = look, deadline: Deadline | None = None
    ) -> None:
        self._look = look
        self._override = override
        self._deadline = deadline
        self._answered: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._general: dict[str, float] = {}

    def may_ask(self, target: Target) -> bool:
        """False while the trouble is general; an open breaker lets a trial through."""
        if self._is_general(target.graph_service):
            return False
        if self._override or breakers.whole_open(target.graph_service) is None:
            return True
        try:
            breakers.permit(target.graph_service, target.tenant_id)
        except IntegrationError:
            return False
        return True

    def learn(self, target: Target, finding: Finding) -> None:
        """Who was answered, and by whom; all processes hear of it. What Entra said the vault has reported."""
        if target.renewed and finding.service != target.entra_service and not finding.our_fault:
            self._note_answer(target.entra_service, target.tenant_id)
        if target.failure is not None or finding.token_refused or finding.held_back:
            return
        there = not finding.service and not finding.our_fault
        breakers.report(target.graph_service, target.tenant_id, None if there else finding.error)
        if there:
            self._note_answer(target.graph_service, target.tenant_id)

    def general(self, target: Target, finding: Finding) -> bool:
        """Whether the finding is a failure that others have too. May ask witnesses."""
        service = finding.service
        if not service or self._others_answered(service, target.tenant_id):
            return False
        if self._is_general(service) or breakers.whole_open(service) is not None:
            return True
        least = REFRESH_SECONDS if service == target.entra_service else LEAST_SECONDS
        if self._short_of(least):
            return True  # whose trouble it is cannot be told any more, so it is nobody's
        asked = witnesses(target, service)
        for witness in asked:
            if self._short_of(LEAST_SECONDS):
                return True
            seen = self._look(witness)
            if seen.held_back:
                continue
            self.learn(witness, seen)
            if seen.service != service:
                self._note_answer(service, witness.tenant_id)
                return False
        if asked:
            self._general[service] = time.monotonic()
        return bool(asked)

    def _short_of(self, seconds: float) -> bool:
        return self._deadline is not None and self._deadline.remaining() < seconds

    def _is_general(self, service: str) -> bool:
        return self._lately(self._general.get(service))

    def _others_answered(self, service: str, tenant: str) -> bool:
        return any(name != tenant and self._lately(at) for name, at in self._answered[service].items())

    def _note_answer(self, service: str, tenant: str) -> None:
        self._answered[service][tenant] = time.monotonic()
        self._general.pop(service, None)

    def _lately(self, at: float | None) -> bool:
        return at is not None and time.monotonic() - at < REMEMBERED_SECONDS
