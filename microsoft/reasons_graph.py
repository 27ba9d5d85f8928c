"""Words for the codes of Microsoft Graph: of whole requests that failed and of mailboxes not readable.

https://learn.microsoft.com/graph/errors and, for the Error… names, Exchange's response codes:
https://learn.microsoft.com/exchange/client-developer/web-service-reference/responsecode
"""

from __future__ import annotations

from microsoft.reason import NO_MAILBOX_CAUSE, NO_MAILBOX_REMEDY, Actor, Kind, Reason, rows

_T, _C, _A, _O, _U = (
    Kind.TRANSIENT,
    Kind.NEEDS_CONSENT,
    Kind.NEEDS_CUSTOMER_ADMIN,
    Kind.OUR_FAULT,
    Kind.UNKNOWN,
)

_REQUEST: list[Reason] = [
    *rows(
        ["InvalidAuthenticationToken"],
        _C,
        Actor.PERSON,
        title="Microsoft Graph no longer accepts the access",
        cause="A fresh access token was refused too.",
        what_to_do="Open the consent link and sign in again with the same account.",
        support="Seen after a password change or when an administrator revoked sessions.",
    ),
    *rows(
        ["ErrorAccessDenied", "Authorization_RequestDenied", "accessDenied"],
        _A,
        Actor.CUSTOMER_ADMIN,
        title="Reading calendars is not permitted",
        cause="The permission to read calendars is missing, or Exchange limits what the app may read.",
        what_to_do="Open the consent link and accept the permissions. If that does not help, look in "
        "Exchange for an application access policy or RBAC scope that excludes the account.",
        support="Compare the granted scopes of the connection with MICROSOFT_CALENDAR_SCOPE.",
    ),
    *rows(
        ["MailboxNotEnabledForRESTAPI", "MailboxNotSupportedForRESTAPI", "ErrorMissingMailbox"],
        _A,
        Actor.CUSTOMER_ADMIN,
        title="The account has no mailbox in Exchange Online",
        cause=NO_MAILBOX_CAUSE,
        what_to_do=NO_MAILBOX_REMEDY,
        support="Typical for administrator accounts without a licence.",
    ),
    *rows(
        ["ResourceNotFound", "ErrorItemNotFound"],
        _T,
        Actor.MICROSOFT,
        title="Microsoft Graph did not find the calendar",
        cause="Seen now and then for mailboxes that exist; usually passes.",
        what_to_do="Nothing, unless it lasts for more than a day: then check that the account's mailbox still exists.",
        support="One retry is made. If it lasts, ask the customer about the reader's licence.",
        retry_once=True,
    ),
    *rows(
        [
            "ErrorInvalidMergedFreeBusyInterval",
            "ErrorMailboxDataArrayTooBig",
            "ErrorTimeIntervalTooBig",
            "ErrorInvalidTimeInterval",
            "TimeZoneNotSupportedException",
            "ErrorInvalidRequest",
            "BadRequest",
            "RequestBodyRead",
        ],
        _O,
        Actor.CADENCE,
        title="Microsoft Graph does not accept the form of our request",
        cause="The question went beyond a limit of Microsoft's: number of mailboxes, window, interval or time zone.",
        what_to_do="Nothing. Please tell Cadence support the code shown here.",
        support="A fault in our splitting of requests, or a limit that Microsoft has changed.",
    ),
    *rows(
        ["TooManyRequests", "ApplicationThrottled", "ErrorTooManyObjectsOpened", "activityLimitReached", "HTTP429"],
        _T,
        Actor.NOBODY,
        title="Microsoft asked us to slow down",
        cause="The quota of the signed-in mailbox was used up for the moment.",
        what_to_do="Nothing. We wait as long as Microsoft asks and go on.",
        support="Lasting throttling: see whether several accounts share one reader.",
    ),
    *rows(
        [
            "generalException",
            "serviceNotAvailable",
            "UnknownError",
            "ErrorInternalServerError",
            *("InternalServerError", "BadGateway", "ServiceUnavailable", "GatewayTimeout", "BandwidthLimitExceeded"),
            # An answer without a code of its own, or one that could not be read.
            *("HTTP408", "HTTP500", "HTTP502", "HTTP503", "HTTP504", "HTTP509", "MalformedBody"),
        ],
        _T,
        Actor.MICROSOFT,
        title="Microsoft Graph has a passing fault",
        cause="Microsoft reports an internal error.",
        what_to_do="Nothing. We keep trying.",
        support="See https://status.cloud.microsoft if it lasts.",
    ),
]

