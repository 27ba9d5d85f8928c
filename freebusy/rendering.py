"""Answers as JSON, by msgspec: twenty times as fast as Python's own encoder, which shows in answers of many blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from django.utils.functional import Promise
from rest_framework.renderers import BaseRenderer


class JSONRenderer(BaseRenderer):
    """UTF-8, no blanks; times of Python's as RFC 3339. Nothing is rendered as nothing, as for an answer to HEAD."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return b"" if data is None else _ENCODER.encode(data)


def _plain(value: Any) -> Any:
    """What DRF or Django hand over in place of texts and dicts; anything else is a mistake of ours."""
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
