"""The page to watch and drive the sandbox during a demo: plain forms, no script."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from sandbox import pages
from sandbox.messages import Response
from sandbox.options import Options

if TYPE_CHECKING:
    from sandbox.service import Sandbox

_SHOWN = 30
# Label and what it sets; WHO is the user or tenant chosen beside the buttons.
_FOR_SOMEBODY: tuple[tuple[str, dict[str, object]], ...] = (
    ("Password reset: grants revoked (50173)", {"revoke_refresh_tokens": "WHO"}),
    ("Access tokens expire now", {"expire_access_tokens": "WHO"}),
    ("Disable (50057)", {"disable_user": "WHO"}),
    ("MFA demanded (50076)", {"conditions": {"WHO": {"mfa": True}}}),
    ("Blocked by Conditional Access (53003)", {"conditions": {"WHO": {"conditional_access": True}}}),
    ("Sign-in of the last hour demanded (70043)", {"conditions": {"WHO": {"sign_in_frequency": 3600}}}),
    ("90 days unused (700082)", {"conditions": {"WHO": {"inactive": True}}}),
    ("Not assigned to the app (50105)", {"conditions": {"WHO": {"not_assigned": True}}}),
    ("Claims challenge at Graph", {"cae_for_all": True, "conditions": {"WHO": {"cae": "cures"}}}),
    ("Consent needs an administrator (90094)", {"conditions": {"WHO": {"approval": 90094}}}),
    ("Consent withdrawn (65001)", {"withdraw_consent": "WHO"}),
    ("Cure", {"cure": "WHO"}),
)
_FOR_TENANT: tuple[tuple[str, dict[str, object]], ...] = (
    ("App removed (700016)", {"conditions": {"WHO": {"app_removed": True}}}),
    ("Tenant deleted (90002)", {"conditions": {"WHO": {"deleted": True}}}),
    ("Wrong cloud (90038)", {"conditions": {"WHO": {"wrong_cloud": True}}}),
    ("Consent needs a request (90095)", {"conditions": {"WHO": {"approval": 90095}}}),
)
_FOR_MAILBOX: tuple[tuple[str, dict[str, object]], ...] = (
    ("Being moved (ErrorMailboxMoveInProgress)", {"trouble": {"WHO": "ErrorMailboxMoveInProgress"}}),
    ("No access (ErrorNoFreeBusyAccess)", {"trouble": {"WHO": "ErrorNoFreeBusyAccess"}}),
    ("Readable", {"trouble": {"WHO": ""}}),
)
_ANYWHERE: tuple[tuple[str, dict[str, object]], ...] = (
    ("Graph: 503 for 5 calls", {"faults": [{"path": "/v1.0/", "status": 503, "retry_after": "2.128", "times": 5}]}),
    ("Graph: 429 for 5 calls", {"faults": [{"path": "/v1.0/", "status": 429, "retry_after": "2.128", "times": 5}]}),
    ("Graph: down until cleared", {"faults": [{"path": "/v1.0/", "status": 503, "times": None}]}),
    ("Graph: 5 s slower until cleared", {"faults": [{"path": "/v1.0/", "delay": 5.0, "times": None}]}),
    ("Graph: HTML for 1 call", {"faults": [{"path": "/v1.0/", "kind": "html"}]}),
    ("Graph: 3 connections dropped", {"faults": [{"path": "/v1.0/", "kind": "dropped", "times": 3}]}),
    ("Sign-in: down until cleared", {"faults": [{"path": "/oauth2/", "status": 503, "times": None}]}),
    ("Client secret expired (7000222)", {"secret_expired": True}),
    ("Client secret good again", {"secret_expired": False}),
    ("Clear faults", {"clear_faults": True}),
    ("Everything as at the start", {"reset": True}),
)


def page(sandbox: Sandbox, *, refresh: str = "", who: str = "", problem: str = "") -> Response:
    """Return the page; with `refresh` (seconds) it loads itself anew. `who` is chosen already."""
    seconds = refresh if refresh.isdigit() and int(refresh) else ""
    warning = f'<p class="error" role="alert">{escape(problem)}</p>' if problem else ""
    domains = [tenant.domain for tenant in dict.fromkeys(a.tenant for a in sandbox.directory.accounts())]
    people = [account.upn for account in sandbox.directory.accounts() if account.can_sign_in]
    boxes = [account.upn for account in sandbox.directory.accounts() if account.mailbox]
    watching = (
        '<a href="/_sandbox/">Stop reloading</a>'
        if seconds
        else '<a href="/_sandbox/?refresh=3">Reload every 3 seconds</a>'
    )
    body = f"""{warning}<p>Sandbox time {sandbox.clock.moment():%Y-%m-%d %H:%M:%S} UTC. {watching}</p>
