"""Every failure of the API in one shape: RFC 9457 `application/problem+json` with a closed list of codes."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from freebusy.problems import Problem
from microsoft.errors import IntegrationError
from tenants.correlation import current_request_id

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
_TYPE = "about:blank"

_TITLES = {
    "invalid_request": "The request is not valid",
    "unauthenticated": "No valid API key was given",
    "forbidden": "This is not allowed",
    "not_found": "There is nothing here for this key",
    "method_not_allowed": "This method is not allowed here",
    "unsupported_media_type": "Only application/json is understood",
    "rate_limited": "Too many requests",
    "not_connected": "The account is not connected to Microsoft 365",
    "microsoft_unavailable": "Microsoft 365 could not be read",
    "internal_error": "Something went wrong on our side",
}
_BY_CLASS: tuple[tuple[type[exceptions.APIException], int, str], ...] = (
    (exceptions.ValidationError, 400, "invalid_request"),
    (exceptions.ParseError, 400, "invalid_request"),
    (exceptions.NotAuthenticated, 401, "unauthenticated"),
    (exceptions.AuthenticationFailed, 401, "unauthenticated"),
    (exceptions.PermissionDenied, 403, "forbidden"),
    (exceptions.NotFound, 404, "not_found"),
    (exceptions.MethodNotAllowed, 405, "method_not_allowed"),
    (exceptions.UnsupportedMediaType, 415, "unsupported_media_type"),
    (exceptions.Throttled, 429, "rate_limited"),
)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's hook: turns whatever a view raised into a problem; the unexpected is logged once, with its traceback."""
    set_rollback()
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, Problem):
        answer = _response(error.status_code, error.code, str(error.detail), extra=error.members, headers=error.headers)
        # What failed has been one structured line already; Django's "Service Unavailable" would say it twice.
        answer._has_been_logged = error.status_code >= 500  # type: ignore[attr-defined]
        return answer
    for kind, status, code in _BY_CLASS:
        if isinstance(error, kind):
            return _of_framework(error, status, code)
    if isinstance(error, IntegrationError):  # one of ours, such as a lost encryption key: known, so no traceback
        log.error("failure of this installation", extra={"code": error.code, "detail": error.detail})
    else:
        log.error("unexpected failure", exc_info=error)
    response = _response(500, "internal_error", "", extra={"request_id": current_request_id()})
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _of_framework(error: exceptions.APIException, status: int, code: str) -> Response:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(max(math.ceil(wait), 1))
    if isinstance(error, exceptions.ValidationError):
        errors = list(_field_errors(error.get_full_details(), ""))
        detail = "; ".join(f"{item['field'] or 'body'}: {item['message']}" for item in errors[:5])
        return _response(status, code, detail, errors=errors, headers=headers)
    errors = [{"field": "", "code": "parse_error", "message": str(error.detail)}] if status == 400 else []
    return _response(status, code, str(error.detail), errors=errors, headers=headers)


def _field_errors(details: Any, path: str) -> Iterator[dict[str, str]]:
    """DRF's nested details as flat `attendees[3].email` entries."""
    if _is_message(details):
        yield {"field": path, "code": details["code"], "message": str(details["message"])}
    elif isinstance(details, dict):
        for name, inner in details.items():
            if isinstance(name, int):
                yield from _field_errors(inner, f"{path}[{name}]")
            elif name == api_settings.NON_FIELD_ERRORS_KEY:
                yield from _field_errors(inner, path)
            else:
                yield from _field_errors(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(details, list):
        for number, inner in enumerate(details):
            # A list of messages belongs to the field itself; a list of objects to its members.
            yield from _field_errors(inner, path if _is_message(inner) else f"{path}[{number}]")


def _is_message(details: Any) -> bool:
    """One error, and not the errors of two fields that a caller has called `message` and `code`."""
    return isinstance(details, dict) and set(details) == {"message", "code"} and isinstance(details["code"], str)


def _response(
    status: int,
    code: str,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    extra: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    return Response(
        body(status, code, detail, errors=errors, extra=extra),
        status=status,
        headers=dict(headers or {}),
        content_type=CONTENT_TYPE,
    )


def body(
    status: int,
    code: str,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    extra: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """The members of a problem, in the contract's order."""
    return {
        "type": _TYPE,
        "title": _TITLES[code],
        "status": status,
        "code": code,
        "detail": detail,
        "errors": errors or [],
        **(extra or {}),
    }


def _outside_views(request: HttpRequest, status: int, code: str, extra: Mapping[str, object]) -> JsonResponse | None:
    """What goes wrong before an API view is reached still answers in the API's shape."""
    if not request.path.startswith("/api/"):
        return None
    return JsonResponse(body(status, code, "", extra=extra), status=status, content_type=CONTENT_TYPE)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's 400."""
    return _outside_views(request, 400, "invalid_request", {}) or defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's 403."""
    return _outside_views(request, 403, "forbidden", {}) or defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's 404."""
    return _outside_views(request, 404, "not_found", {}) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's 500."""
    extra = {"request_id": current_request_id()}
    return _outside_views(request, 500, "internal_error", extra) or HttpResponse(
        defaults.server_error(request).content, status=500
    )
