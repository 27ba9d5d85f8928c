"""The sandbox's switches (what tests and demos may change) and its app registration."""

from __future__ import annotations

from dataclasses import dataclass, field

CLIENT_ID = "5a9db0c5-0000-4000-8000-00000000ca1e"
CLIENT_SECRET = "sandbox~client-secret"  # noqa: S105 - opens nothing but this simulation
REDIRECT_URI = "http://localhost:8000/connect/callback/"


@dataclass(slots=True, kw_only=True)
class Registration:
    """The app as registered in every tenant of the sandbox; `certificates` are PEM texts.

    `permissions` are those configured for it: what the older form of the admin consent link asks for.
    """

    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET
    redirect_uris: tuple[str, ...] = (REDIRECT_URI,)
    certificates: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ("openid", "profile", "offline_access", "Calendars.ReadBasic")
    name: str = "Cadence Exchange Integration"


@dataclass(slots=True, kw_only=True)
class Options:
    """Behaviour that may be changed while the sandbox runs; times in seconds."""

    token_lifetime: int = 3599
    cae_token_lifetime: int = 86_399  # for clients that declare cp1: 20 to 28 hours
    code_lifetime: int = 600
    extra_scopes: tuple[str, ...] = ()
    missing_scopes: tuple[str, ...] = ()
    scope_form: str = "uri"  # or "short": recorded fixtures show short names, the documentation URIs
    rotation: str = "microsoft"  # the old refresh token stays valid; "strict": each works once
    omit_refresh_token: bool = False
    id_token_claims: dict[str, object] = field(default_factory=dict)  # overrides; None removes a claim
    secret_expired: bool = False
    app_disabled: bool = False
    user_consent: bool = True  # False: plain users meet "Need admin approval"
    admin_consent_replaces: bool = False  # consent for the organisation again ends what was granted before
    cae_for_all: bool = False  # True: challenge clients too that never declared cp1, which Microsoft spares
    allow_personal: bool = False  # True: personal accounts pass /organizations, which Microsoft refuses
    max_mailboxes: int = 20
    max_concurrent: int = 4
    max_requests: int = 10_000  # for one mailbox in `request_window` seconds
    request_window: int = 600
    retry_after: str = "1"  # of a call too many at a time; Microsoft's own sample is the fraction 2.128
    latency: float = 0.0  # before each getSchedule answer, inside the concurrency limit
    all_day: str = "shifted"  # or "floating": midnight to midnight of the asked zone
