"""Translation catalogues without gettext's tools: what has to be translated, .po files read and written, .mo made.

Format: https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html and .../MO-Files.html, as far as this
project needs it: no plurals, no fuzzy entries.
"""

from __future__ import annotations

import ast
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from django.conf import settings
from django.template.base import NodeList, Template
from django.template.engine import Engine
from django.templatetags.i18n import BlockTranslateNode, TranslateNode

from microsoft.reasons import REASONS, reason

# (context, English text) → where it is used. The context is "" for nearly all.
Message = tuple[str, str]
_IN_ENGLISH = ("admin/", "alerts/support/", "drf_spectacular/")  # templates that are never translated
_PACKAGES = ("cadence_exchange", "tenants", "freebusy", "alerts")


def messages() -> dict[Message, str]:
    """Every text that a customer may see, in the order of its first use."""
    found: dict[Message, str] = {}
    for place, message in (*_of_templates(), *_of_code(), *_of_reasons()):
        found.setdefault(message, place)
    return found


def _of_templates() -> Iterator[tuple[str, Message]]:
    root = settings.BASE_DIR / "templates"
    for path in sorted(root.rglob("*.*")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(_IN_ENGLISH):
            template = Template(path.read_text(encoding="utf-8"), engine=Engine.get_default(), name=name)
            for message in _of_nodes(template.nodelist):
                yield f"templates/{name}", message


def _of_nodes(nodes: NodeList) -> Iterator[Message]:
    for node in nodes.get_nodes_by_type((TranslateNode, BlockTranslateNode)):  # type: ignore[arg-type]
        context = node.message_context.resolve({}) if node.message_context else ""  # type: ignore[attr-defined]
        if isinstance(node, BlockTranslateNode):
            yield context, node.render_token_list(node.singular)[0].replace("%%", "%")
        elif isinstance(node, TranslateNode) and not getattr(node.filter_expression.var, "lookups", None):
            text = node.filter_expression.var
            yield context, str(getattr(text, "literal", text))


def _of_code() -> Iterator[tuple[str, Message]]:
    for path in (path for package in _PACKAGES for path in sorted((settings.BASE_DIR / package).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "gettext":
                yield path.relative_to(settings.BASE_DIR).as_posix(), ("", ast.literal_eval(node.args[0]))


def _of_reasons() -> Iterator[tuple[str, Message]]:
    for row in (*REASONS.values(), reason("")):
        for text in (row.title, row.cause, row.what_to_do):
            yield "microsoft/reasons.py", ("", text)


def path_of(language: str) -> Path:
    """The language's .po file; the .mo lies beside it."""
    return Path(settings.LOCALE_PATHS[0]) / language / "LC_MESSAGES" / "django.po"


def read_po(path: Path) -> dict[Message, str]:
    """Translations of a .po file, its header left out; {} when there is none yet."""
    entries: dict[Message, str] = {}
    fields: dict[str, str] = {}
    current = ""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in (*lines, 'msgid ""'):
        word, _, rest = line.partition(" ")
        if word in ("msgctxt", "msgid", "msgstr"):
            if word != "msgstr" and "msgstr" in fields:
                entries[fields.get("msgctxt", ""), fields["msgid"]] = fields["msgstr"]
                fields = {}
            current, fields[word] = word, ast.literal_eval(rest)
        elif line.startswith('"'):
            fields[current] += ast.literal_eval(line)
    entries.pop(("", ""), None)
    return entries


def write_po(path: Path, language: str, places: Mapping[Message, str], translated: Mapping[Message, str]) -> None:
    """Writes every message of `places`, untranslated ones with an empty text."""
    parts = [f'msgid ""\nmsgstr ""\n{_quoted(_header(language))}\n']
    for (context, text), place in places.items():
        own = f"msgctxt {_quoted(context)}\n" if context else ""
        parts.append(f"#: {place}\n{own}msgid {_quoted(text)}\nmsgstr {_quoted(translated.get((context, text), ''))}\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts), encoding="utf-8")


def mo_bytes(language: str, translated: Mapping[Message, str]) -> bytes:
    """The .mo file of these translations: sorted keys, so that the same texts give the same bytes."""
    texts = {f"{context}\x04{text}" if context else text: own for (context, text), own in translated.items() if own}
    rows = sorted((key.encode(), own.encode()) for key, own in {"": _header(language), **texts}.items())
    start = 28 + 16 * len(rows)
    tables, data = [b"", b""], b""
    for column in (0, 1):
        for row in rows:
            tables[column] += struct.pack("<II", len(row[column]), start + len(data))
            data += row[column] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(rows), 28, 28 + 8 * len(rows), 0, start)
    return head + tables[0] + tables[1] + data


def _header(language: str) -> str:
    return (
        f"Language: {language}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
        "Content-Transfer-Encoding: 8bit\n"
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
