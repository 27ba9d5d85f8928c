"""The pack as a PDF, written here with fonts of our own: the same facts in the same order as on the page.

DejaVu covers Latin, Greek, Cyrillic and more. Chinese, Japanese and Korean letters name fonts that most readers bring
along, for ours would be many times the size of the file; where one does not, the place is blank. So a name with such
letters has the account's slug beside it, and letters that no such font has are shown as boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from console.evidence.facts import Advice
from console.evidence.pack import Evidence

TEXT, BOLD = "DejaVuSansCondensed", "DejaVuSansCondensed-Bold"
MISSING = "\u25a1"  # an empty box
CHINESE_AND_JAPANESE, KOREAN = "STSong-Light", "HYGothic-Medium"
FONTS = Path(__file__).resolve().parents[1] / "fonts"
INK, QUIET, LINE, HEAD = (HexColor(code) for code in ("#1b2733", "#51606e", "#c6d0d6", "#0f5c6e"))
MARGIN = 18 * mm
WIDTH = A4[0] - 2 * MARGIN

PLAIN = ParagraphStyle("plain", fontName=TEXT, fontSize=8.5, leading=11, textColor=INK, splitLongWords=1)
SMALL = ParagraphStyle("small", PLAIN, fontSize=7.5, leading=9.5)
STRONG = ParagraphStyle("strong", SMALL, fontName=BOLD)
TITLE = ParagraphStyle("title", PLAIN, fontName=BOLD, fontSize=16, leading=20, textColor=HEAD)
SECTION = ParagraphStyle("section", PLAIN, fontName=BOLD, fontSize=10.5, leading=13, textColor=HEAD, spaceBefore=7)
ITEM = ParagraphStyle("item", PLAIN, leftIndent=9, bulletIndent=1, spaceAfter=2)
COMMAND = ParagraphStyle("command", SMALL, leftIndent=9, textColor=HEAD, spaceAfter=2)


def written(pack: Evidence) -> bytes:
    """The file's content."""
    _fonts()
    buffer = BytesIO()
    title = f"Evidence pack: {_name(pack)}"
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=15 * mm,
        bottomMargin=16 * mm,
        title=title,
        author="Event Cadence",
        subject="Microsoft 365 free/busy connection",
        lang="en",
    )
    foot = _foot(f"{_name(pack)} · {_moment(pack.made_at)}")
    document.build(list(_story(pack)), onFirstPage=foot, onLaterPages=foot)
    return buffer.getvalue()


@cache
def _fonts() -> dict[str, TTFont]:
    """Once a process; reportlab keeps them by name."""
    ours = {name: TTFont(name, str(FONTS / f"{name}.ttf")) for name in (TEXT, BOLD)}
    for font in (*ours.values(), UnicodeCIDFont(CHINESE_AND_JAPANESE), UnicodeCIDFont(KOREAN)):
        pdfmetrics.registerFont(font)
    return ours


def _story(pack: Evidence) -> Iterator[Flowable]:
    yield Paragraph(_marked(f"Evidence pack for {_name(pack)}"), TITLE)
    yield Paragraph(
        "Cadence Exchange reads free/busy times of Microsoft 365 calendars for Event Cadence. "
        f"As of {_moment(pack.made_at)}.",
        PLAIN,
    )
    if pack.simulated:
        yield Paragraph("This connection is to a simulated Microsoft 365: it proves nothing.", STRONG)
    if pack.disagreements:
        yield Paragraph(
            f"Do not hand this out: connection and audit log differ in {', '.join(pack.disagreements)}.", STRONG
        )
    yield Spacer(1, 2 * mm)
    yield _table(None, ((label, value) for label, value in pack.lines), (42 * mm, WIDTH - 42 * mm), strong_first=True)
    yield from _section("Permissions", _scopes(pack))
    yield from _section("What is read", _list(pack.read))
    yield from _section("What is never read", _list(pack.never_read))
    stored = ((kept.what, kept.where, kept.how_long) for kept in pack.stored)
    widths = (60 * mm, 60 * mm, WIDTH - 120 * mm)
    yield from _section("What is stored, and for how long", [_table(("What", "Where", "How long"), stored, widths)])
    yield from _section("How to restrict it", _advice(pack.restrict))
    yield from _section("How to revoke it", _advice(pack.revoke))
    yield from _section("History of consents, from the audit log", _history(pack))


