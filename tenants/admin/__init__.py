"""Cadence Admin: accounts, connections, audit, API keys, checks. Nothing secret, nothing machine-written to edit.

Tokens, consent attempts and the cache table are not registered at all.
"""

from __future__ import annotations

from tenants.admin.accounts import AccountAdmin
from tenants.admin.api_keys import ApiKeyAdmin
from tenants.admin.connections import ConnectionAdmin
from tenants.admin.records import AuditEntryAdmin, HealthCheckAdmin

__all__ = ["AccountAdmin", "ApiKeyAdmin", "AuditEntryAdmin", "ConnectionAdmin", "HealthCheckAdmin"]
