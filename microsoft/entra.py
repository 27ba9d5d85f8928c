"""Signing in and refreshing at Microsoft Entra ID. The only module that imports msal.

What of MSAL 1.39 shaped this file (its source, msal/ and msal/oauth2cli/):
- building an application is a network call (discovery), so one application is kept and built at first use;
- it answers repeated failures from a memory of its own, and logs a token answer that is not JSON in full: our
  HTTP door hands it good answers only and turns all others into our errors before it sees them;
- it checks no id_token claim but the nonce; the rest is microsoft.id_token's.
"""

from __future__ import annotations

import hmac
import json
import re
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import msal
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from microsoft.entra_door import EntraDoor
from microsoft.errors import Misconfigured, Refused, Unavailable, error_for
from microsoft.http import Deadline, DoorSession, build_session, within
from microsoft.id_token import IdClaims, check_claims
from microsoft.reasons import from_token_error
from microsoft.secret import Secret

__all__ = ["AuthFlow", "ClientCredential", "Entra", "IdClaims", "TokenSet", "get_entra"]

# The cross-site POST of form_post would come without our session cookie (SameSite=Lax), so the answer stays a
# query; its single-use code is bound to our client by PKCE and secret.
warnings.filterwarnings("ignore", message="response_mode='form_post' is recommended", module="msal")


@dataclass(frozen=True, slots=True)
class ClientCredential:
    """Our app registration: the client id with either a secret or a PEM of private key and certificate."""

    client_id: str
    secret: Secret | None = None
    certificate_pem: Secret | None = None


@dataclass(frozen=True, slots=True)
class TokenSet:
    """What the token endpoint gave. `expires_in` in seconds from now; `scopes` as Microsoft spelled them.

    `claims` is None after a refresh. `refresh_token` is the new one, or the one used if Microsoft sent none.
    """

    access_token: Secret
    refresh_token: Secret
    expires_in: int
    scopes: tuple[str, ...]
    claims: IdClaims | None = None


@dataclass(frozen=True, slots=True)
class AuthFlow:
    """A begun sign-in: send the browser to `auth_uri`; keep `payload` encrypted on the server."""

    auth_uri: str
    state: str
    payload: Secret


class _Forgetful(dict[str, object]):
    """A memory for MSAL's HTTP layer in which nothing stays."""

    def __setitem__(self, key: str, value: object) -> None:
        return None


class _NoTokenCache(msal.TokenCache):  # type: ignore[misc,unused-ignore]  # untyped base class
    """Tokens live encrypted in the vault, and nowhere else."""

    def add(self, event: dict[str, Any], now: float | None = None) -> None:
        return None