def _section(title: str, body: Iterable[Flowable]) -> Iterator[Flowable]:
    first, *rest = body
    yield KeepTogether([Paragraph(title, SECTION), Spacer(1, 1 * mm), first])
    yield from rest


def _scopes(pack: Evidence) -> list[Flowable]:
    rows = (
        (scope.name, scope.purpose, ("Look at this: " if scope.flagged else "") + scope.standing)
        for scope in pack.scopes
    )
    return [_table(("Permission", "What for", "Asked and granted"), rows, (45 * mm, 72 * mm, WIDTH - 117 * mm))]


def _history(pack: Evidence) -> list[Flowable]:
    rows = ((_moment(line.at), line.what, line.who) for line in pack.history)
    body: list[Flowable] = [_table(("When", "What", "Who"), rows, (34 * mm, 88 * mm, WIDTH - 122 * mm))]
    if not pack.history:
        body = [Paragraph("Nothing yet.", PLAIN)]
    if pack.more_history:
        body.append(Paragraph("Older entries are in the audit log of Cadence Exchange.", SMALL))
    return body


def _list(lines: Iterable[str]) -> list[Flowable]:
    return [Paragraph(_marked(line), ITEM, bulletText="•") for line in lines]


def _advice(advices: Iterable[Advice]) -> list[Flowable]:
    body: list[Flowable] = []
    for advice in advices:
        body.append(Paragraph(f'<font name="{BOLD}">{_marked(advice.title)}.</font> {_marked(advice.text)}', ITEM))
        if advice.command:
            body.append(Paragraph(_marked(advice.command), COMMAND))
    return body


def _table(
    head: Sequence[str] | None, rows: Iterable[Sequence[str]], widths: Sequence[float], *, strong_first: bool = False
) -> Flowable:
    cells = [
        [Paragraph(_marked(cell), STRONG if strong_first and not place else SMALL) for place, cell in enumerate(row)]
        for row in rows
    ]
    if head:
        cells.insert(0, [Paragraph(cell, STRONG) for cell in head])
    look = TableStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
            ("LEFTPADDING", (0, 0), (-1, -1), 2),
            ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ("TOPPADDING", (0, 0), (-1, -1), 1.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ]
    )
    return Table(cells, colWidths=list(widths), style=look, repeatRows=1 if head else 0, hAlign="LEFT")


def _name(pack: Evidence) -> str:
    """The account's name, with its slug where the name may not be legible in every reader."""
    name = pack.account.name
    return name if all(_font(letter) == TEXT for letter in name) else f"{name} (account {pack.account.slug})"


def _marked(text: str) -> str:
    """Text as reportlab's markup, with another font for what ours has no letters for."""
    parts = ((name, "".join(letters)) for name, letters in groupby(text, _font))
    return "".join(_part(name, letters) for name, letters in parts)


def _part(font: str, letters: str) -> str:
    if font == TEXT:
        return escape(letters)
    return f'<font name="{font}">{escape(letters)}</font>' if font else MISSING * len(letters)


def _font(letter: str) -> str:
    """The font that has the letter; "" when none has."""
    if ord(letter) in _fonts()[TEXT].face.charToGlyph:
        return TEXT
    return next((font for font, blocks in _BLOCKS if any(first <= letter <= last for first, last in blocks)), "")


# https://www.unicode.org/Public/UCD/latest/ucd/Blocks.txt: what the two fonts of readers are made for.
_BLOCKS = (
    (KOREAN, (("\u1100", "\u11ff"), ("\u3130", "\u318f"), ("\uac00", "\ud7a3"))),
    (CHINESE_AND_JAPANESE, (("\u2e80", "\u312f"), ("\u3190", "\u9fff"), ("\uf900", "\ufaff"), ("\uff00", "\uffef"))),
)


def _moment(at: datetime) -> str:
    return f"{at:%d %b %Y %H:%M} UTC"


def _foot(text: str) -> Callable[[Any, Any], None]:
    def draw(canvas: Any, document: Any) -> None:
        page = f"Page {canvas.getPageNumber()}"
        canvas.saveState()
        left = Paragraph(_marked(text), ParagraphStyle("foot", SMALL, textColor=QUIET))
        left.wrap(WIDTH - 20 * mm, 10 * mm)
        left.drawOn(canvas, MARGIN, 9 * mm)
        canvas.setFont(TEXT, SMALL.fontSize)
        canvas.setFillColor(QUIET)
        canvas.drawRightString(A4[0] - MARGIN, 9 * mm + 2, page)
        canvas.restoreState()

    return draw
