"""A text that must never be shown: client secrets, tokens and authorization flows travel in this box."""

from __future__ import annotations

import hmac
from typing import NoReturn

_MASK = "***"


class Secret:
    """Holds one text; only `reveal()` gives it back.

    `repr`, `str` and `format` show asterisks, so tracebacks, debug pages and log lines stay clean. It cannot
    be pickled, so it cannot slip into a queue, a session or a cache by accident.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself. Call it where it is used; keep the result in nothing that outlives the use."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return f"Secret('{_MASK}')"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, format_spec: str) -> str:
        return _MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Secret:
        return self  # nothing inside changes, and `dataclasses.asdict` copies deeply

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not to be pickled: pass the id of the row that holds it")
