"""The pages a human sees: sign-in, consent, refusal; plain forms, no script, nothing from outside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from html import escape

from sandbox.messages import Response
from sandbox.people import Account, Tenant

_STYLE = """
:root { color-scheme: light dark;
  --ink: #1b1b1f; --paper: #fff; --ground: #eef1f6; --line: #767b86; --accent: #0b57a4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececf1; --paper: #1d2027; --ground: #121419; --line: #8d93a1; --accent: #8ec2ff; }
}
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); }
.label { margin: 0; padding: .6rem 1rem; text-align: center; font-weight: 600;
  background: #ffd54a; color: #1b1b1f; }
main { max-width: 28rem; margin: 2rem auto; padding: 1.5rem; background: var(--paper); border-radius: .5rem; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
ul { padding-left: 1.25rem; }
button, input[type=text] { font: inherit; width: 100%; min-height: 2.75rem; padding: .4rem .75rem;
  border-radius: .3rem; border: 1px solid var(--line); background: transparent; color: inherit;
  text-align: left;
  overflow-wrap: anywhere; }
button { margin: 0 0 .5rem; cursor: pointer; }
button.main {
  background: var(--accent); color: var(--paper); border-color: var(--accent);
  text-align: center; font-weight: 600; }
button.other { text-align: center; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
label { display: block; margin: .5rem 0; }
small { display: block; }
.error { border-left: .3rem solid #c62828; padding-left: .75rem; overflow-wrap: anywhere; }
main.wide { max-width: 70rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .5rem; }
.grid button { margin: 0; }
.scroll { overflow-x: auto; }
select { font: inherit; min-height: 2.75rem; max-width: 100%; margin-bottom: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .2rem .75rem .2rem 0; border-bottom: 1px solid var(--line); }
@media (max-width: 30rem) { main { margin: 0; border-radius: 0; } }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# No form-action: Chromium would apply it to the redirect back to the application, which is any origin.
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'"


def page(title: str, body: str, *, status: int = 200, wide: bool = False, refresh: str = "") -> Response:
    """Return a whole page; `title` is text, `body` is HTML, `refresh` seconds after which it loads anew."""
    reload = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{reload}<title>{escape(title)} - Sandbox</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<p class="label">Sandbox: not Microsoft. Nothing here is real.</p>
<main{' class="wide"' if wide else ""}>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>
"""
    headers = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-store"),
        (
            "Content-Security-Policy",
            _POLICY.replace("default-src 'none'", "default-src 'none'; img-src data:"),
        ),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
    )
    return Response(status=status, body=text.encode(), headers=headers)


def _hidden(fields: Mapping[str, str]) -> str:
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )


def _describe(account: Account) -> str:
    role = {
        "admin": "administrator without a mailbox",
        "service": "service account",
        "personal": "personal account",
    }.get(account.kind, "administrator" if account.is_admin else "user")
    return f"{account.name}, {role}, {account.tenant.title}"


def sign_in_page(
    *,
    app: str,
    accounts: Iterable[Account],
    everyone: Iterable[Account],
    fields: Mapping[str, str],
    hint: str,
    problem: str,
    action: str = "",
) -> Response:
    """Return the account picker: a button for each of `accounts`, a field that completes all of `everyone`.

    The form posts `account` and the hidden `fields`; `problem` is shown when the last choice was refused.
    All forms go to `action`, or else to signin and consent beside the page.
    """
    buttons = "".join(
        f'<button name="account" value="{escape(a.upn)}">{escape(a.upn)}<small>{escape(_describe(a))}</small></button>'
        for a in accounts
    )
    options = "".join(f'<option value="{escape(a.upn)}">' for a in everyone)
    warning = f'<p class="error" role="alert">{escape(problem)}</p>' if problem else ""
    body = f"""{warning}<p>to continue to <strong>{escape(app)}</strong></p>
<h2>Pick an account</h2>
<form method="post" action="{action or "signin"}">{_hidden(fields)}{buttons}</form>
<h2>Use another account</h2>
<form method="post" action="{action or "signin"}">{_hidden(fields)}
<label for="account">E-mail address (no password needed)</label>
<input type="text" id="account" name="account" list="accounts" autocomplete="off"
  inputmode="email" required value="{escape(hint)}">
<datalist id="accounts">{options}</datalist>
<p><button class="main">Next</button></p></form>
<form method="post" action="{action or "consent"}">{_hidden(fields)}
<button class="other" name="decision" value="cancel">Back to the application</button></form>"""
    return page("Sign in", body)


def consent_page(
    *,
    app: str,
    account: Account,
    texts: Iterable[str],
    fields: Mapping[str, str],
    organisation: bool,
    for_all: bool = False,
    action: str = "consent",
) -> Response:
    """Return the consent screen; posting `decision` and, from administrators, `organisation`.

    With `for_all` it stands for the whole organisation without being asked.
    """
    asked = "".join(f"<li>{escape(text)}</li>" for text in texts)
    tick = (
        '<label><input type="checkbox" name="organisation" value="1"> Consent on behalf of your organization</label>'
        if organisation
        else ""
    )
    body = f"""<p>{escape(account.upn)}</p>
<p><strong>{escape(app)}</strong> would like to:</p>
<ul>{asked}</ul>
{"<p>If you accept, this app gets access for all users in your organization.</p>" if for_all else ""}
<form method="post" action="{action}">{_hidden(fields)}{tick}
<p>Accepting means that you allow this app to use your data as its terms of service and privacy statement
say.</p>
<button class="main" name="decision" value="accept">Accept</button>
<button class="other" name="decision" value="cancel">Cancel</button></form>"""
    return page("Permissions requested" + (" for your organization" if for_all else ""), body)


def mfa_page(*, account: Account, fields: Mapping[str, str]) -> Response:
    """Return the second step of a sign-in; posting `mfa` = approved or denied."""
    body = f"""<p>{escape(account.upn)}</p>
<p>Your organization needs more information to keep your account secure. Here you are your own phone.</p>
<form method="post" action="signin">{_hidden(fields)}
<button class="main" name="mfa" value="approved">Approve</button>
<button class="other" name="mfa" value="denied">I can't do this right now</button></form>"""
    return page("Approve sign in request", body)


def form_post_page(action: str, fields: Mapping[str, str]) -> Response:
    """Return the page that posts the answer to the application; Microsoft's does so by script."""
    body = f"""<form method="post" action="{escape(action)}">{_hidden(fields)}
<button class="main">Continue to the application</button></form>"""
    return page("Signed in", body)


def requested_page(*, account: Account, fields: Mapping[str, str]) -> Response:
    """Return the end of the approval workflow; the only way is back."""
    body = f"""<p>{escape(account.upn)}</p>
<p>Your request was sent to your organization's administrators.</p>
<form method="post" action="consent">{_hidden(fields)}
<button class="main" name="decision" value="cancel">Back to the application</button></form>"""
    return page("Request sent", body)


def approval_page(*, app: str, account: Account, fields: Mapping[str, str], on_request: bool = False) -> Response:
    """Return "Need admin approval": a plain user may not consent, only go back or, `on_request`, ask for it."""
    ask = (
        '<label for="reason">Enter justification for requesting this app</label>'
        '<input type="text" id="reason" name="reason">'
        '<p><button class="main" name="decision" value="request">Request approval</button></p>'
        if on_request
        else ""
    )
    body = f"""<p>{escape(account.upn)}</p>
<p><strong>{escape(app)}</strong> needs permission to access resources in your organization that only an
admin can grant. Please ask an admin to grant permission to this app before you can use it.</p>
<form method="post" action="consent">{_hidden(fields)}{ask}
<button class="main" name="decision" value="cancel">Return to the application without granting
consent</button></form>"""
    return page("Approval required" if on_request else "Need admin approval", body)


def refusal_page(description: str, tenant: Tenant | None = None) -> Response:
    """Return Entra's own error page: what is wrong never reaches the application."""
    where = f"<p>{escape(tenant.title)}</p>" if tenant else ""
    body = f'{where}<p class="error">{escape(description)}</p>'
    return page("Sorry, but we're having trouble signing you in.", body, status=400)
