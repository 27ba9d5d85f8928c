"""Brings the translation catalogues up to date with the texts, and compiles them."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from cadence_exchange import catalogues
from tenants.management.json_command import JsonCommand


class Command(JsonCommand):
    """New texts come untranslated into locale/*/LC_MESSAGES/django.po, lost ones leave, and the .mo is made."""

    help = __doc__

    def run(self, **options: Any) -> dict[str, Any]:
        """`missing` counts the texts that still wait for a translation, by language."""
        messages = catalogues.messages()
        missing = {}
        for language in (code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE):
            path = catalogues.path_of(language)
            known = catalogues.read_po(path)
            translated = {message: known[message] for message in messages if known.get(message)}
            catalogues.write_po(path, language, messages, translated)
            path.with_suffix(".mo").write_bytes(catalogues.mo_bytes(language, translated))
            missing[language] = len(messages) - len(translated)
        return {"messages": len(messages), "missing": missing}
