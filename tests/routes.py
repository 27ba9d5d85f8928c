"""Every address of the product, as its URL configuration has them: what is tested here grows with the product."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, get_resolver


def routes() -> list[str]:
    """Such as `/api/v1/accounts/<slug:slug>/slots/`, in order; regular expressions as they are written."""
    return list(_walk(get_resolver().url_patterns, "/"))


def _walk(patterns: list[Any], prefix: str) -> Iterator[str]:
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield route
        else:
            yield from _walk(entry.url_patterns, route)
