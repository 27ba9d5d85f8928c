"""The authorize endpoint: account picker, consent screen, and the redirect back with a code or an error."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from sandbox import aadsts, pages
from sandbox.clock import Clock
from sandbox.codes import Code, Codes
from sandbox.counters import Counters
from sandbox.directory import Directory
from sandbox.grants import EVERYBODY, Grants
from sandbox.messages import Request, Response, redirect
from sandbox.options import Options, Registration
from sandbox.people import PERSONAL, Account, Tenant
from sandbox.scopes import CONSENT_TEXTS, UnknownScopeError, parse_scopes


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

    def back(self, answer: Mapping[str, str]) -> Response:
        """Return the redirect to the application."""
        query = {**answer, **({"state": self.state} if self.state else {})}
        joint = "&" if "?" in self.redirect_uri else "?"
        return redirect(f"{self.redirect_uri}{joint}{urlencode(query)}")


class Authorize:
    """Three requests make a sign-in: GET authorize, POST signin, and POST consent unless consented before."""

    def __init__(
        self,
        *,
        directory: Directory,
        registration: Registration,
        options: Options,
        grants: Grants,
        codes: Codes,
        clock: Clock,
        counters: Counters,
    ) -> None:
        self._directory, self._registration, self._options = directory, registration, options
        self._grants, self._codes, self._clock, self._counters = grants, codes, clock, counters

    def start(self, request: Request, tenant_name: str) -> Response:
        """Answer GET authorize."""
        self._counters.add("authorize")
        asked = self._parse(request.query_string, tenant_name)
        if isinstance(asked, Response):
            return asked
        if asked.prompt == "none":
            return self._fail(asked, 50058)
        return self._sign_in(asked)

    def signed_in(self, request: Request, tenant_name: str) -> Response:
        """Answer the account picker's form."""
        form = request.form
        asked = self._parse(form.get("request", ""), tenant_name)
        if isinstance(asked, Response):
            return asked
        account = self._directory.find(form.get("account", ""))
        problem = self._refusal(asked, account)
        if account is None or problem:
            return self._sign_in(replace(asked, hint=form.get("account", "")), problem)
        self._counters.add("sign_in", whose=account.upn)
        missing = set(asked.scopes) - self._grants.consented(account.tenant.tid, account.oid)
        if not missing and asked.prompt != "consent":
            return self._give_code(asked, account)
        fields = {"request": asked.raw, "account": account.upn}
        if not self._options.user_consent and not account.is_admin:
            return pages.approval_page(app=self._registration.name, account=account, fields={**fields, "approval": "1"})
        return pages.consent_page(
            app=self._registration.name,
            account=account,
            texts=dict.fromkeys(CONSENT_TEXTS[scope] for scope in asked.scopes),
            fields=fields,
            organisation=account.is_admin,
        )

    def decided(self, request: Request, tenant_name: str) -> Response:
        """Answer the consent screen's form (and the ways back that stand on the other pages)."""
        form = request.form
        asked = self._parse(form.get("request", ""), tenant_name)
        if isinstance(asked, Response):
            return asked
        account = self._directory.find(form.get("account", ""))
        if form.get("decision") != "accept":
            self._counters.add("consent_cancelled")
            if form.get("approval"):
                return self._fail(asked, 90094)
            if account is not None:
                return self._fail(asked, 65004)
            return asked.back({"error": "access_denied", "error_description": "the user canceled the authentication"})
        problem = self._refusal(asked, account)
        if account is None or problem:
            return self._sign_in(asked, problem)
        if not self._options.user_consent and not account.is_admin:
            return self._fail(asked, 90094)
        whole_tenant = bool(form.get("organisation")) and account.is_admin
        who = EVERYBODY if whole_tenant else account.oid
        self._grants.consent(account.tenant.tid, who, asked.scopes)
        self._counters.add("consent_tenant" if whole_tenant else "consent_user", whose=account.upn)
        return self._give_code(asked, account)

    def _parse(self, raw: str, tenant_name: str) -> Asked | Response:
        """Check a request; a wrong app or redirect URI stays on Entra's page, other faults go back."""
        query = dict(parse_qsl(raw, keep_blank_values=True))
        client_id, redirect_uri = query.get("client_id", ""), query.get("redirect_uri", "")
        tenant = self._directory.tenant(tenant_name)
        if tenant is None and tenant_name not in {"organizations", "common", "consumers"}:
            return self._page(90002, tenant=tenant_name)
        if client_id != self._registration.client_id:
            return self._page(700016, client_id=client_id)
        if redirect_uri not in self._registration.redirect_uris:
            return self._page(50011, redirect_uri=redirect_uri, client_id=client_id)
        asked = Asked(
            raw=raw,
            path_tenant=tenant_name,
            tenant=tenant,
            client_id=client_id,
            redirect_uri=redirect_uri,
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
        if query.get("response_mode", "query") != "query":
            return asked.back({"error": "invalid_request", "error_description": "Only query is offered."})
        try:
            return replace(asked, scopes=parse_scopes(query.get("scope", "")))
        except UnknownScopeError as error:
            return self._fail(asked, 70011, scope=str(error))

    def _sign_in(self, asked: Asked, problem: str = "") -> Response:
        everyone = [account for account in self._directory.accounts() if account.can_sign_in]
        if asked.tenant is not None:
            everyone = [account for account in everyone if account.tenant == asked.tenant]
        listed: list[Account] = []
        for tenant in dict.fromkeys(account.tenant for account in everyone):
            members = [account for account in everyone if account.tenant == tenant]
            admins = [account for account in members if account.is_admin]
            services = [account for account in members if account.kind == "service"]
            listed += admins + services + [a for a in members if a not in admins + services][:2]
        return pages.sign_in_page(
            app=self._registration.name,
            accounts=listed,
            everyone=everyone,
            fields={"request": asked.raw},
            hint=asked.hint,
            problem=problem,
        )

    def _refusal(self, asked: Asked, account: Account | None) -> str:
        """Return why this account cannot sign in here, in Entra's words, or an empty string."""
        if account is None or not account.can_sign_in:
            return "This username may be incorrect. Make sure that you typed it correctly."
        if account.tenant == PERSONAL and asked.path_tenant == "organizations" and not self._options.allow_personal:
            return "You can't sign in here with a personal account. Use your work or school account instead."
        if asked.tenant is not None and account.tenant != asked.tenant:
            return aadsts.describe(
                50020,
                self._clock,
                named={"upn": account.upn, "tenant": asked.tenant.title, "client_id": asked.client_id},
            )[1]
        if self._grants.is_disabled(account.oid):
            return aadsts.describe(50057, self._clock)[1]
        return ""

    def _give_code(self, asked: Asked, account: Account) -> Response:
        code = Code(
            oid=account.oid,
            client_id=asked.client_id,
            redirect_uri=asked.redirect_uri,
            scopes=asked.scopes,
            challenge=asked.challenge,
            method=asked.method,
            nonce=asked.nonce,
            issued=self._clock.now(),
        )
        return asked.back({"code": self._codes.issue(code), "session_state": secrets.token_hex(16)})

    def _fail(self, asked: Asked, number: int, **named: str) -> Response:
        error, description = aadsts.describe(number, self._clock, named=named)
        return asked.back({"error": error, "error_description": description})

    def _page(self, number: int, **named: str) -> Response:
        return pages.refusal_page(aadsts.describe(number, self._clock, named=named)[1])
