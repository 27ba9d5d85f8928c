"""Words for the codes that this product itself gives, and for the bare OAuth words without a number."""

from __future__ import annotations

from microsoft.reason import NO_MAILBOX_CAUSE, NO_MAILBOX_REMEDY, Actor, Kind, Reason, rows

_T, _C, _A, _O, _U = (
    Kind.TRANSIENT,
    Kind.NEEDS_CONSENT,
    Kind.NEEDS_CUSTOMER_ADMIN,
    Kind.OUR_FAULT,
    Kind.UNKNOWN,
)

_SIGN_IN: list[Reason] = [
    *rows(
        ["declined", "access_denied"],
        _C,
        Actor.PERSON,
        title="The permissions were declined",
        cause="At Microsoft’s page the permissions were declined or the sign-in was cancelled.",
        what_to_do="Open the consent link again and choose Accept. If Microsoft does not let you, ask an administrator "
        "of your organisation to open the link and to sign in. Nothing was stored.",
        support="No action. If it repeats, ask whether a colleague with administrator rights should sign in instead.",
    ),
    *rows(
        ["approval_needed"],
        _A,
        Actor.CUSTOMER_ADMIN,
        title="An administrator must approve first",
        cause="Your organisation does not let people consent to this app themselves.",
        what_to_do="Let an administrator who may approve apps (Cloud Application Administrator, Application "
        "Administrator or Privileged Role Administrator) open the approval link; the page after the refused sign-in "
        "shows it with a text to forward. After the approval, open the consent link again and sign in with the "
        "account that shall be used.",
        support="Approval by an administrator alone gives no connection: somebody must sign in once more afterwards.",
    ),
    *rows(
        ["approval_declined"],
        _A,
        Actor.CUSTOMER_ADMIN,
        title="The approval was not given",
        cause="At Microsoft’s page the approval was declined or cancelled.",
        what_to_do="Open the approval link again and choose Accept, signed in with an account that may approve apps "
        "(Cloud Application Administrator, Application Administrator or Privileged Role Administrator). "
        "Nothing was changed.",
        support="Ask the customer’s IT whether they object to the app, and offer them the description of what is read.",
    ),
    *rows(
        ["approval_unknown"],
        _C,
        Actor.PERSON,
        title="We cannot tell which approval this is",
        cause="The approval link is older than 30 days, or its address was not complete.",
        what_to_do="If the app was approved at Microsoft, that counts there all the same. Open the consent link that "
        "belongs to it and sign in; that shows whether it worked.",
        support="No action. Many in a row may be somebody trying out the address.",
    ),
    *rows(
        ["personal_account"],
        _C,
        Actor.PERSON,
        title="A personal Microsoft account cannot be used",
        cause="The account that signed in is a private one (outlook.com, hotmail.com, …), not a work account.",
        what_to_do="Open the consent link again and choose a work account of your organisation.",
        support="Microsoft does not offer free/busy for personal accounts. No setting changes that.",
    ),
    *rows(
        ["other_tenant"],
        _A,
        Actor.CADENCE,
        title="The account belongs to another organisation than the one connected",
        cause="This customer was connected to a different Microsoft Entra tenant before.",
        what_to_do="Sign in with an account of the organisation connected before. If you have moved to a new "
        "tenant, ask Cadence support to allow the switch.",
        support="Confirm with the customer that the move is real. Propose the switch on the account's page; "
        "another person, a superuser, approves it. Then let them consent again. The existing connection is unchanged.",
    ),
    *rows(
        ["scope_missing"],
        _C,
        Actor.PERSON,
        title="The calendar permission was not granted",
        cause="Microsoft signed the account in but left out the permission to read calendars.",
        what_to_do="Open the consent link again and accept all permissions shown. If none are shown, ask your "
        "administrator to open the link, to choose “An administrator” and to tick “Consent on behalf of your "
        "organization”.",
        support="Compare the granted scopes in the audit entry with the configured calendar scope.",
    ),
    *rows(
        ["scope_not_enough"],
        _O,
        Actor.CADENCE,
        title="The calendar permission that we ask for is not enough",
        cause="Microsoft refused the read. We ask for Calendars.Read.Shared, and by Microsoft’s documentation that "
        "permission does not cover free/busy.",
        what_to_do="Nothing. Your consent was in order. Cadence has to ask for Calendars.Read instead and will then "
        "send you the link again.",
        support="Set MICROSOFT_CALENDAR_SCOPE to Calendars.Read or Calendars.ReadBasic, add that permission to the app "
        "registration, restart, and have the customer consent once more.",
    ),
    *rows(
        ["refresh_token_missing"],
        _C,
        Actor.PERSON,
        title="Lasting access was not granted",
        cause="Microsoft sent no refresh token, so the connection would end within the hour.",
        what_to_do="Open the consent link again and accept “Maintain access to data you have given it access to”.",
        support="Check that the registration is a web application and that offline_access is not blocked by policy.",
    ),
    *rows(
        ["mailbox_missing"],
        _A,
        Actor.CUSTOMER_ADMIN,
        title="The account has no mailbox in Exchange Online",
        cause=NO_MAILBOX_CAUSE,
        what_to_do=NO_MAILBOX_REMEDY,
        support="Typical for administrator accounts. Suggest a dedicated service account with the smallest licence.",
    ),
    *rows(
        ["reader_unreadable"],
        _C,
        Actor.PERSON,
        title="The calendar of this account could not be read",
        cause="The sign-in worked, but Microsoft did not give the free/busy times of the account itself.",
        what_to_do="Open the consent link again and sign in with another account that has an ordinary mailbox. A "
        "dedicated service account is best.",
        support="The details of the audit entry name Microsoft’s code.",
    ),
    *rows(
        ["disconnected"],
        _C,
        Actor.PERSON,
        title="The connection was ended",
        cause="The connection was disconnected and its tokens were deleted.",
        what_to_do="Open the consent link to connect again.",
        support="The audit trail says who disconnected it and why.",
    ),
    *rows(
        ["consent_required", "interaction_required", "login_required", "invalid_grant"],
        _C,
        Actor.PERSON,
        title="Microsoft asks for a new sign-in",
        cause="The stored permission is no longer accepted by Microsoft.",
        what_to_do="Open the consent link and sign in again with the same account.",
        support="Settings, keys and history stay. The Entra sign-in logs of the customer name the exact cause.",
    ),
]

