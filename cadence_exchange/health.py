"""`/healthz`, `/readyz` and `/metrics`: for machines, so any Host is answered and nothing redirects."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from celery.exceptions import CeleryError
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from cadence_exchange import metrics
from tenants import heartbeat, keys

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """One line of `/readyz`."""

    part: str
    ok: bool
    detail: str = ""
    needed: bool = True


class HealthMiddleware:
    """Answers these addresses before host validation, sessions or redirects."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/healthz":
            return HttpResponse("ok\n", content_type="text/plain")
        if request.path == "/readyz":
            return readiness()
        if request.path == "/metrics":
            return metrics.page(request)
        return self.get_response(request)


def readiness() -> HttpResponse:
    """200 when a web process can do its work, else 503; a JSON line per part."""
    parts = [
        _part("database", _database),
        _part("cache", _cache),
        _part("broker", _broker),
        _part("encryption_keys", keys.check_keys),
        *(
            _part(f"{process.value}_heartbeat", partial(heartbeat.describe, process), needed=False)
            for process in heartbeat.Process
        ),
    ]
    ready = all(part.ok for part in parts if part.needed)
    body = "".join(json.dumps(asdict(part)) + "\n" for part in parts)
    return HttpResponse(body, status=200 if ready else 503, content_type="application/x-ndjson")


def _part(name: str, check: Callable[[], str], *, needed: bool = True) -> Part:
    try:
        return Part(name, True, check(), needed)
    except keys.KeyProblem as error:  # its text is ours and holds nothing that must not be seen
        log.error("not ready", extra={"part": name, "error": str(error)})
        return Part(name, False, str(error), needed)
    except (
        DatabaseError,
        RedisError,
        sqlite3.Error,
        OSError,
        KombuError,
        CeleryError,
        LookupError,
    ) as error:
        # The type says enough to an operator; a message could hold an address with a password.
        log.warning("not ready", extra={"part": name, "error": type(error).__name__})
        return Part(name, False, type(error).__name__, needed)


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return connection.vendor


def _cache() -> str:
    cache.set("readyz", "1", 30)
    if cache.get("readyz") != "1":
        raise LookupError("the cache forgot what it was told")
    return "redis" if settings.REDIS_URL else "database"


def _broker() -> str:
    if not settings.REDIS_URL:
        # Connecting to files says nothing: a message is written to this folder, or is not.
        if not os.access(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_out"], os.W_OK | os.X_OK):
            raise NotADirectoryError("the broker's folder is missing or not writable")
        return "files"
    from cadence_exchange.celery import app

    with app.connection_for_write(connect_timeout=2) as link:
        link.ensure_connection(max_retries=1, timeout=2)
    return "redis"
