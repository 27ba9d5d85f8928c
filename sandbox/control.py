"""The control endpoint under /_sandbox/: counters to read, behaviour to set, faults to order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.calendars import Event
from sandbox.faults import parse_fault
from sandbox.grants import EVERYBODY
from sandbox.messages import Request, Response, json_response
from sandbox.options import Options
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
            "withdraw_consent": self._withdraw,
            "trouble": self._trouble,
            "events": self._events,
            "mailboxes": self._mailboxes,
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
        if not request.path.startswith("/_sandbox/"):
            return None
        route = f"{request.method} {request.path.removeprefix('/_sandbox/')}"
        if route == "GET counters":
            return json_response(200, self._sandbox.counters.as_json())
        if route == "GET requests":
            return json_response(200, [asdict(seen) for seen in self._sandbox.counters.seen])
        if route == "GET options":
            return json_response(200, asdict(self._sandbox.options))
        if route == "GET accounts":
            return json_response(200, [_account(account) for account in self._sandbox.directory.accounts()])
        if route == "POST reset-counters":
            self._sandbox.counters.reset()
            return json_response(200, {})
        if route == "POST set":
            return self._set(request)
        return json_response(404, {"error": "no such control verb"})

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

    def _each(self, upn: str, action: Callable[[str], None]) -> None:
        """Run the action for the object id of one user, or with "*" for everybody's."""
        directory = self._sandbox.directory
        for account in directory.accounts() if upn == EVERYBODY else [self._account(upn)]:
            action(account.oid)

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
