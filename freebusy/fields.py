"""Strict request fields: a wrong type is an error, never a guess, and an unknown member is named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, available_timezones

from drf_spectacular.drainage import set_override
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty

# RFC 3339 section 5.6, with the offset that makes it an instant.
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:[0-5]\d)", re.ASCII)
_WALL_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
_FIRST_YEAR, _LAST_YEAR = 1900, 2200  # outside, zone arithmetic and Graph lead nowhere
_ZONES = frozenset(available_timezones())


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses members it does not know: a misspelled option must not be ignored in silence."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = set(data) - set(self.fields) if isinstance(data, Mapping) else set()
        known: Any = {}
        errors: dict[str, Any] = {}
        try:
            known = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if not unknown:
                raise
            errors = dict(error.detail) if isinstance(error.detail, dict) else {}
        errors |= {
            name: [serializers.ErrorDetail("There is no such field.", "unknown_field")] for name in sorted(unknown)
        }
        if errors:
            raise serializers.ValidationError(errors)
        return known


class StrictBoolean(serializers.BooleanField):
    """true or false."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictInteger(serializers.IntegerField):
    """A JSON whole number; not a text, not 30.0."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictChoice(serializers.ChoiceField):
    """One of the texts listed."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid_choice", input=type(data).__name__)
        return super().to_internal_value(data)


class StrictText(serializers.CharField):
    """A JSON text, taken as it is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def run_validation(self, data: Any = empty) -> Any:
        if data is not empty and data is not None and not isinstance(data, str):
            self.fail("invalid")
        return super().run_validation(data)


class AddressField(serializers.EmailField):
    """An e-mail address, given back as it was asked."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, max_length=254, **kwargs)

    def run_validation(self, data: Any = empty) -> Any:
        if data is not empty and data is not None and not isinstance(data, str):
            self.fail("invalid")
        return super().run_validation(data)


@extend_schema_field(OpenApiTypes.DATETIME)
class InstantField(StrictText):
    """RFC 3339 with an offset; a local time alone names no instant."""

    def to_internal_value(self, data: Any) -> datetime:  # type: ignore[override]
        text = super().to_internal_value(data)
        if not _RFC3339.fullmatch(text):
            self._refuse("Give a time as in RFC 3339 with offset, such as 2027-03-16T09:00:00+01:00.")
        try:
            when = datetime.fromisoformat(text.upper())
        except ValueError:
            self._refuse("There is no such date or time.")
        if not _FIRST_YEAR <= when.year <= _LAST_YEAR:
            self._refuse(f"The year must be from {_FIRST_YEAR} to {_LAST_YEAR}.")
        return when

    def _refuse(self, message: str) -> NoReturn:
        raise serializers.ValidationError(message, "invalid_time")


class TimeZoneField(StrictText):
    """An IANA time zone name."""

    def to_internal_value(self, data: Any) -> ZoneInfo:  # type: ignore[override]
        name = super().to_internal_value(data)
        if name not in _ZONES:
            message = "This is no IANA time zone such as Europe/Berlin."
            raise serializers.ValidationError(message, "invalid_time_zone")
        return ZoneInfo(name)


class WallTimeField(StrictText):
    """`HH:MM` as minutes of the day; `24:00` only where an end may be."""

    def __init__(self, *, end: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._form = _WALL_TIME + ("|24:00" if end else "")
        set_override(self, "field", {"type": "string", "pattern": f"^({self._form})$"})

    def to_internal_value(self, data: Any) -> int:  # type: ignore[override]
        text = super().to_internal_value(data)
        if not re.fullmatch(self._form, text):
            raise serializers.ValidationError("Give a time of day as HH:MM.", "invalid_time")
        return int(text[:2]) * 60 + int(text[3:])
