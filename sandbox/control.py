"""The control endpoint under /_sandbox/: counters to read, behaviour to set, faults to order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sandbox import console
from sandbox.calendars import Event
from sandbox.conditions import OF_TENANTS
from sandbox.faults import parse_fault
from sandbox.grants import EVERYBODY
from sandbox.messages import Request, Response, json_response, redirect
from sandbox.options import Options, Registration
from sandbox.people import Account

if TYPE_CHECKING:
    from sandbox.service import Sandbox

_OPTIONS = frozenset(option.name for option in fields(Options))


class Control:
    """Reads and changes one sandbox; the same verbs over HTTP and from Python."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._verbs: dict[str, Callable[[Any], None]] = {
            "faults": self._add_faults,
            "clear_faults": lambda _: sandbox.faults.clear(),
            "advance_clock": lambda seconds: sandbox.clock.advance(float(seconds)),
            "set_clock": self._set_clock,
            "hold_clock": lambda still: sandbox.clock.hold(still=bool(still)),
            "conditions": self._conditions,
            "cure": self._cure,
            "registration": self._register,
            "reset": lambda _: sandbox.reset(),
            "withdraw_consent": self._withdraw,
            "trouble": self._trouble,
            "events": self._events,
            "mailboxes": self._mailboxes,
            "tenants": self._tenants,
            "licences": self._licences,
        }
        self._views: dict[str, Callable[[], object]] = {
            "GET counters": sandbox.counters.as_json,
            "GET requests": lambda: [asdict(seen) for seen in sandbox.counters.seen],
            "GET options": lambda: asdict(sandbox.options),
            "GET accounts": lambda: [_account(account) for account in sandbox.directory.accounts()],
            "GET faults": sandbox.faults.as_json,
            "GET conditions": self.conditions,
            "GET consents": self.consents,
            "GET clock": lambda: sandbox.clock.moment().isoformat(),
        }
        grants, clock = sandbox.grants, sandbox.clock
        self._user_verbs: dict[str, Callable[[str], None]] = {
            "revoke_refresh_tokens": lambda oid: grants.revoke(oid, clock.now()),
            "expire_access_tokens": grants.expire_access,
            "disable_user": lambda oid: grants.disable(oid, disabled=True),
            "enable_user": lambda oid: grants.disable(oid, disabled=False),
        }

    def answer(self, request: Request) -> Response | None:
        """Answer `/_sandbox/…`; None for other paths."""
        if not f"{request.path}/".startswith("/_sandbox/"):
            return None
        route = f"{request.method} {request.path.removeprefix('/_sandbox').lstrip('/')}"
        if route == "GET ":
            return console.page(
                self._sandbox, refresh=request.query.get("refresh", ""), who=request.query.get("who", "")
            )
        if route == "POST do":
            return self._do(request)
        if route in self._views:
            return json_response(200, self._views[route]())
        if route == "POST reset-counters":
            self._sandbox.counters.reset()
            return json_response(200, {})
        if route == "POST set":
            return self._set(request)
        return json_response(404, {"error": "no such control verb"})

    @property
    def verbs(self) -> list[str]:
        """Return the names of all verbs; options are no verbs."""
        return [*self._verbs, *self._user_verbs]

    def set(self, wanted: Mapping[str, Any]) -> None:
        """Change options and run verbs in the order given; ValueError names what is wrong."""
        unknown = sorted(set(wanted) - _OPTIONS - set(self._verbs) - set(self._user_verbs))
        if unknown:
            raise ValueError(f"unknown: {', '.join(unknown)}")
        for name, value in wanted.items():
            if name in self._verbs:
                self._verbs[name](value)
            elif name in self._user_verbs:
                self._each(value, self._user_verbs[name])
            else:
                self._set_option(name, value)

    def conditions(self) -> dict[str, dict[str, Any]]:
        """Return the conditions in force, by user, tenant domain or "*"."""
        held = self._sandbox.conditions.as_json()
        return {self._name(subject): kinds for subject, kinds in held.items()}

    def _do(self, request: Request) -> Response:
        """Answer a form of the console: `set` as JSON, `who` in the place of every "WHO" in it."""
        form = request.form
        try:
            if form.get("set") == "reset-counters":
                self._sandbox.counters.reset()
            else:
                self.set(json.loads(form.get("set", "").replace("WHO", form.get("who", EVERYBODY))))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return console.page(self._sandbox, problem=str(error))
        chosen = f"?{urlencode({'who': form['who']})}" if form.get("who") else ""
        return replace(redirect(f"/_sandbox/{chosen}"), status=303)

    def _set(self, request: Request) -> Response:
        try:
            wanted = json.loads(request.body)
            if not isinstance(wanted, dict):
                raise ValueError("an object is needed")
            self.set(wanted)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return json_response(400, {"error": str(error)})
        return json_response(200, asdict(self._sandbox.options))

    def _set_option(self, name: str, value: Any) -> None:
        kind = type(getattr(self._sandbox.options, name))
        if kind is tuple and isinstance(value, list | tuple):
            value = tuple(value)
        elif kind is float and isinstance(value, int):
            value = float(value)
        if type(value) is not kind:
            raise ValueError(f"{name} must be of type {kind.__name__}")
        setattr(self._sandbox.options, name, value)

    def _add_faults(self, faults: list[dict[str, object]]) -> None:
        for parsed in [parse_fault(fault) for fault in faults]:
            self._sandbox.faults.add(parsed)

    def _each(self, whose: str, action: Callable[[str], None]) -> None:
        """Run the action for the object id of one user, of all in a tenant, or with "*" of everybody."""
        directory = self._sandbox.directory
        tenant = directory.tenant(whose)
        many = whose == EVERYBODY or tenant is not None
        for account in directory.accounts(tenant) if many else [self._account(whose)]:
            action(account.oid)

    def _subject(self, whose: str) -> tuple[str, bool]:
        """Return what conditions are kept under, and whether it is a single user."""
        tenant = self._sandbox.directory.tenant(whose)
        if whose == EVERYBODY or tenant is not None:
            return (tenant.tid if tenant else EVERYBODY), False
        return self._account(whose).oid, True

    def _name(self, subject: str) -> str:
        directory = self._sandbox.directory
        tenant, account = directory.tenant(subject), directory.by_oid(subject)
        return tenant.domain if tenant else account.upn if account else subject

    def _conditions(self, wanted: dict[str, dict[str, object]]) -> None:
        now = self._sandbox.clock.now()
        for whose, kinds in wanted.items():
            subject, single = self._subject(whose)
            for kind, value in kinds.items():
                if single and kind in OF_TENANTS:
                    raise ValueError(f"{kind} is a condition of tenants")
                self._sandbox.conditions.put(subject, kind, value, now=now)
                if kind == "app_removed" and value:
                    for tenant in self._sandbox.directory.tenants():
                        if subject in (tenant.tid, EVERYBODY):
                            self._sandbox.grants.withdraw(tenant.tid)

    def _cure(self, whose: str) -> None:
        """End all conditions, and re-enable whom they concern."""
        self._sandbox.conditions.cure(self._subject(whose)[0])
        self._each(whose, lambda oid: self._sandbox.grants.disable(oid, disabled=False))

    def _set_clock(self, at: float | str | None) -> None:
        self._sandbox.clock.set(datetime.fromisoformat(at) if isinstance(at, str) else at)

    def _register(self, wanted: dict[str, Any]) -> None:
        """Change the app's registration: what the client still uses is then wrong."""
        known = {entry.name for entry in fields(Registration)}
        if not set(wanted) <= known:
            raise ValueError(f"a registration has {', '.join(sorted(known))}")
        for name, value in wanted.items():
            given = tuple(value) if isinstance(value, list) else value
            if type(given) is not type(getattr(self._sandbox.registration, name)):
                raise ValueError(f"{name} is of another type")
            setattr(self._sandbox.registration, name, given)

    def consents(self) -> list[dict[str, object]]:
        """Return the grants as Microsoft shows them: for all principals, or for one."""
        return [
            {
                "tenant": self._name(tid),
                "consentType": "AllPrincipals" if who == EVERYBODY else "Principal",
                "principal": None if who == EVERYBODY else self._name(who),
                "scope": " ".join(scopes),
            }
            for tid, who, scopes in self._sandbox.grants.consents()
        ]

    def _account(self, upn: str) -> Account:
        account = self._sandbox.directory.find(upn)
        if account is None:
            raise ValueError(f"{upn} does not exist")
        return account

    def _withdraw(self, whose: str) -> None:
        """Take back a tenant's consents (by its domain, name or id) or one user's own."""
        tenant = self._sandbox.directory.tenant(whose)
        if tenant is not None:
            self._sandbox.grants.withdraw(tenant.tid)
        else:
            account = self._account(whose)
            self._sandbox.grants.withdraw(account.tenant.tid, account.oid)

    def _trouble(self, codes: dict[str, str]) -> None:
        for address, code in codes.items():
            self._sandbox.directory.set_trouble(address, code)

    def _mailboxes(self, addresses: list[str]) -> None:
        for address in addresses:
            self._sandbox.directory.add_mailbox(address)

    def _tenants(self, people: dict[str, int]) -> None:
        for name, count in people.items():
            self._sandbox.directory.add_tenant(name, people=int(count))

    def _licences(self, licences: dict[str, bool]) -> None:
        for address, licensed in licences.items():
            self._sandbox.directory.set_licence(address, licensed=bool(licensed))

    def _events(self, events: dict[str, list[dict[str, Any]]]) -> None:
        for address, added in events.items():
            for given in added:
                bounds = {name: datetime.fromisoformat(given[name]) for name in ("start", "end")}
                if any(bound.tzinfo is None for bound in bounds.values()):
                    raise ValueError("start and end need an offset")
                self._sandbox.directory.add_event(address, Event(**{**given, **bounds}))


def _account(account: Account) -> dict[str, object]:
    return {
        "upn": account.upn,
        "name": account.name,
        "oid": account.oid,
        "tenant_id": account.tenant.tid,
        "tenant": account.tenant.name,
        "kind": account.kind,
        "is_admin": account.is_admin,
        "has_mailbox": account.mailbox is not None,
    }
