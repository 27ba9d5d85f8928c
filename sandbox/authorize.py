"""The authorize endpoint: account picker, consent screen, and the way back with a code or an error."""

from __future__ import annotations

import secrets
from dataclasses import replace

from sandbox import pages
from sandbox.accounts import sign_in_page, why_not
from sandbox.asked import Asked, parse_asked, raw_query, refusal
from sandbox.codes import Code
from sandbox.grants import EVERYBODY
from sandbox.messages import Request, Response
from sandbox.people import Account
from sandbox.scopes import CONSENT_TEXTS
from sandbox.world import World


class Authorize:
    """Three requests make a sign-in: GET authorize, POST signin, and POST consent unless consented before.

    Where more than a password is needed, signin comes twice, the second time with `mfa`.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def start(self, request: Request, tenant_name: str) -> Response:
        """Answer GET authorize."""
        self._world.counters.add("authorize")
        asked = parse_asked(self._world, raw_query(request), tenant_name)
        if isinstance(asked, Response):
            return asked
        if asked.prompt == "none":
            return asked.fail(50058, self._world.clock)
        return self._sign_in(asked)

    def signed_in(self, request: Request, tenant_name: str) -> Response:
        """Answer the account picker's form."""
        form, world = request.form, self._world
        asked = parse_asked(world, raw_query(request), tenant_name)
        if isinstance(asked, Response):
            return asked
        account = world.directory.find(form.get("account", ""))
        problem = why_not(world, account, asked.path_tenant, asked.tenant)
        if account is None or problem:
            return self._sign_in(replace(asked, hint=form.get("account", "")), problem)
        fields = {"request": asked.raw, "account": account.upn}
        if (asked.step_up or world.gate.needs_mfa(account)) and form.get("mfa") != "approved":
            return refusal(world, 50074) if form.get("mfa") else pages.mfa_page(account=account, fields=fields)
        if form.get("mfa"):
            fields["mfa"] = "approved"
        world.counters.add("sign_in", whose=account.upn)
        missing = set(asked.scopes) - world.grants.consented(account.tenant.tid, account.oid)
        if not missing and asked.prompt != "consent":
            return self._give_code(asked, account, mfa="mfa" in fields)
        return self._ask(asked, account, fields)

    def _ask(self, asked: Asked, account: Account, fields: dict[str, str]) -> Response:
        app, number = self._world.registration.name, self._world.gate.approval(account)
        if number:
            held = {**fields, "approval": str(number)}
            return pages.approval_page(app=app, account=account, fields=held, on_request=number == 90095)
        return pages.consent_page(
            app=app,
            account=account,
            texts=dict.fromkeys(CONSENT_TEXTS[scope] for scope in asked.scopes),
            fields=fields,
            organisation=account.is_admin,
        )

    def decided(self, request: Request, tenant_name: str) -> Response:
        """Answer the consent screen's form (and the ways back that stand on the other pages)."""
        form, world = request.form, self._world
        asked = parse_asked(world, raw_query(request), tenant_name)
        if isinstance(asked, Response):
            return asked
        account = world.directory.find(form.get("account", ""))
        if form.get("decision") == "request" and account is not None:
            world.counters.add("approval_requested", whose=account.upn)
            held = {name: value for name, value in form.items() if name in {"request", "account", "approval"}}
            return pages.requested_page(account=account, fields=held)
        if form.get("decision") != "accept":
            return self._cancelled(asked, account, form.get("approval", ""))
        problem = why_not(world, account, asked.path_tenant, asked.tenant)
        if account is None or problem:
            return self._sign_in(asked, problem)
        if number := world.gate.approval(account):
            return asked.fail(number, world.clock)
        whole_tenant = bool(form.get("organisation")) and account.is_admin
        self._consent(account, asked, whole_tenant=whole_tenant)
        return self._give_code(asked, account, mfa=form.get("mfa") == "approved")

    def _consent(self, account: Account, asked: Asked, *, whole_tenant: bool) -> None:
        world, tid = self._world, account.tenant.tid
        who = EVERYBODY if whole_tenant else account.oid
        replace_old = whole_tenant and world.options.admin_consent_replaces
        world.grants.consent(tid, who, asked.scopes, replace=replace_old)
        world.conditions.put(tid, "app_removed", False, now=world.clock.now())
        world.counters.add("consent_tenant" if whole_tenant else "consent_user", whose=account.upn)

    def _cancelled(self, asked: Asked, account: Account | None, approval: str) -> Response:
        self._world.counters.add("consent_cancelled")
        if approval:
            return asked.fail(90095 if approval == "90095" else 90094, self._world.clock)
        if account is not None:
            return asked.fail(65004, self._world.clock)
        return asked.back({"error": "access_denied", "error_description": "the user canceled the authentication"})

    def _sign_in(self, asked: Asked, problem: str = "") -> Response:
        return sign_in_page(self._world, asked.tenant, {"request": asked.raw}, hint=asked.hint, problem=problem)

    def _give_code(self, asked: Asked, account: Account, *, mfa: bool) -> Response:
        code = Code(
            oid=account.oid,
            client_id=asked.client_id,
            redirect_uri=asked.redirect_uri,
            scopes=asked.scopes,
            challenge=asked.challenge,
            method=asked.method,
            nonce=asked.nonce,
            issued=self._world.clock.now(),
            mfa=mfa,
        )
        return asked.back({"code": self._world.codes.issue(code), "session_state": secrets.token_hex(16)})
