"""The Celery application: `celery -A cadence_exchange worker`, schedule in settings."""

from __future__ import annotations

import logging
import os
import sqlite3
from typing import Any

from celery import Celery
from celery.signals import beat_init, before_task_publish, task_postrun, worker_init
from redis.exceptions import RedisError

from cadence_exchange import broker

log = logging.getLogger(__name__)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cadence_exchange.settings")
broker.register()

app = Celery("cadence_exchange")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def _check_first(**_: Any) -> None:
    from cadence_exchange import checks

    checks.refuse_to_start_when_misconfigured()
    checks.tell_of_missing_keys()


@before_task_publish.connect(sender="tenants.tasks.heartbeat")
def _beat_is_alive(**_: Any) -> None:
    """In beat, which sends this task and no other process does."""
    from django.utils import timezone

    from tenants import heartbeat

    try:
        heartbeat.report(heartbeat.Process.BEAT, timezone.now())
    except (RedisError, sqlite3.Error) as error:
        log.warning("no sign of life: its store is away", extra={"error": type(error).__name__})


@task_postrun.connect
def _add_what_was_measured(**_: Any) -> None:
    """A member of a pool ends without its exit handlers."""
    from tenants import measuring

    measuring.flush()
