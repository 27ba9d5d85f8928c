"""The admin consent endpoint in both its forms: consent for the whole tenant, without a code or a token.

entra-docs v2-admin-consent.md; the redirects are those of its sample.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from sandbox import aadsts, pages
from sandbox.accounts import sign_in_page, why_not
from sandbox.asked import check_app, raw_query, refusal
from sandbox.grants import EVERYBODY
from sandbox.messages import Request, Response, redirect
from sandbox.people import Account, Tenant
from sandbox.scopes import CONSENT_TEXTS, GRAPH, OPENID, UnknownScopeError, parse_scopes
from sandbox.world import World

_DECLINED = "The resource owner or authorization server denied the request."
_HERE = {"action": "adminconsent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A checked request; `tenant` is None for organizations, `scope` the text to repeat (empty when older)."""

    raw: str
    path_tenant: str
    tenant: Tenant | None
    redirect_uri: str
    state: str
    scopes: tuple[str, ...]
    scope: str

    def back(self, **answer: str) -> Response:
        """Return the redirect; admin_consent=True stands there for a decline too."""
        given = {"admin_consent": "True", **answer, **({"state": self.state} if self.state else {})}
        # Microsoft writes its percent escapes in lower case.
        query = re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), urlencode(given))
        return redirect(f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{query}")


class AdminConsent:
    """GET shows the account picker; its form and the consent screen post back to the same address."""

    def __init__(self, world: World) -> None:
        self._world = world

    def answer(self, request: Request, tenant_name: str, *, older: bool) -> Response:
        """Answer `/{tenant}/v2.0/adminconsent`, or with `older` `/{tenant}/adminconsent`."""
        wanted = self._parse(raw_query(request), tenant_name, older=older)
        if isinstance(wanted, Response):
            return wanted
        if request.method == "GET":
            self._world.counters.add("adminconsent")
            return sign_in_page(self._world, wanted.tenant, {"request": wanted.raw}, **_HERE)
        form = request.form
        account = self._world.directory.find(form.get("account", ""))
        problem = why_not(self._world, account, wanted.path_tenant, wanted.tenant)
        if form.get("decision") == "cancel":
            return self._declined(wanted)
        if account is None or problem:
            fields = {"request": wanted.raw}
            return sign_in_page(
                self._world, wanted.tenant, fields, hint=form.get("account", ""), problem=problem, **_HERE
            )
        if not account.is_admin:
            return refusal(self._world, 90094)
        return self._given(wanted, account) if form.get("decision") == "accept" else self._screen(wanted, account)

    def _screen(self, wanted: Wanted, account: Account) -> Response:
        return pages.consent_page(
            app=self._world.registration.name,
            account=account,
            texts=dict.fromkeys(CONSENT_TEXTS[scope] for scope in wanted.scopes),
            fields={"request": wanted.raw, "account": account.upn},
            organisation=False,
            for_all=True,
            **_HERE,
        )

    def _given(self, wanted: Wanted, account: Account) -> Response:
        world, tid = self._world, account.tenant.tid
        # Sign-in and offline access come along with any permission of Graph.
        scopes = {*wanted.scopes, *OPENID}
        world.grants.consent(tid, EVERYBODY, scopes, replace=world.options.admin_consent_replaces)
        world.conditions.put(tid, "app_removed", False, now=world.clock.now())
        world.counters.add("consent_tenant", whose=account.upn)
        return wanted.back(tenant=tid, **({"scope": wanted.scope} if wanted.scope else {}))

    def _declined(self, wanted: Wanted) -> Response:
        self._world.counters.add("consent_cancelled")
        description = aadsts.describe(65004, self._world.clock, text=_DECLINED)[1]
        return wanted.back(error="consent_required", error_description=description)

    def _parse(self, raw: str, tenant_name: str, *, older: bool) -> Wanted | Response:
        query = dict(parse_qsl(raw, keep_blank_values=True))
        tenant = self._world.directory.tenant(tenant_name)
        if tenant_name in {"common", "consumers"}:  # a tenant id, a domain or organizations is asked for
            return refusal(self._world, 90002, tenant=tenant_name)
        wrong = check_app(self._world, query, tenant_name, tenant)
        if wrong is not None:
            return wrong
        scopes = self._world.registration.permissions
        if not older:
            if not query.get("scope"):
                return refusal(self._world, 900144, name="scope")
            try:
                scopes = parse_scopes(query["scope"].replace(f"{GRAPH}.default", " ".join(scopes)))
            except UnknownScopeError as error:
                return refusal(self._world, 70011, scope=str(error))
        return Wanted(
            raw=raw,
            path_tenant=tenant_name,
            tenant=tenant,
            redirect_uri=query["redirect_uri"],
            state=query.get("state", ""),
            scopes=scopes,
            scope="" if older else query["scope"],
        )
