"""How this app tells others what happened to a connection.

`connection_changed` is sent inside the transaction that changes the row, so that what a receiver writes lands or fails
together with it; receivers write rows and do nothing else. The others are sent after the commit.
"""

from __future__ import annotations

from django.dispatch import Signal

connection_established = Signal()  # arguments: connection_id
connection_lost = Signal()  # arguments: connection_id, reason (code)
connection_changed = Signal()  # arguments: connection_id, change (tenants.changes.Change)
connection_proven = Signal()  # inside the consent's transaction. Arguments: connection_id, proof
# Inside the transaction that stores the warning. Arguments: subject ("client_secret", "client_certificate" or
# "token:<account>"), expires_at (aware datetime), days_left (int)
credential_expiring = Signal()
