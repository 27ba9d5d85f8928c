"""What stands in an account's way at sign-in and at the token endpoint: one AADSTS number each."""

from __future__ import annotations

from sandbox.clock import Clock
from sandbox.conditions import Conditions
from sandbox.grants import Grants
from sandbox.options import Options
from sandbox.people import Account
from sandbox.tokens import Grant


class Gate:
    """Reads conditions, grants and options; changes nothing. 0 means that nothing stands in the way."""

    def __init__(self, *, conditions: Conditions, grants: Grants, options: Options, clock: Clock) -> None:
        self._conditions, self._grants, self._options, self._clock = conditions, grants, options, clock

    def at_sign_in(self, account: Account) -> int:
        """Return what keeps the account on Entra's own page."""
        return self._of_tenant(account) or self._of_account(account)

    def at_token(self, account: Account) -> int:
        """Return why the token endpoint gives this account nothing, whatever it brings."""
        if problem := self._of_tenant(account):
            return problem
        if self._conditions.of(account, "app_removed"):
            return 700016
        refused = self._conditions.of(account, "refuse")
        return int(refused.value) if refused else self._of_account(account)

    def at_refresh(self, account: Account, grant: Grant) -> int:
        """Return why this refresh token of the account is of no more use."""
        if grant.generation != self._grants.generation(grant.oid):
            return 50173
        inactive = self._conditions.of(account, "inactive")
        if self._clock.now() >= grant.expires or (inactive and grant.issued <= inactive.since):
            return 700082
        frequency = self._conditions.of(account, "sign_in_frequency")
        if frequency and self._clock.now() - (grant.auth_time or grant.issued) >= float(frequency.value):
            return 70043
        return 50076 if self._conditions.of(account, "mfa") and not grant.mfa else 0

    def approval(self, account: Account) -> int:
        """Return 90094 or 90095 when this account's consent needs an administrator's approval, else 0."""
        if account.is_admin:
            return 0
        asked = self._conditions.of(account, "approval")
        if asked:
            return int(asked.value)
        return 0 if self._options.user_consent else 90094

    def needs_mfa(self, account: Account) -> bool:
        """Return whether a password alone is not enough."""
        return self._conditions.of(account, "mfa") is not None

    def is_deleted(self, tid: str) -> bool:
        """Return whether the tenant was deleted."""
        return self._conditions.of_tenant(tid, "deleted") is not None

    def _of_tenant(self, account: Account) -> int:
        if self._conditions.of(account, "deleted"):
            return 90002
        return 90038 if self._conditions.of(account, "wrong_cloud") else 0

    def _of_account(self, account: Account) -> int:
        if self._grants.is_disabled(account.oid):
            return 50057
        blocked = self._conditions.of(account, "conditional_access")
        if blocked:
            return int(blocked.value)
        return 50105 if self._conditions.of(account, "not_assigned") else 0
