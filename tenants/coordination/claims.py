"""Pure: what is known of a piece of work that one of many processes has taken."""

from __future__ import annotations

from typing import NamedTuple


class Claim(NamedTuple):
    """Whose it is; `note` is None while it is under way, then what the holder left for those who wait."""

    holder: str
    note: bytes | None
