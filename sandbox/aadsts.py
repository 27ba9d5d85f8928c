"""Entra ID's error answers: AADSTS number to HTTP status, OAuth error and text.

Shape and texts: microsoft/samples of the fact sheet, entra-docs v2-oauth2-auth-code-flow.md and
reference-error-codes.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.clock import Clock
from sandbox.messages import Response, json_response


@dataclass(frozen=True, slots=True)
class Aadsts:
    """One error; `text` may hold {named} places."""

    status: int
    error: str
    text: str
    suberror: str = ""
    claims: str = ""


_MFA_CLAIMS = '{"access_token":{"capolids":{"essential":true,"values":["5a9db0c5-0000-4000-8000-0000000c0a1e"]}}}'
_MFA = (
    "Due to a configuration change made by your administrator, or because you moved to a new location, "
    "you must use multi-factor authentication to access '00000003-0000-0000-c000-000000000000'."
)
_ENROL = (
    "Due to a configuration change made by your administrator, or because you moved to a new location, "
    "you must enroll in multi-factor authentication to access '00000003-0000-0000-c000-000000000000'."
)
_KEYS_EXPIRED = (
    "The provided client secret keys are expired. Visit the Azure Portal to create new keys for your app, or "
    "consider using certificate credentials for added security: "
    "https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials"
)
_KEY_WRONG = (
    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
    "not the client secret ID, for a secret added to app '{client_id}'."
)
_REVOKED = (
    "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might "
    "have changed or reset their password. The grant was issued on '{issued}' and the TokensValidFrom date "
    "(before which tokens are not valid) for this user is '{valid_from}'."
)
_INACTIVE = (
    "The refresh token has expired due to inactivity. The token was issued on {issued} and was inactive for "
    "90.00:00:00."
)
_CONSENT = (
    "The user or administrator has not consented to use the application with ID '{client_id}'. Send an "
    "interactive authorization request for this user and resource."
)
_REDIRECT = (
    "The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured "
    "for the application '{client_id}'."
)
_GUEST = (
    "User account '{upn}' from identity provider does not exist in tenant '{tenant}' and cannot access the "
    "application '{client_id}' in that tenant."
)
_REPLY = "The reply address does not match the reply address provided when requesting Authorization code."
_BODY = "The request body must contain the following parameter: '{name}'."
_UNKNOWN_APP = "Application with identifier '{client_id}' was not found in the directory."

TABLE: dict[int, Aadsts] = {
    16000: Aadsts(
        400,
        "interaction_required",
        "Either multiple user identities are available or the account is unsupported.",
    ),
    50011: Aadsts(400, "invalid_request", _REDIRECT),
    50020: Aadsts(400, "invalid_request", _GUEST),
    50033: Aadsts(503, "temporarily_unavailable", "A transient error occurred. Please try again."),
    50034: Aadsts(400, "invalid_grant", "The user account does not exist in the directory."),
    50053: Aadsts(400, "invalid_grant", "The account is locked."),
    50055: Aadsts(400, "invalid_grant", "The password is expired."),
    50057: Aadsts(400, "invalid_grant", "The user account is disabled."),
    50058: Aadsts(400, "login_required", "A silent sign-in request was sent but no user is signed in."),
    50074: Aadsts(400, "invalid_grant", "Strong Authentication is required.", "basic_action"),
    50072: Aadsts(400, "invalid_grant", _ENROL, "basic_action"),
    50076: Aadsts(400, "invalid_grant", _MFA, "basic_action", _MFA_CLAIMS),
    50078: Aadsts(400, "invalid_grant", "Presented multi-factor authentication has expired.", "basic_action"),
    50079: Aadsts(400, "invalid_grant", _ENROL, "basic_action"),
    50105: Aadsts(400, "invalid_grant", "The signed in user is not assigned to a role for the application."),
    50173: Aadsts(400, "invalid_grant", _REVOKED),
    50196: Aadsts(400, "invalid_grant", "The server ended the request because the client seems to be in a loop."),
    51004: Aadsts(400, "invalid_grant", "The user account doesn't exist in the directory."),
    53000: Aadsts(400, "invalid_grant", "Device is not in required device state: compliant.", "message_only"),
    53003: Aadsts(400, "invalid_grant", "Access has been blocked by Conditional Access policies.", "message_only"),
    54005: Aadsts(
        400,
        "invalid_grant",
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code.",
    ),
    65001: Aadsts(400, "invalid_grant", _CONSENT, "consent_required"),
    65004: Aadsts(400, "access_denied", "User declined to consent to access the app."),
    70000: Aadsts(400, "invalid_grant", "The provided value for the input parameter 'refresh_token' isn't valid."),
    70002: Aadsts(400, "invalid_request", "Error validating credentials."),
    70003: Aadsts(400, "unsupported_grant_type", "The app requested an unsupported grant type '{grant_type}'."),
    70008: Aadsts(400, "invalid_grant", "The provided authorization code or refresh token has expired."),
    70011: Aadsts(
        400,
        "invalid_scope",
        "The provided value for the input parameter 'scope' isn't valid. The scope {scope} isn't valid.",
    ),
    70043: Aadsts(
        400,
        "invalid_grant",
        "The refresh token has expired or is invalid due to sign-in frequency checks.",
        "bad_token",
    ),
    90002: Aadsts(
        400,
        "invalid_tenant",
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.",
    ),
    90006: Aadsts(503, "temporarily_unavailable", "External server is retryable."),
    90012: Aadsts(503, "temporarily_unavailable", "Request timed out."),
    90024: Aadsts(503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
    90033: Aadsts(503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
    90038: Aadsts(400, "invalid_request", "Tenant '{tenant}' request is being redirected to the National Cloud."),
    90094: Aadsts(400, "access_denied", "The grant requires admin permission."),
    90095: Aadsts(400, "access_denied", "Admin consent is required; a request for it was made."),
    90072: Aadsts(400, "invalid_grant", "The external account must be added to the tenant first."),
    135010: Aadsts(400, "invalid_grant", "KeyNotFound."),
    500011: Aadsts(400, "invalid_resource", "The resource principal was not found in the tenant."),
    500021: Aadsts(400, "invalid_grant", "Access to '{tenant}' tenant is denied."),
    500112: Aadsts(400, "invalid_grant", _REPLY),
    500212: Aadsts(400, "invalid_grant", "The user's administrator has set an outbound access policy."),
    500213: Aadsts(400, "invalid_grant", "The resource tenant's cross-tenant access policy does not allow this user."),
    501481: Aadsts(
        400,
        "invalid_grant",
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    ),
    530032: Aadsts(400, "invalid_grant", "Blocked by security policy.", "message_only"),
    650052: Aadsts(400, "invalid_resource", "The app needs access to a service that the organization lacks."),
    650056: Aadsts(400, "unauthorized_client", "Misconfigured application."),
    700016: Aadsts(400, "unauthorized_client", _UNKNOWN_APP),
    700027: Aadsts(401, "invalid_client", "Client assertion failed signature validation."),
    700082: Aadsts(400, "invalid_grant", _INACTIVE, "bad_token"),
    700084: Aadsts(
        400,
        "invalid_grant",
        "The refresh token was issued to a single page app and has expired.",
        "bad_token",
    ),
    900144: Aadsts(400, "invalid_request", _BODY),
    7000112: Aadsts(401, "invalid_client", "Application '{client_id}' is disabled."),
    7000215: Aadsts(401, "invalid_client", _KEY_WRONG),
    7000218: Aadsts(
        401,
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    7000222: Aadsts(401, "invalid_client", _KEYS_EXPIRED),
    9002313: Aadsts(400, "invalid_grant", "Invalid request. Request is malformed or invalid."),
}


class _Named(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return f"<{key}>"


def describe(number: int, clock: Clock, *, named: Mapping[str, str] | None = None, text: str = "") -> tuple[str, str]:
    """Return the OAuth error and the description, with trace id and time, as Entra words it.

    `text` takes the place of the table's where an endpoint has words of its own.
    """
    return TABLE[number].error, _description(number, _ids(clock, ""), named or {}, text)


def error_response(
    number: int,
    clock: Clock,
    *,
    correlation_id: str = "",
    status: int | None = None,
    named: Mapping[str, str] | None = None,
) -> Response:
    """Return Entra's JSON for an error."""
    row = TABLE[number]
    ids = _ids(clock, correlation_id)
    body: dict[str, object] = {
        "error": row.error,
        "error_description": _description(number, ids, named or {}),
        "error_codes": [number],
        **ids,
        "error_uri": f"https://login.microsoftonline.com/error?code={number}",
    }
    if row.suberror:
        body["suberror"] = row.suberror
    if row.claims:
        body["claims"] = row.claims
    headers = (("Cache-Control", "no-store, no-cache"), ("x-ms-request-id", ids["trace_id"]))
    return json_response(row.status if status is None else status, body, headers)


def _ids(clock: Clock, correlation_id: str) -> dict[str, str]:
    return {
        "timestamp": clock.moment().strftime("%Y-%m-%d %H:%M:%SZ"),
        "trace_id": str(uuid.uuid4()),
        "correlation_id": correlation_id or str(uuid.uuid4()),
    }


def _description(number: int, ids: dict[str, str], named: Mapping[str, str], text: str = "") -> str:
    text = text or TABLE[number].text.format_map(_Named(named))
    return (
        f"AADSTS{number}: {text}\r\nTrace ID: {ids['trace_id']}\r\n"
        f"Correlation ID: {ids['correlation_id']}\r\nTimestamp: {ids['timestamp']}"
    )