_MAILBOX: list[Reason] = [
    *rows(
        ["not_found", "5009", "ErrorMailRecipientNotFound", "ErrorNonExistentMailbox"],
        _A,
        Actor.CUSTOMER_ADMIN,
        title="The address is not in the directory",
        cause="The e-mail address does not belong to a mailbox of the organisation.",
        what_to_do="Check the spelling; check that the person or room still exists.",
        support="Often a mistyped address or somebody who has left.",
    ),
    *rows(
        ["too_many_entries", "5006", "ErrorResultSetTooBig"],
        _U,
        Actor.NOBODY,
        title="The calendar has too many entries in this time",
        cause="Microsoft gives no answer for a mailbox with more than 1000 entries in the window asked for.",
        what_to_do="Ask for a shorter time.",
        support="A smaller window helps. Rooms that are booked by machines are typical.",
    ),
    *rows(
        ["no_access", "ErrorNoFreeBusyAccess"],
        _A,
        Actor.CUSTOMER_ADMIN,
        title="Free/busy of this mailbox is not shared",
        cause="The mailbox does not show its free/busy times to the account that reads.",
        what_to_do="In Outlook or Exchange, let the organisation see the mailbox’s availability: “Can view when "
        "I’m busy”.",
        support="Set-MailboxFolderPermission user:\\Calendar -User Default -AccessRights AvailabilityOnly.",
    ),
    *rows(
        [
            "not_on_exchange_online",
            "ErrorServiceDiscoveryFailed",
            "ErrorInvalidOrganizationRelationshipForFreeBusy",
            "ErrorProxyRequestProcessingFailed",
            "ErrorProxyRequestNotAllowed",
        ],
        _A,
        Actor.CUSTOMER_ADMIN,
        title="The mailbox is not in Exchange Online",
        cause="The mailbox is on-premises or of another organisation, and Exchange could not reach it.",
        what_to_do="Check the hybrid configuration and the organisation relationship for free/busy.",
        support="Not something a new consent can repair.",
    ),
    *rows(
        ["ErrorIndividualMailboxLimitReached", "ErrorFreeBusyDLLimitReached"],
        _U,
        Actor.PERSON,
        title="The distribution list is too large",
        cause="Microsoft reads distribution lists of up to 100 members only.",
        what_to_do="Ask for the people one by one.",
        support="Addresses of groups are better replaced by those of people.",
    ),
    *rows(
        [
            "ErrorMailboxMoveInProgress",
            "ErrorMailboxStoreUnavailable",
            "ErrorMailboxLogonFailed",
            "ErrorFreeBusyGenerationFailed",
            "ErrorTimeoutExpired",
            "ErrorServerBusy",
        ],
        _T,
        Actor.MICROSOFT,
        title="The mailbox cannot be reached at the moment",
        cause="Exchange is busy, or is moving the mailbox.",
        what_to_do="Nothing. Try again later.",
        support="Passes by itself.",
    ),
    *rows(
        ["no_data"],
        _U,
        Actor.MICROSOFT,
        title="Microsoft gave no calendar data for this mailbox",
        cause="The answer held neither entries nor an error for it.",
        what_to_do="Try again later; if it lasts, check that the mailbox is licensed.",
        support="Never to be read as free.",
    ),
    *rows(
        ["other"],
        _U,
        Actor.CADENCE,
        title="The mailbox could not be read",
        cause="Microsoft gave a code that we do not know.",
        what_to_do="Please tell Cadence support the code shown beside it.",
        support="Have the raw code added to the table.",
    ),
]

GRAPH_REASONS: tuple[Reason, ...] = (*_REQUEST, *_MAILBOX)
