"""An authorization request, checked, and its way back to the application in each response mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from sandbox import aadsts, pages
from sandbox.claims import parse_claims
from sandbox.clock import Clock
from sandbox.messages import Request, Response, redirect
from sandbox.people import Tenant
from sandbox.scopes import UnknownScopeError, parse_scopes
from sandbox.world import World

ANY_TENANT = frozenset({"organizations", "common", "consumers"})
MODES = ("query", "fragment", "form_post")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A checked authorization request; `tenant` is None for organizations and common."""

    raw: str
    path_tenant: str
    tenant: Tenant | None
    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    nonce: str
    prompt: str
    challenge: str
    method: str
    hint: str
    mode: str = "query"
    step_up: bool = False  # the claims ask for more than a password

    def back(self, answer: Mapping[str, str]) -> Response:
        """Return the way back to the application: a redirect, or with form_post a page that posts."""
        fields = {**answer, **({"state": self.state} if self.state else {})}
        if self.mode == "form_post":
            return pages.form_post_page(self.redirect_uri, fields)
        joint = "#" if self.mode == "fragment" else "&" if "?" in self.redirect_uri else "?"
        return redirect(f"{self.redirect_uri}{joint}{urlencode(fields)}")

    def fail(self, number: int, clock: Clock, **named: str) -> Response:
        """Return the way back with an error."""
        error, description = aadsts.describe(number, clock, named=named)
        return self.back({"error": error, "error_description": description})


def raw_query(request: Request) -> str:
    """Return the request's query as the pages carry it along: their forms hold it in `request`."""
    return request.query_string if request.method == "GET" else request.form.get("request", "")


def refusal(world: World, number: int, **named: str) -> Response:
    """Return Entra's own error page: what is wrong with the app or the tenant never goes back."""
    return pages.refusal_page(aadsts.describe(number, world.clock, named=named)[1])


def check_app(world: World, query: Mapping[str, str], tenant_name: str, tenant: Tenant | None) -> Response | None:
    """Return Entra's page for a wrong tenant, app or redirect URI, or None."""
    client_id, redirect_uri = query.get("client_id", ""), query.get("redirect_uri", "")
    if tenant is None and tenant_name not in ANY_TENANT:
        return refusal(world, 90002, tenant=tenant_name)
    if client_id != world.registration.client_id:
        return refusal(world, 700016, client_id=client_id)
    if world.options.app_disabled:
        return refusal(world, 7000112, client_id=client_id)
    if redirect_uri not in world.registration.redirect_uris:
        return refusal(world, 50011, redirect_uri=redirect_uri, client_id=client_id)
    return None


def parse_asked(world: World, raw: str, tenant_name: str) -> Asked | Response:
    """Check a request; a wrong app or redirect URI stays on Entra's page, other faults go back."""
    query = dict(parse_qsl(raw, keep_blank_values=True))
    tenant = world.directory.tenant(tenant_name)
    wrong = check_app(world, query, tenant_name, tenant)
    if wrong is not None:
        return wrong
    asked = Asked(
        raw=raw,
        path_tenant=tenant_name,
        tenant=tenant,
        client_id=query["client_id"],
        redirect_uri=query["redirect_uri"],
        scopes=(),
        state=query.get("state", ""),
        nonce=query.get("nonce", ""),
        prompt=query.get("prompt", ""),
        challenge=query.get("code_challenge", ""),
        method=query.get("code_challenge_method", "plain"),
        hint=query.get("login_hint", ""),
    )
    if query.get("response_type") != "code":
        return asked.back({"error": "unsupported_response_type", "error_description": "Only code is offered."})
    mode = query.get("response_mode", "query")
    if mode not in MODES:
        return asked.back({"error": "invalid_request", "error_description": f"Only {', '.join(MODES)} are offered."})
    asked = replace(asked, mode=mode)
    try:
        step_up = parse_claims(query.get("claims", "")).step_up
        return replace(asked, scopes=parse_scopes(query.get("scope", "")), step_up=step_up)
    except UnknownScopeError as error:
        return asked.fail(70011, world.clock, scope=str(error))
    except (ValueError, TypeError, AttributeError):
        return asked.back({"error": "invalid_request", "error_description": "The claims are not valid JSON."})
