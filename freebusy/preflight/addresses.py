"""Pure: e-mail addresses out of what people paste or upload. Nothing that looks like an entry is lost."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

LONGEST = 254
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad\x00]")
_AROUND = re.compile(r"[\s,;|<>()\[\]\"“”„]+")
_HEADING = re.compile(r"mail|address|adress|upn", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Roster:
    """What a text held. `addresses`: as written, each once whatever its case, in order; `invalid`: what is none.

    `repeated`: how many addresses stood there once more. `beside`: how many words and columns stood on a line with
    an address and were taken for names and the like.
    """

    addresses: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()
    repeated: int = 0
    beside: int = 0

    @property
    def size(self) -> int:
        """All entries, good and bad."""
        return len(self.addresses) + len(self.invalid)


def decode(content: bytes) -> str:
    """The text of a file; raises ValueError for one that is no text.

    Excel writes UTF-8 with a mark, UTF-16 ("Unicode text"), or the code page of Western Windows.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    if b"\0" in content:
        raise ValueError("This file is no plain text. Save the list as CSV or text first.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def parse(*texts: str) -> Roster:
    """Addresses of texts: one a line, or many between commas, semicolons, tabs or spaces; `Ann <ann@x.example>`.

    On a line with a single address everything else is taken for its name and other columns; between several
    addresses an entry without one is invalid. A heading such as "Name;E-mail" in a text's first line is left out.
    """
    found: dict[str, str] = {}
    invalid: dict[str, None] = {}
    repeated = beside = 0
    for number, line in chain.from_iterable(enumerate(_lines(text)) for text in texts):
        candidates = [candidate for candidate in map(_bare, _AROUND.split(line)) if "@" in candidate]
        if not candidates:
            if number or not _HEADING.search(line):
                invalid[_plain(line)] = None
            continue
        others = [entry for entry in _entries(line) if "@" not in entry]
        if len(candidates) == 1:
            beside += len(others)
        else:
            invalid |= dict.fromkeys(map(_plain, others))
        for candidate in candidates:
            if not is_address(candidate):
                invalid[_plain(candidate)] = None
            elif found.setdefault(candidate.casefold(), candidate) is not candidate:
                repeated += 1
    return Roster(tuple(found.values()), tuple(invalid), repeated, beside)


def is_address(text: str) -> bool:
    """Whether the API would take it."""
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= LONGEST


def _lines(text: str) -> Iterator[str]:
    for line in _INVISIBLE.sub("", text).splitlines():
        if re.search(r"\w", line):
            yield line


def _entries(line: str) -> Iterator[str]:
    """The parts of a line that a person would count: a semicolon parts more than a comma, which names hold too."""
    separator = next((mark for mark in (";", "\t", ",") if mark in line), ",")
    yield from (part for part in line.split(separator) if re.search(r"\w", part))


def _bare(token: str) -> str:
    """Without quotes and the punctuation of a sentence around it."""
    return re.sub(r"(?i)^mailto:", "", token.strip("'‘’`.:")).strip("'‘’`.:")


def _plain(entry: str) -> str:
    """One short line without separators, fit for a table."""
    words = " ".join(_AROUND.sub(" ", entry).split()) or entry.strip()
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