_STATE: list[Reason] = [
    *rows(
        ["state_expired"],
        _C,
        Actor.PERSON,
        title="The sign-in took longer than ten minutes",
        cause="For safety a sign-in must be completed within ten minutes.",
        what_to_do="Open the consent link and start again.",
        support="No action.",
    ),
    *rows(
        ["state_used"],
        _C,
        Actor.PERSON,
        title="This sign-in was completed before",
        cause="The answer from Microsoft was delivered a second time, for example by reloading the page.",
        what_to_do="Open the consent link: its page shows whether the account is connected. If it is not, start again "
        "there.",
        support="No action; the first delivery decided.",
    ),
    *rows(
        ["state_unknown", "code_missing"],
        _C,
        Actor.PERSON,
        title="This sign-in was not started here",
        cause="The answer does not belong to a sign-in that we began.",
        what_to_do="Open the consent link and start again.",
        support="Harmless when single. Many in a row may be somebody trying out the address.",
    ),
    *rows(
        ["other_browser"],
        _C,
        Actor.PERSON,
        title="The sign-in was begun in another browser",
        cause="A sign-in must end in the browser in which it began, and cookies must be allowed.",
        what_to_do="Go back to the browser you began with, or open the consent link here and start again.",
        support="Also seen when links are opened in a mail program's own browser.",
    ),
    *rows(
        ["id_token_invalid"],
        _U,
        Actor.CADENCE,
        title="The proof of identity did not match",
        cause="The sign-in answer was not made for this request: wrong recipient, tenant, nonce or time.",
        what_to_do="Open the consent link and try once more. If it fails again, please tell Cadence support.",
        support="The log line names the claim that failed. Check the server's clock first, then the configured cloud.",
    ),
]

