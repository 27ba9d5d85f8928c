"""Words for the AADSTS codes that a holder of long-lived refresh tokens meets.

Meanings: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

from microsoft.reason import Actor, Kind, Reason, rows

_T, _C, _A, _O = Kind.TRANSIENT, Kind.NEEDS_CONSENT, Kind.NEEDS_CUSTOMER_ADMIN, Kind.OUR_FAULT
_AGAIN = "Open the consent link and sign in again with the same account."


def _codes(*numbers: int) -> list[str]:
    return [f"AADSTS{number}" for number in numbers]


_GRANT: list[Reason] = [
    *rows(
        _codes(50173),
        _C,
        Actor.PERSON,
        title="The permission was revoked",
        cause="An administrator reset the account's password or revoked its sessions.",
        what_to_do=_AGAIN,
        support="Expected after a password reset by an administrator. Settings, keys and history stay.",
    ),
    *rows(
        _codes(700082),
        _C,
        Actor.PERSON,
        title="The permission was unused for 90 days",
        cause="Microsoft ends a permission that has not been used for 90 days.",
        what_to_do=_AGAIN,
        support="Our periodic refresh should have prevented this: check the worker and the beat schedule.",
    ),
    *rows(
        _codes(700084),
        _O,
        Actor.CADENCE,
        title="The app is registered with the wrong platform",
        cause="Tokens of a single-page registration end after 24 hours.",
        what_to_do="Nothing. Cadence has to correct its app registration; a new sign-in may follow.",
        support="Register the redirect URI under the platform 'Web', not 'Single-page application'.",
    ),
    *rows(
        _codes(70008, 70002),
        _C,
        Actor.PERSON,
        title="The permission has expired",
        cause="The sign-in code or the refresh token is past its time.",
        what_to_do=_AGAIN,
        support="During sign-in: the page stayed open too long. Later: see the sign-in logs of the customer.",
    ),
    *rows(
        _codes(70000),
        _C,
        Actor.PERSON,
        title="Microsoft no longer accepts the permission",
        cause="The refresh token was called invalid. This has been seen to pass by itself.",
        what_to_do=_AGAIN,
        support="One later retry is due before the customer is asked to act.",
        retry_once=True,
    ),
    *rows(
        _codes(135010),
        _C,
        Actor.PERSON,
        title="Microsoft could not find the key of the permission",
        cause="Microsoft answers KeyNotFound and says no more about it.",
        what_to_do=_AGAIN,
        support="Keep the trace id from the log; one later retry is due before the customer is asked to act.",
        retry_once=True,
    ),
    *rows(
        _codes(70043),
        _C,
        Actor.CUSTOMER_ADMIN,
        title="Your sign-in frequency policy ended the permission",
        cause="A Conditional Access policy demands a new sign-in after a set time.",
        what_to_do="Sign in again by the consent link, and exclude the account used for Cadence from the "
        "sign-in frequency of your Conditional Access policies, or this repeats.",
        support="Suggest a dedicated service account that is exempt from sign-in frequency.",
    ),
    *rows(
        _codes(65001),
        _C,
        Actor.PERSON,
        title="Consent is missing or was withdrawn",
        cause="Nobody has consented to the app for this account, or the consent was removed.",
        what_to_do="Open the consent link and accept the permissions.",
        support="Somebody may have removed the app in Entra ID > Enterprise applications.",
    ),
    *rows(
        _codes(65004),
        _C,
        Actor.PERSON,
        title="The permissions were declined",
        cause="At Microsoft’s page the permissions were declined or the sign-in was cancelled.",
        what_to_do="Open the consent link again and choose Accept. If Microsoft does not let you, ask an administrator "
        "of your organisation to open the link and to sign in. Nothing was stored.",
        support="No action.",
    ),
    *rows(
        _codes(90094, 90095),
        _A,
        Actor.CUSTOMER_ADMIN,
        title="An administrator must approve first",
        cause="Your organisation does not let people consent to this app themselves.",
        what_to_do="Let an administrator who may approve apps (Cloud Application Administrator, Application "
        "Administrator or Privileged Role Administrator) open the approval link; the page after the refused sign-in "
        "shows it with a text to forward. After the approval, open the consent link again and sign in with the "
        "account that shall be used.",
        support="90095: a request is waiting at the customer’s, in Entra ID > Enterprise applications > Admin consent "
        "requests. An approval alone gives no connection: somebody must sign in once more afterwards.",
    ),
]

_PROOF: list[Reason] = [
    *rows(
        _codes(50076, 50079, 50074, 50072, 50078),
        _C,
        Actor.PERSON,
        title="Multi-factor authentication is needed",
        cause="Your organisation asks this account for a second factor, newly or again.",
        what_to_do="Open the consent link and sign in, completing the second factor. For a service account, "
        "consider excluding it from periodic re-authentication.",
        support="Often follows a changed Conditional Access policy or a new network address of ours.",
    ),
    *rows(
        _codes(50058),
        _C,
        Actor.PERSON,
        title="A person must sign in",
        cause="Microsoft found no signed-in session and needs a person.",
        what_to_do=_AGAIN,
        support="No action.",
    ),
    *rows(
        _codes(53003, 530032, 53000),
        _A,
        Actor.CUSTOMER_ADMIN,
        title="A Conditional Access policy blocks the access",
        cause="A policy of your organisation blocks this account, our network address or asks for a managed device.",
        what_to_do="In Entra ID > Sign-in logs, open the failed sign-in of the account to see the policy; "
        "exclude the account or allow the app and our network addresses. Then sign in by the "
        "consent link.",
        support="Give the customer our egress addresses. Retrying does not help before the policy is changed.",
    ),
    *rows(
        _codes(50057, 50034, 51004),
        _A,
        Actor.CUSTOMER_ADMIN,
        title="The account is disabled or gone",
        cause="The account that gave the permission is disabled or no longer in your directory.",
        what_to_do="Enable the account again, or choose another one; then sign in by the consent link.",
        support="Typical when a person has left. Suggest a dedicated service account.",
    ),
    *rows(
        _codes(50053),
        _A,
        Actor.CUSTOMER_ADMIN,
        title="The account is locked",
        cause="Too many failed sign-ins, or sign-ins from an address that Microsoft calls risky.",
        what_to_do="Unlock the account or wait until the lock ends, check its sign-in logs, then sign in by "
        "the consent link.",
        support="If several customers report it, our own network address may be listed as risky.",
    ),
    *rows(
        _codes(50055),
        _A,
        Actor.CUSTOMER_ADMIN,
        title="The account's password has expired",
        cause="The password of the account that gave the permission has expired.",
        what_to_do="Set a new password for the account, then sign in by the consent link.",
        support="For service accounts suggest a password that does not expire.",
    ),
    *rows(
        _codes(50105),
        _A,
        Actor.CUSTOMER_ADMIN,
        title="The account is not assigned to the app",
        cause="The app is set to 'Assignment required' and this account is not on its list.",
        what_to_do="In Entra ID > Enterprise applications > the Cadence app > Users and groups, add the "
        "account. Consent by an administrator does not replace this.",
        support="No action on our side.",
    ),
    *rows(
        _codes(50020, 90072, 16000),
        _C,
        Actor.PERSON,
        title="The account belongs to another organisation",
        cause="The account that signed in is a guest or of another tenant.",
        what_to_do="Sign out at Microsoft, open the consent link and choose a work account of your own organisation.",
        support="Often a browser with several accounts. A private window helps.",
    ),
    *rows(
        _codes(500021, 500212, 500213),
        _A,
        Actor.CUSTOMER_ADMIN,
        title="A tenant restriction blocks the access",
        cause="Tenant restrictions or cross-tenant access settings of your organisation forbid the sign-in.",
        what_to_do="Allow the Cadence app in your tenant restrictions or in Entra ID > External Identities > "
        "Cross-tenant access settings.",
        support="Retrying does not help before the setting is changed.",
    ),
]

_APP: list[Reason] = [
    *rows(
        _codes(500014),
        _A,
        Actor.CUSTOMER_ADMIN,
        title="A subscription has ended or is switched off",
        cause="Microsoft says that the service behind the calendars is disabled in your organisation: a subscription "
        "has lapsed, or an administrator has switched the service off.",
        what_to_do="In the Microsoft 365 admin center look under Billing > Your products whether a subscription with "
        "Exchange Online is active; in the Microsoft Entra admin center under Enterprise applications, whether "
        "Microsoft Graph is enabled. Then open the consent link again.",
        support="Nothing on our side. The connection resumes by a new sign-in.",
    ),
    *rows(
        _codes(700016, 500011, 650052, 650056),
        _C,
        Actor.CUSTOMER_ADMIN,
        title="The app is not, or no longer, known in your organisation",
        cause="The app was removed from your tenant, or lacks a permission there.",
        what_to_do="Open the consent link; consenting again adds the app to your tenant.",
        support="If every customer reports it, check MICROSOFT_CLIENT_ID. Also check the account's cloud.",
    ),
    *rows(
        _codes(90002),
        _A,
        Actor.CADENCE,
        title="Microsoft does not know this organisation",
        cause="The tenant was deleted, or lives in another national cloud.",
        what_to_do="If your organisation has moved to a new tenant, tell Cadence support.",
        support="Check the account's cloud; if the tenant is gone, disconnect the account.",
    ),
    *rows(
        _codes(90038),
        _O,
        Actor.CADENCE,
        title="The organisation belongs to another national cloud",
        cause="The account is set up here for a different Microsoft cloud than its own.",
        what_to_do="Tell Cadence support which cloud you use (worldwide, US Government, China).",
        support="Change the cloud of the account. If the customer has moved there, send the consent link again: "
        "tokens of one cloud are worth nothing in another.",
        of_one_account=True,
    ),
    *rows(
        _codes(7000215, 700027),
        _O,
        Actor.CADENCE,
        title="Microsoft does not accept our own credentials",
        cause="The client secret is wrong, or the certificate does not match the registration.",
        what_to_do="Nothing. Your consent is intact; Cadence has to repair this.",
        support="Every customer is affected. Set MICROSOFT_CLIENT_SECRET (the secret's value, not its id) "
        "or upload the certificate. Tenants stay connected.",
    ),
    *rows(
        _codes(7000222),
        _O,
        Actor.CADENCE,
        title="Our client secret has expired",
        cause="The secret of the Cadence app has run out.",
        what_to_do="Nothing. Your consent is intact; Cadence has to renew its secret.",
        support="Every customer is affected. Make a new secret in Entra ID > App registrations and "
        "restart. Tenants stay connected.",
    ),
    *rows(
        _codes(7000112),
        _O,
        Actor.CADENCE,
        title="Our app is disabled at Microsoft",
        cause="Microsoft or an administrator of Cadence has disabled the app.",
        what_to_do="Nothing. Cadence has to repair this.",
        support="Every customer is affected. See the app in Entra ID, and Microsoft's notices to the publisher.",
    ),
    *rows(
        _codes(50011),
        _O,
        Actor.CADENCE,
        title="Our return address is not registered",
        cause="The redirect URI differs from the ones in the app registration.",
        what_to_do="Nothing. Cadence has to repair this.",
        support="Register exactly PUBLIC_URL/connect/callback/ under the platform 'Web'.",
    ),
    *rows(
        _codes(54005, 501481),
        _C,
        Actor.PERSON,
        title="The sign-in was used before",
        cause="The answer from Microsoft was delivered twice, or belongs to another attempt.",
        what_to_do="Open the consent link and start again.",
        support="Usually a double click or a reload.",
    ),
    *rows(
        _codes(9002313, 70011),
        _O,
        Actor.CADENCE,
        title="Microsoft does not accept the form of our request",
        cause="The request, or a permission name in it, is malformed.",
        what_to_do="Nothing. Please tell Cadence support the code shown here.",
        support="A fault in our code, or in MICROSOFT_CALENDAR_SCOPE.",
    ),
    *rows(
        _codes(50196),
        _O,
        Actor.CADENCE,
        title="Microsoft saw the same request in a loop",
        cause="Our service repeated one request too often.",
        what_to_do="Nothing. Please tell Cadence support the code shown here.",
        support="A fault in our code: look for a refresh that repeats. It ends after some minutes of silence.",
    ),
    *rows(
        _codes(90033, 90012, 90024, 90006, 50033),
        _T,
        Actor.MICROSOFT,
        title="Microsoft's sign-in service has a passing fault",
        cause="Microsoft reports a transient error.",
        what_to_do="Nothing. We keep trying; the connection itself is intact.",
        support="See https://status.cloud.microsoft if it lasts.",
    ),
]

ENTRA_REASONS: tuple[Reason, ...] = (*_GRANT, *_PROOF, *_APP)