class Entra:
    """One cloud's sign-in service for one app registration. Safe for many threads; keep one per process.

    Every method raises errors of microsoft.errors and nothing else: ConsentRequired, Refused, Misconfigured
    (ours), Throttled, Unavailable (no answer in time, discovery failed, 5xx, not JSON).
    """

    def __init__(
        self,
        authority_url: str,
        credential: ClientCredential,
        session: DoorSession,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._authority = f"{authority_url.rstrip('/')}/organizations"
        self._credential = credential
        self._door = EntraDoor(session)
        self._now = now
        self._building = threading.Lock()
        self._built: Any = None

    def begin(
        self, *, scopes: Sequence[str], redirect_uri: str, state: str, prompt: str, deadline: Deadline
    ) -> AuthFlow:
        """Starts a sign-in with PKCE and nonce. MSAL adds openid, profile and offline_access to `scopes`."""
        flow = self._call(
            deadline,
            lambda app: app.initiate_auth_code_flow(
                list(scopes), redirect_uri=redirect_uri, state=state, prompt=prompt, response_mode="query"
            ),
        )
        return AuthFlow(flow["auth_uri"], flow["state"], Secret(json.dumps(flow)))

    def redeem(self, flow_payload: Secret, query: Mapping[str, str], deadline: Deadline) -> TokenSet:
        """Exchanges the code in the callback's `query` for tokens and checks who signed in.

        Raises Refused(`state_unknown`) when the query does not belong to the flow,
        Refused(`id_token_invalid`), ConsentRequired(`refresh_token_missing`), and what an `error` in the
        query stands for.
        """
        flow = _flow(flow_payload, query)
        if query.get("error"):
            # Not MSAL's to see: it would repeat in later headers a word that anybody can write into a URL.
            raise error_for(from_token_error(query), "said at the sign-in page")
        nonce = flow["nonce"]
        result = self._call(deadline, lambda app: app.acquire_token_by_auth_code_flow(flow, dict(query)))
        claims = check_claims(
            result.get("id_token_claims") or {},
            client_id=self._credential.client_id,
            nonce=nonce,
            issuer_template=self._door.issuer,
            now=self._now(),
        )
        return _token_set(result, asked=flow["scope"], previous=None, claims=claims)

    def refresh(
        self, refresh_token: Secret, *, scopes: Sequence[str], deadline: Deadline, abandonable: bool = True
    ) -> TokenSet:
        """New tokens for the same reader. The old refresh token keeps working until it is forgotten:
        https://learn.microsoft.com/entra/identity-platform/refresh-tokens

        `abandonable`: a call that does not heed the deadline is left behind, at the price of a thread of its own.
        False for a caller whose thread may be left behind itself.
        """
        result = self._call(
            deadline,
            lambda app: app.acquire_token_by_refresh_token(refresh_token.reveal(), list(scopes)),
            abandonable=abandonable,
        )
        return _token_set(result, asked=scopes, previous=refresh_token, claims=None)

    def _call(
        self, deadline: Deadline, ask: Callable[[Any], dict[str, Any]], *, abandonable: bool = True
    ) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            with self._door.until(deadline):
                application = self._application(deadline)
                try:
                    return ask(application)
                except RuntimeError:  # MSAL's way to say that the nonce differs; its text quotes both
                    raise Refused("id_token_invalid", "nonce does not fit") from None

        return within(deadline, work) if abandonable else work()

    def _application(self, deadline: Deadline) -> Any:
        """The MSAL application, built by the first who needs it; a failure leaves it to the next."""
        if self._built is None:
            if not self._building.acquire(timeout=deadline.remaining()):
                raise Unavailable("timeout", "discovery is still under way")
            try:
                if self._built is None:
                    self._built = self._build()
            finally:
                self._building.release()
        return self._built

    def _build(self) -> Any:
        try:
            return msal.ConfidentialClientApplication(
                self._credential.client_id,
                client_credential=_for_msal(self._credential),
                authority=self._authority,
                instance_discovery=False,  # the authority is configured: nobody else need vouch for it
                http_client=self._door,
                http_cache=_Forgetful(),
                token_cache=_NoTokenCache(),
                azure_region=False,  # nor may MSAL_FORCE_REGION in the environment send us elsewhere
            )
        except (ValueError, TypeError):
            raise Misconfigured("misconfigured", "authority address or client credential is unusable") from None


@lru_cache(maxsize=16)
def get_entra(authority_url: str, credential: ClientCredential, ca_bundle: str | None, pool_size: int = 8) -> Entra:
    """This process's Entra for these settings: one discovery and one pool of connections for all its threads.

    `pool_size`: how many connections are kept open.
    """
    return Entra(authority_url, credential, build_session(ca_bundle, pool_size))


_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def _for_msal(credential: ClientCredential) -> str | dict[str, str]:
    if credential.certificate_pem:
        pem = credential.certificate_pem.reveal()
        key, certificate = _PRIVATE_KEY.search(pem), _CERTIFICATE.search(pem)
        if not key or not certificate:
            raise ValueError("the PEM needs a private key and a certificate")
        load_pem_private_key(key.group().encode(), None)  # MSAL would find out only while signing in
        return {"private_key": key.group(), "public_certificate": certificate.group()}
    if not credential.secret:
        raise ValueError("neither secret nor certificate")
    return credential.secret.reveal()


def _flow(payload: Secret, query: Mapping[str, str]) -> dict[str, Any]:
    try:
        flow = json.loads(payload.reveal())
        state, _, _ = flow["state"], flow["nonce"], flow["scope"]
    except (ValueError, TypeError, KeyError):
        raise Refused("state_unknown", "the stored sign-in is unreadable") from None
    if not hmac.compare_digest(str(state).encode(), query.get("state", "").encode()):
        raise Refused("state_unknown", "state does not fit")
    if not query.get("code") and not query.get("error"):
        raise Refused("state_unknown", "neither code nor error")
    return dict(flow)


def _token_set(
    result: Mapping[str, Any], *, asked: Sequence[str], previous: Secret | None, claims: IdClaims | None
) -> TokenSet:
    access, refresh, scope = result.get("access_token"), result.get("refresh_token"), result.get("scope")
    if not isinstance(access, str) or not access:
        raise Unavailable("microsoft_unavailable", "the token answer holds no access token")
    if isinstance(refresh, str) and refresh:
        kept = Secret(refresh)
    elif previous is not None:
        kept = previous  # RFC 6749 section 6: no new one means go on with the old one
    else:
        raise error_for("refresh_token_missing", "offline_access was not granted")
    try:
        expires_in = int(float(result["expires_in"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Unavailable("microsoft_unavailable", "the token answer has no lifetime") from None
    # RFC 6749 section 5.1: no scope means those asked. Microsoft's page shows them URL-encoded.
    granted = scope.split() if isinstance(scope, str) and scope.strip() else list(asked)
    return TokenSet(Secret(access), kept, expires_in, tuple(unquote(name) for name in granted), claims)
