"""The queue between beat and worker."""

from __future__ import annotations

from kombu.exceptions import ChannelError

from cadence_exchange.celery import app


def waiting() -> int:
    """Messages that no worker has taken yet, over either broker. Raises KombuError, OSError or RedisError."""
    with app.connection_for_read(connect_timeout=2) as link:
        try:
            return int(link.default_channel.queue_declare(app.conf.task_default_queue, passive=True).message_count)
        except ChannelError:  # Redis has no empty lists
            return 0
