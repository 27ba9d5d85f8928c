"""The sandbox's switches (what tests and demos may change) and its app registration."""

from __future__ import annotations

from dataclasses import dataclass, field

CLIENT_ID = "5a9db0c5-0000-4000-8000-00000000ca1e"
CLIENT_SECRET = "sandbox~client-secret"  # noqa: S105 - opens nothing but this simulation
REDIRECT_URI = "http://localhost:8000/connect/callback/"


@dataclass(slots=True, kw_only=True)
class Registration:
    """The app as registered in every tenant of the sandbox; `certificates` are PEM texts."""

    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET
    redirect_uris: tuple[str, ...] = (REDIRECT_URI,)
    certificates: tuple[str, ...] = ()
    name: str = "Cadence Exchange Integration"


@dataclass(slots=True, kw_only=True)
class Options:
    """Behaviour that may be changed while the sandbox runs; times in seconds."""

    token_lifetime: int = 3599
    code_lifetime: int = 600
    extra_scopes: tuple[str, ...] = ()
    missing_scopes: tuple[str, ...] = ()
    scope_form: str = "uri"  # or "short": recorded fixtures show short names, the documentation URIs
    rotation: str = "microsoft"  # the old refresh token stays valid; "strict": each works once
    omit_refresh_token: bool = False
    id_token_claims: dict[str, object] = field(default_factory=dict)  # overrides; None removes a claim
    secret_expired: bool = False
    user_consent: bool = True  # False: plain users meet "Need admin approval"
    allow_personal: bool = False  # True: personal accounts pass /organizations, which Microsoft refuses
    max_mailboxes: int = 20
    max_concurrent: int = 4
    retry_after: str = "1"
    latency: float = 0.0  # before each getSchedule answer, inside the concurrency limit
    all_day: str = "shifted"  # or "floating": midnight to midnight of the asked zone
