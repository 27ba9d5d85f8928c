"""What must survive a restart: consents, revocations and the secret that signs tokens."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from threading import RLock
from typing import Any

EVERYBODY = "*"


class Grants:
    """Consents and revocations, kept in `state_dir/grants.json` when a directory is given.

    A generation is the number of revocations a user has seen; tokens carry the one they were issued in.
    """

    def __init__(self, state_dir: Path | None) -> None:
        self._lock = RLock()
        self._path = None if state_dir is None else state_dir / "grants.json"
        kept: dict[str, Any] = {}
        if self._path is not None and self._path.exists():
            kept = json.loads(self._path.read_text())
        self.secret = bytes.fromhex(kept.get("secret", "")) or secrets.token_bytes(32)
        self._consents: dict[str, list[str]] = kept.get("consents", {})
        self._generations: dict[str, int] = kept.get("generations", {})
        self._revoked_at: dict[str, float] = kept.get("revoked_at", {})
        self._disabled: set[str] = set(kept.get("disabled", ()))
        self._used: set[str] = set(kept.get("used", ()))
        self._expired: Counter[str] = Counter()
        self._save()

    def consent(self, tid: str, who: str, scopes: Iterable[str], *, replace: bool = False) -> None:
        """Record consent of one user (an oid) or, with EVERYBODY, for the tenant; in addition or instead."""
        with self._lock:
            key = f"{tid}/{who}"
            kept = () if replace else self._consents.get(key, ())
            self._consents[key] = sorted({*kept, *scopes})
            self._save()

    def consents(self) -> list[tuple[str, str, list[str]]]:
        """Return (tenant id, oid or EVERYBODY, scopes) of each consent."""
        with self._lock:
            return [(*_halves(key), list(scopes)) for key, scopes in self._consents.items()]

    def consented(self, tid: str, oid: str) -> frozenset[str]:
        """Return the scopes consented by the user or for the tenant."""
        with self._lock:
            return frozenset(self._consents.get(f"{tid}/{oid}", ())) | frozenset(
                self._consents.get(f"{tid}/{EVERYBODY}", ())
            )

    def withdraw(self, tid: str, who: str = "") -> None:
        """Take back the consents of a tenant, or those of one user or of EVERYBODY in it."""
        with self._lock:
            prefix = f"{tid}/{who}"
            self._consents = {
                key: scopes
                for key, scopes in self._consents.items()
                if not (key == prefix if who else key.startswith(prefix))
            }
            self._save()

    def revoke(self, oid: str, at: float) -> None:
        """Make all refresh tokens of a user invalid from now on."""
        with self._lock:
            self._generations[oid] = self._generations.get(oid, 0) + 1
            self._revoked_at[oid] = at
            self._save()

    def generation(self, oid: str) -> int:
        """Return how often the user's tokens were revoked."""
        return self._generations.get(oid, 0)

    def revoked_at(self, oid: str) -> float:
        """Return when the user's tokens were last revoked, in seconds."""
        return self._revoked_at.get(oid, 0.0)

    def expire_access(self, oid: str) -> None:
        """Make the access tokens issued to a user so far count as expired (not kept over a restart)."""
        with self._lock:
            self._expired[oid] += 1

    def access_generation(self, oid: str) -> int:
        """Return how often the user's access tokens were made to expire."""
        return self._expired[oid]

    def disable(self, oid: str, *, disabled: bool) -> None:
        """Disable or enable a user."""
        with self._lock:
            (self._disabled.add if disabled else self._disabled.discard)(oid)
            self._save()

    def is_disabled(self, oid: str) -> bool:
        """Return whether the user is disabled."""
        return oid in self._disabled

    def use_once(self, token_id: str) -> bool:
        """Mark a refresh token as used; False when it already was (strict rotation only)."""
        with self._lock:
            if token_id in self._used:
                return False
            self._used.add(token_id)
            self._save()
            return True

    def _save(self) -> None:
        if self._path is None:
            return
        kept = {
            "secret": self.secret.hex(),
            "consents": self._consents,
            "generations": self._generations,
            "revoked_at": self._revoked_at,
            "disabled": sorted(self._disabled),
            "used": sorted(self._used),
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(kept))
        fresh.replace(self._path)


def _halves(key: str) -> tuple[str, str]:
    tid, _, who = key.partition("/")
    return tid, who
