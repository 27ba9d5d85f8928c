"""Every request gets an id, which the answer says, and pages for customers come in the visitor's language."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import parse_accept_lang_header

from tenants import measuring
from tenants.correlation import adopt_request_id


class RequestIdMiddleware:
    """Accepts `X-Request-ID` or makes one; returned on the answer and attached to each log line."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = adopt_request_id(request.headers.get("X-Request-ID", ""))
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        return response


class MeasuringMiddleware:
    """Counts answers by route and status, and how long they took; never by the path, which may name customers."""

    _METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        route = _route(request)
        method = request.method if request.method in self._METHODS else "other"
        measuring.count("web_requests", route=route, method=str(method), status=str(response.status_code))
        measuring.observe("web_request_seconds", time.perf_counter() - began, route=route)
        return response


def _route(request: HttpRequest) -> str:
    """The route's name; `admin` for all of the admin's many, `none` for static files and addresses there are not."""
    match = request.resolver_match
    if match is None:
        return "none"
    return "admin" if "admin" in match.namespaces else match.view_name


class LanguageMiddleware:
    """Accept-Language decides for the pages of customers; the API and the admin stay English.

    Not Django's LocaleMiddleware: that asks a cookie first, and leaves a thread in the last visitor's language.
    """

    _ENGLISH = ("/api/", "/admin/", "/static/")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        by_header = not request.path_info.startswith(self._ENGLISH)
        language = _asked_language(request) if by_header else settings.LANGUAGE_CODE
        with translation.override(language):
            response = self.get_response(request)
        if by_header:
            patch_vary_headers(response, ["Accept-Language"])
            response.setdefault("Content-Language", language)
        return response


def _asked_language(request: HttpRequest) -> str:
    """The first of the visitor's languages that we have: `de-AT` is served German."""
    for name, _ in parse_accept_lang_header(request.headers.get("Accept-Language", "")):
        try:
            return translation.get_supported_language_variant(name)
        except LookupError:
            continue
    return settings.LANGUAGE_CODE
