"""This installation's app registration and addresses, as the clients of `microsoft` want them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from microsoft.clouds import CLOUDS
from microsoft.entra import ClientCredential, Entra, get_entra
from microsoft.errors import Misconfigured
from microsoft.graph import GraphClient
from microsoft.http import DoorSession, build_session
from microsoft.secret import Secret
from tenants import simulation
from tenants.models import Account
from tenants.places import ReaderGate, Urgency


def credential() -> ClientCredential:
    """The registration's secret or certificate; raises Misconfigured when there is none."""
    if settings.MICROSOFT_CLIENT_ID and settings.MICROSOFT_CLIENT_CERTIFICATE:
        try:
            pem = Path(settings.MICROSOFT_CLIENT_CERTIFICATE).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise Misconfigured("misconfigured", "MICROSOFT_CLIENT_CERTIFICATE cannot be read.") from None
        return ClientCredential(settings.MICROSOFT_CLIENT_ID, None, Secret(pem))
    if settings.MICROSOFT_CLIENT_ID and settings.MICROSOFT_CLIENT_SECRET:
        return ClientCredential(settings.MICROSOFT_CLIENT_ID, Secret(settings.MICROSOFT_CLIENT_SECRET), None)
    raise Misconfigured("registration_missing", "No Microsoft app registration is configured.")


def authority(account: Account) -> str:
    """Origin of the account's sign-in service."""
    return settings.MICROSOFT_AUTHORITY_URL or CLOUDS[account.cloud].authority


def entra_for(account: Account) -> Entra:
    """The sign-in service of the account's cloud; raises Misconfigured for a simulated one on a public address."""
    if simulation.refused():
        raise Misconfigured("simulation_refused", "The authority is no Microsoft host and PUBLIC_URL is https.")
    return get_entra(authority(account), credential(), settings.MICROSOFT_CA_BUNDLE or None, settings.SWEEP_WIDTH)


def entra_service(account: Account) -> str:
    """The sign-in service as `tenants.breakers` names it."""
    return f"entra:{_origin(authority(account))}"


def graph_service(account: Account) -> str:
    """Graph as `tenants.breakers` names it."""
    return f"graph:{_origin(graph_url(account))}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def graph_url(account: Account) -> str:
    """Root of Graph v1.0 in the account's cloud."""
    return settings.MICROSOFT_GRAPH_URL or CLOUDS[account.cloud].graph


def calendar_scopes(account: Account) -> list[str]:
    """The one scope asked besides what MSAL adds itself (openid, profile, offline_access).

    A short name means the global cloud's Graph; the others take the full URI of theirs:
    https://learn.microsoft.com/graph/deployments
    """
    if account.cloud == "global" or settings.MICROSOFT_GRAPH_URL:
        return [settings.MICROSOFT_CALENDAR_SCOPE]
    return [calendar_scope_uri(account)]


def calendar_scope_uri(account: Account) -> str:
    """The calendar scope with the address of the cloud's own Graph before it."""
    return f"{CLOUDS[account.cloud].graph.removesuffix('/v1.0')}/{settings.MICROSOFT_CALENDAR_SCOPE}"


@lru_cache(maxsize=4)
def _session(ca_bundle: str) -> DoorSession:
    return build_session(ca_bundle or None, max(32, settings.SWEEP_WIDTH))


def graph_for(account: Account, reader_key: str, urgency: Urgency = Urgency.PERSON) -> GraphClient:
    """A client that keeps to what Microsoft allows one reader (tenant and oid); people come before background work."""
    gate = ReaderGate(reader_key, urgency)
    return GraphClient(graph_url(account), _session(settings.MICROSOFT_CA_BUNDLE), gate=gate)