<h2>In force</h2>{_table(("what", "value"), _in_force(sandbox))}
{_forms("Trouble for a user or tenant", _FOR_SOMEBODY, [*domains, *people], who)}
{_forms("Trouble for a tenant", _FOR_TENANT, domains, who)}
{_forms("Trouble for all", _ANYWHERE)}
{_forms("Trouble for a mailbox", _FOR_MAILBOX, boxes, who)}
{_clock_form()}
<h2>Last requests</h2>{_table(("time", "request", "status", "by", "mailboxes"), _requests(sandbox))}
<h2>Consents</h2>{_table(("tenant", "for", "scopes"), _consents(sandbox))}
<h2>Counters</h2>
<form method="post" action="/_sandbox/do">{_button("Reset counters", "reset-counters")}</form>
{_table(("what", "count"), sandbox.counters.as_json().items())}
<h2>Accounts</h2>{_table(("address", "name", "kind", "state"), _accounts(sandbox))}"""
    return pages.page("Watch and drive", body, wide=True, refresh=seconds)


def _button(label: str, sets: str) -> str:
    return f'<button name="set" value="{escape(sets)}">{escape(label)}</button>'


def _forms(
    title: str, actions: Iterable[tuple[str, dict[str, object]]], choices: Iterable[str] = (), who: str = ""
) -> str:
    field = title.lower().replace(" ", "-")
    options = "".join(f"<option{' selected' if choice == who else ''}>{escape(choice)}</option>" for choice in choices)
    chosen = f'<label for="{field}">For</label><select id="{field}" name="who">{options}</select>' if options else ""
    buttons = "".join(_button(label, json.dumps(sets)) for label, sets in actions)
    return (
        f'<h2>{escape(title)}</h2><form method="post" action="/_sandbox/do">{chosen}'
        f'<div class="grid">{buttons}</div></form>'
    )


def _clock_form() -> str:
    steps = (("An hour later", 3600), ("A day later", 86_400), ("91 days later", 91 * 86_400))
    buttons = [_button(label, json.dumps({"advance_clock": seconds})) for label, seconds in steps]
    buttons.append(_button("Back to the machine's time", json.dumps({"set_clock": None})))
    return (
        '<h2>Clock of the sandbox</h2><form method="post" action="/_sandbox/do">'
        f'<div class="grid">{"".join(buttons)}</div></form>'
    )


def _table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    lines = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _in_force(sandbox: Sandbox) -> Iterable[tuple[str, object]]:
    usual = asdict(Options())
    for name, value in asdict(sandbox.options).items():
        if value != usual[name]:
            yield f"option {name}", value
    for whose, kinds in sandbox.control.conditions().items():
        for kind, value in kinds.items():
            yield f"condition {kind}", f"{whose}: {value}"
    for fault in sandbox.faults.as_json():
        yield "fault", ", ".join(f"{name} {value}" for name, value in fault.items() if value or name == "times")


def _consents(sandbox: Sandbox) -> Iterable[tuple[object, ...]]:
    for consent in sandbox.control.consents():
        yield consent["tenant"], consent["principal"] or "everybody", consent["scope"]


def _requests(sandbox: Sandbox) -> Iterable[tuple[object, ...]]:
    for seen in reversed(sandbox.counters.seen[-_SHOWN:]):
        time = datetime.fromtimestamp(seen.at, UTC)
        yield f"{time:%H:%M:%S}", f"{seen.method} {seen.path}", seen.status, seen.reader, seen.mailboxes or ""


def _accounts(sandbox: Sandbox) -> Iterable[tuple[object, ...]]:
    for account in sandbox.directory.accounts():
        kind = "administrator" if account.is_admin else account.kind
        trouble = "no mailbox" if account.mailbox is None else account.mailbox.trouble
        yield account.upn, account.name, kind, "disabled" if sandbox.grants.is_disabled(account.oid) else trouble
