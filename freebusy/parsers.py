"""Request bodies: one JSON object, strictly, of a bounded size; always answered in JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import IO, Any

import msgspec
from django.http import UnreadablePostError
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

MOST_BYTES = 1_000_000  # a roster of 5,000 addresses of 190 characters


class StrictJSONParser(BaseParser):
    """msgspec refuses what Python's own decoder lets through: NaN, broken escapes, bytes that are not UTF-8."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            body = stream.read(MOST_BYTES + 1)
        except UnreadablePostError:
            raise ParseError("The body ended before it was complete.") from None
        if len(body) > MOST_BYTES:
            raise ParseError(f"The body is longer than {MOST_BYTES} bytes.")
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ParseError("The body is not valid JSON.") from None


class AlwaysJSON(BaseContentNegotiation):
    """JSON is all there is, so a browser's Accept header is no reason to refuse."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        main_type = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == main_type), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)
