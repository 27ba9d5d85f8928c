"""Pure: what the evidence pack tells a customer's IT whatever the account. The same facts as docs/privacy.md.

Wording is for readers outside: no word of ours that they would have to look up. What is said of Microsoft's side is
from https://learn.microsoft.com/entra/identity/enterprise-apps/manage-application-permissions and
https://learn.microsoft.com/exchange/permissions-exo/application-rbac
"""

from __future__ import annotations

from dataclasses import dataclass

READ = (
    "Of each mailbox that is asked for: start, end and status of entries, working hours and time zone.",
    "The only call is getSchedule of Microsoft Graph, made as the account that signed in.",
)
NEVER_READ = (
    "Nothing is ever written, changed or deleted in a calendar, and no mail, contact or file is read.",
    "Its answers may carry subjects and locations. They are decoded into structures that have no field for these, "
    "so they never become a value in the program.",
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One kind of data that is stored; `of_customers` false where it is about Event Cadence's own staff and keys."""

    what: str
    where: str
    how_long: str
    of_customers: bool = True


STORED = (
    Kept(
        "what calendars said a moment ago: times, statuses, working hours, time zone, or why one could not be read",
        "a cache, at most 20,000 calendars, encrypted under names that are keyed hashes",
        "an hour at most, 70 minutes in a file; until disconnect or reconnect, which delete it at once",
    ),
    Kept(
        "rosters being read ahead: addresses that were not read in time",
        "unfinished rosters, at most 20 of an account",
        "until they are read, 30 minutes at most; all of them until disconnect",
    ),
    Kept(
        "what an answer was decided from: times and statuses of entries, with random pseudonyms in the place of all "
        "addresses, encrypted",
        "beside the limits (Redis), not in the database; at most 500 answers of an account",
        "24 hours, 72 if so set; all of an account until disconnect",
    ),
    Kept(
        "refresh and access token",
        "one table, encrypted",
        "until disconnect, which deletes them at once",
    ),
    Kept(
        "who consented: sign-in name, object id, tenant id",
        "connection, audit trail",
        "until the account is deleted; the audit trail stays",
    ),
    Kept(
        "a sign-in under way",
        "state as a hash, the flow encrypted",
        "usable for ten minutes, deleted after a day",
    ),
    Kept("address (IP) of a consent visitor", "audit trail", "as the trail"),
    Kept(
        "mailboxes that the API was asked for lately and could read: address, when it was last asked for, how many "
        "entries the last probe saw",
        "known mailboxes, at most 500 of an account, so that probes look where it matters",
        "30 days after it was last asked for; all of them until disconnect",
    ),
    Kept(
        "rosters that support checked: addresses as they were given, what became of each (a code), when, who asked",
        "pre-flights, at most 500 of a run",
        "30 days; all of an account until disconnect. No free/busy",
    ),
    Kept(
        "health of a connection: when, how fast, Microsoft's error code",
        "health checks",
        "8 days; as sums by hour 48 hours, by day 400 days",
    ),
    Kept(
        "whom to write to",
        "contact address of the account; the address each mail went to",
        "until changed; mails 400 days. No text of a mail is kept",
    ),
    Kept("API keys", "prefix and hash; the key itself is shown once", "until deleted; revoking keeps the row", False),
    Kept("webhook endpoints", "address; signing secrets, encrypted", "disabling keeps the row", False),
    Kept(
        "staff: name, hash of the password, secret of the authenticator app, encrypted, hashes of recovery codes",
        "users, second factors",
        "until deleted",
        False,
    ),
    Kept("sign-ins of staff: name, address (IP), outcome", "audit trail", "stays", False),
    Kept(
        "failed sign-ins of staff: address (IP), browser, hash of the name",
        "lock-out",
        "15 minutes, then until the next one",
        False,
    ),
    Kept(
        "what webhooks told: account, state, health, reason; the receiver's status",
        "deliveries",
        "30 days",
    ),
)


@dataclass(frozen=True, slots=True)
class Advice:
    """Something that the customer's IT can do; `command` is for Exchange Online PowerShell."""

    title: str
    text: str
    command: str = ""


RESTRICT = (
    Advice(
        "A dedicated service account",
        "Let an account sign in that nobody works with, with the smallest licence that has an Exchange Online mailbox "
        "and no administrator role. Access is delegated: it reaches what this account may see, and nothing else.",
    ),
    Advice(
        "Free/busy only (AvailabilityOnly)",
        "Leave the calendars' default sharing at “Can view when I’m busy”. Then Microsoft itself holds back subjects "
        "and locations, whatever permission the app has. For a mailbox that shares more:",
        "Set-MailboxFolderPermission user@example.com:\\Calendar -User Default -AccessRights AvailabilityOnly",
    ),
    Advice(
        "Leave mailboxes out",
        "A mailbox that gives the default no rights is unreadable for this service. It is then treated as unknown, "
        "never as free:",
        "Set-MailboxFolderPermission user@example.com:\\Calendar -User Default -AccessRights None",
    ),
    Advice(
        "RBAC for Applications",
        "It governs apps that act without a user, by application permissions. This service has none and asks for none, "
        "so there is nothing to narrow there. Grant the app no application permission; should one ever be granted, a "
        "role assignment with a management scope limits it to chosen mailboxes.",
    ),
    Advice(
        "Assignment required",
        "In the Microsoft Entra admin center, under Enterprise applications, Properties, set “Assignment required” and "
        "assign the service account alone: then nobody else can sign in to this app.",
    ),
)
REVOKE = (
    Advice(
        "In Microsoft Entra, an administrator",
        "Microsoft Entra admin center > Enterprise applications > the app > Permissions > Admin consent: revoke. A "
        "consent by one account (User consent) cannot be revoked on that page: delete the app there, or let the "
        "account do it itself. To end it at once, also revoke the sessions of the account that signed in, under Users.",
    ),
    Advice(
        "At Microsoft, the account that signed in",
        "myapps.microsoft.com > the app’s menu > Manage your application > Revoke permissions.",
    ),
    Advice(
        "At Event Cadence",
        "Ask for a disconnect: the stored tokens are deleted at once. What was revoked at Microsoft we notice with the "
        "next call, at the latest when the access token ends (about an hour), and stop.",
    ),
)
