"""The token endpoint: client authentication, code redemption, refresh."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import unquote_plus

from sandbox import aadsts
from sandbox.assertion import assertion_is_good
from sandbox.claims import Claims, parse_claims
from sandbox.identity import id_token_claims
from sandbox.messages import Request, Response, json_response
from sandbox.people import Account
from sandbox.scopes import OPENID, UnknownScopeError, parse_scopes, wire_scopes
from sandbox.tokens import Grant, challenge_of, client_info, sign_id_token
from sandbox.world import World

INACTIVITY = 90 * 86_400


class RefusedError(Exception):
    """The request is answered with an AADSTS error."""

    def __init__(self, number: int, **named: str) -> None:
        super().__init__(number)
        self.number, self.named = number, named


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """The sign-in behind a token (its time in seconds) and what the request's claims say."""

    auth_time: float
    mfa: bool
    claims: Claims


class Redemption:
    """POST /{tenant}/oauth2/v2.0/token."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._directory, self._registration, self._options = world.directory, world.registration, world.options
        self._grants, self._codes, self._mint = world.grants, world.codes, world.mint
        self._clock, self._counters, self._gate = world.clock, world.counters, world.gate

    def bearer(self, request: Request) -> Account | None:
        """Return whose refresh token or code a request brings; the code is not used up."""
        if not request.path.endswith("/oauth2/v2.0/token"):
            return None
        form = request.form
        grant = self._mint.read_refresh(form.get("refresh_token", ""))
        code = None if grant else self._codes.peek(form.get("code", ""))
        oid = grant.oid if grant else code.oid if code else ""
        return self._directory.by_oid(oid)

    def answer(self, request: Request, tenant_name: str) -> Response:
        """Answer a token request with tokens or with Entra's error."""
        form = request.form
        try:
            tenant = self._directory.tenant(tenant_name)
            if tenant is not None and self._gate.is_deleted(tenant.tid):
                raise RefusedError(90002, tenant=tenant_name)
            if tenant is None and tenant_name not in {"organizations", "common", "consumers"}:
                raise RefusedError(90002, tenant=tenant_name)
            self._authenticate(request, form)
            grant_type = form.get("grant_type", "")
            if grant_type == "authorization_code":
                self._counters.add("token_code")
                body = self._redeem(request, form)
            elif grant_type == "refresh_token":
                body = self._refresh(form)
            else:
                raise (
                    RefusedError(70003, grant_type=grant_type)
                    if grant_type
                    else RefusedError(900144, name="grant_type")
                )
        except RefusedError as refused:
            self._counters.add("token_errors", whose=str(refused.number))
            correlation = request.headers.get("client-request-id", "")
            return aadsts.error_response(refused.number, self._clock, correlation_id=correlation, named=refused.named)
        return json_response(200, body, (("Cache-Control", "no-store, no-cache"), ("Pragma", "no-cache")))

    def _authenticate(self, request: Request, form: Mapping[str, str]) -> None:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            client_id, secret = _basic(credentials)
        if client_id != self._registration.client_id:
            raise RefusedError(700016, client_id=client_id)
        if self._options.app_disabled:
            raise RefusedError(7000112, client_id=client_id)
        if assertion := form.get("client_assertion", ""):
            audience = f"{request.origin}{request.path}"
            if not assertion_is_good(
                assertion, registration=self._registration, audience=audience, now=self._clock.now()
            ):
                raise RefusedError(700027)
        elif not secret:
            raise RefusedError(7000218)
        elif secret != self._registration.client_secret:
            raise RefusedError(7000215, client_id=client_id)
        elif self._options.secret_expired:
            raise RefusedError(7000222)

    def _redeem(self, request: Request, form: Mapping[str, str]) -> dict[str, object]:
        for name in ("code", "redirect_uri"):
            if not form.get(name):
                raise RefusedError(900144, name=name)
        try:
            code = self._codes.take(form["code"])
        except KeyError:
            raise RefusedError(9002313) from None
        if code is None:
            raise RefusedError(54005)
        if self._clock.now() - code.issued > self._options.code_lifetime:
            raise RefusedError(70008)
        if form["redirect_uri"] != code.redirect_uri:
            raise RefusedError(500112)
        verifier = form.get("code_verifier", "")
        if code.challenge and (challenge_of(verifier) if code.method == "S256" else verifier) != code.challenge:
            raise RefusedError(501481)
        account = self._account(code.oid)
        scopes = _subset(form.get("scope", ""), code.scopes)
        sign_in = SignIn(auth_time=code.issued, mfa=code.mfa, claims=_claims(form))
        body = self._tokens(account, scopes, consented=code.scopes, sign_in=sign_in)
        if "openid" in code.scopes:
            body["id_token"] = sign_id_token(
                id_token_claims(self._world, account, origin=request.origin, nonce=code.nonce)
            )
        if form.get("client_info") == "1":
            body["client_info"] = client_info(account.oid, account.tenant.tid)
        return body

    def _refresh(self, form: Mapping[str, str]) -> dict[str, object]:
        grant = self._mint.read_refresh(form.get("refresh_token", ""))
        account = None if grant is None else self._directory.by_oid(grant.oid)
        self._counters.add("token_refresh", whose=account.upn if account else "")
        if grant is None or account is None or grant.client_id != self._registration.client_id:
            raise RefusedError(70000)
        self._account(grant.oid)
        if number := self._gate.at_refresh(account, grant):
            valid_from = _stamp(self._grants.revoked_at(grant.oid))
            raise RefusedError(number, issued=_stamp(grant.issued), valid_from=valid_from)
        if self._options.rotation == "strict" and not self._grants.use_once(grant.id):
            raise RefusedError(70000)
        scopes = _subset(form.get("scope", ""), grant.scopes)
        if not set(scopes) <= self._grants.consented(account.tenant.tid, account.oid):
            raise RefusedError(65001, client_id=grant.client_id)
        sign_in = SignIn(auth_time=grant.auth_time or grant.issued, mfa=grant.mfa, claims=_claims(form))
        body = self._tokens(account, scopes, consented=grant.scopes, sign_in=sign_in)
        if form.get("client_info") == "1":
            body["client_info"] = client_info(account.oid, account.tenant.tid)
        return body

    def _account(self, oid: str) -> Account:
        account = self._directory.by_oid(oid)
        if account is None:
            raise RefusedError(50034)
        if number := self._gate.at_token(account):
            named = {"tenant": account.tenant.tid, "client_id": self._registration.client_id}
            raise RefusedError(number, **named)
        return account

    def _tokens(
        self, account: Account, scopes: tuple[str, ...], *, consented: tuple[str, ...], sign_in: SignIn
    ) -> dict[str, object]:
        """Return the answer's common members; the refresh token keeps all consented scopes."""
        granted = tuple(
            dict.fromkeys(s for s in (*scopes, *self._options.extra_scopes) if s not in self._options.missing_scopes)
        )
        now, cp1 = self._clock.now(), sign_in.claims.cp1
        lifetime = self._options.cae_token_lifetime if cp1 else self._options.token_lifetime
        grant = Grant(
            oid=account.oid,
            tid=account.tenant.tid,
            client_id=self._registration.client_id,
            scopes=granted,
            issued=now,
            expires=now + lifetime,
            generation=self._grants.access_generation(account.oid),
            auth_time=sign_in.auth_time,
            mfa=sign_in.mfa,
            cp1=cp1,
            nbf=sign_in.claims.nbf,
        )
        body: dict[str, object] = {
            "token_type": "Bearer",
            "scope": wire_scopes(granted, self._options.scope_form),
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self._mint.access(grant),
        }
        if "offline_access" in granted and not self._options.omit_refresh_token:
            body["refresh_token"] = self._mint.refresh(
                replace(
                    grant,
                    scopes=consented,
                    expires=now + INACTIVITY,
                    generation=self._grants.generation(account.oid),
                )
            )
        return body


def _basic(credentials: str) -> tuple[str, str]:
    try:
        client_id, _, secret = base64.b64decode(credentials).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise RefusedError(70002) from None
    return unquote_plus(client_id), unquote_plus(secret)


def _subset(text: str, consented: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes asked for; the OpenID ones consented always stay. 70011 for any not consented."""
    if not text.strip():
        return consented
    try:
        asked = parse_scopes(text)
    except UnknownScopeError as error:
        raise RefusedError(70011, scope=str(error)) from error
    for scope in asked:
        if scope not in consented and scope not in OPENID:
            raise RefusedError(65001)
    return tuple(scope for scope in consented if scope in asked or scope in OPENID)


def _claims(form: Mapping[str, str]) -> Claims:
    try:
        return parse_claims(form.get("claims", ""))
    except (ValueError, TypeError, AttributeError):
        raise RefusedError(9002313) from None


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
