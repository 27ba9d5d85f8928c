"""How this app tells the ones above that a connection came or went; sent after the commit."""

from __future__ import annotations

from django.dispatch import Signal

connection_established = Signal()  # arguments: connection_id
connection_lost = Signal()  # arguments: connection_id, reason (code)