_OUTAGE: list[Reason] = [
    *rows(
        [
            "microsoft_unavailable",
            "temporarily_unavailable",
            "server_error",
            "timeout",
            "unavailable",
            "refresh_wait",
        ],
        _T,
        Actor.MICROSOFT,
        title="Microsoft does not answer at the moment",
        cause="Microsoft's service, or the network between us and it, gave no usable answer in time.",
        what_to_do="Nothing. We keep trying; the connection itself is intact.",
        support="See https://status.cloud.microsoft and our own egress and proxy. Probes turn green by themselves.",
    ),
    *rows(
        ["throttled"],
        _T,
        Actor.NOBODY,
        title="Microsoft asked us to slow down",
        cause="The quota of the signed-in mailbox, or of the app, was used up for the moment.",
        what_to_do="Nothing. We wait as long as Microsoft asks and go on.",
        support="Lasting throttling: see whether several accounts share one reader, and what asks so often.",
    ),
    *rows(
        ["invalid_client"],
        _O,
        Actor.CADENCE,
        title="Microsoft does not accept our own credentials",
        cause="The client secret or certificate of the Cadence app was refused.",
        what_to_do="Nothing. Your consent is intact; Cadence has to repair this.",
        support="Every customer is affected. Check MICROSOFT_CLIENT_ID and the secret or certificate in Entra ID.",
    ),
    *rows(
        ["misconfigured", "registration_missing"],
        _O,
        Actor.CADENCE,
        title="Our connection settings for Microsoft are wrong",
        cause="The client id, the credential, the CA bundle or the authority address of this installation is unusable.",
        what_to_do="Nothing. Cadence has to repair this.",
        support="Check the MICROSOFT_… variables; the log line says which part failed.",
    ),
    *rows(
        ["simulation_refused"],
        _O,
        Actor.CADENCE,
        title="This service is not connected to the real Microsoft 365",
        cause="It is set up with a simulated Microsoft 365, which is refused at a public address.",
        what_to_do="Nothing. Cadence has to repair this.",
        support="Remove MICROSOFT_AUTHORITY_URL; or, for an installation that is for training only, set "
        "ALLOW_SIMULATED_MICROSOFT=True.",
    ),
    *rows(
        ["encryption_key_missing"],
        _O,
        Actor.CADENCE,
        title="We cannot open the stored access",
        cause="The key that protects the stored tokens is not among the keys of this installation.",
        what_to_do="Nothing. Your consent is intact; Cadence has to repair this.",
        support="Bring the missing key back into FERNET_KEYS (after the newest), then run rotate_encryption_keys.",
    ),
    *rows(
        ["invalid_request", "invalid_scope", "unsupported_grant_type", "unauthorized_client"],
        _O,
        Actor.CADENCE,
        title="Microsoft does not accept the form of our request",
        cause="The request, a permission name or the app registration is wrong.",
        what_to_do="Nothing. Please tell Cadence support the code shown here.",
        support="Check MICROSOFT_CALENDAR_SCOPE and the app registration (web platform, delegated permissions).",
    ),
    *rows(
        ["invalid_resource"],
        _C,
        Actor.CUSTOMER_ADMIN,
        title="The app is not known in your organisation",
        cause="The app, or Microsoft Graph, is not registered in your tenant.",
        what_to_do="Open the consent link; consenting again registers the app.",
        support="Also check that the account's cloud is the right one.",
    ),
]

_DOUBT: list[Reason] = [
    *rows(
        ["canary_empty"],
        _U,
        Actor.CADENCE,
        title="The calendars look empty all at once",
        cause="Microsoft answers without an error, but shows no entry in calendars that held some before.",
        what_to_do="Please look into one of these calendars in Outlook. If entries are there, tell Cadence support; "
        "until then treat offered times with care. If the calendars were really emptied or moved, nothing needs to be "
        "done.",
        support="Ask the customer for one person who certainly has appointments, and compare with what the "
        "API gives. Typical causes: mailboxes moved to another tenant or back on premises, a new mailbox under the "
        "old address. It ends with the first entry that is seen again, otherwise 14 days after the last believed look.",
    ),
    *rows(
        ["sample_unreadable"],
        _A,
        Actor.CUSTOMER_ADMIN,
        title="The calendars of other people can no longer be read",
        cause="The account that reads still sees its own calendar, but Microsoft refuses the free/busy times of "
        "everybody else who could be read before.",
        what_to_do="Let an Exchange administrator check that people share at least their free/busy times within the "
        "organisation (default permission of calendars), and that no policy takes the reading account out of it.",
        support="The codes are in the answers of the API, mailbox by mailbox. No new consent is needed; it ends with "
        "the next probe that can read one of them.",
    ),
]

OWN_REASONS: tuple[Reason, ...] = (*_SIGN_IN, *_STATE, *_OUTAGE, *_DOUBT)
