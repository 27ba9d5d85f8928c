"""How Cadence Admin writes times, by language: django looks for `<language>/formats.py` here."""
