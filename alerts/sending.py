"""Empties the outbox: each mail is claimed, sent with no transaction open, and written down."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from alerts import outbox
from alerts.letters import letter_of, message_id
from alerts.models import Mail
from alerts.posting import NotSent, Server, post, server
from tenants import measuring

log = logging.getLogger(__name__)


def send_due() -> int:
    """How many mails went out. Without EMAIL_URL none do; the rows wait, and are given up after two days."""
    outbox.tidy(timezone.now())
    if not settings.SENDS_MAILS:
        return 0
    sent = 0
    with server() as through:
        try:
            sent += _to_support(through)
            while mail := outbox.claim_contact(timezone.now()):
                sent += _send([mail], through) if outbox.wanted(mail) else 0
        except NotSent as error:
            log.warning("mails wait: their server is away", extra={"code": error.code})
    return sent


def _to_support(through: Server) -> int:
    mails = outbox.claim_support(timezone.now())
    if not mails:
        return 0
    wanted = [mail for mail in mails if outbox.wanted(mail)]
    free_at = timezone.now()
    try:
        if wanted and _send(wanted, through):
            free_at += timedelta(seconds=settings.ALERT_PAUSE_SECONDS)
            return 1
        return 0
    finally:
        outbox.free_support_at(free_at)


def _send(mails: list[Mail], through: Server) -> int:
    """1 when these rows, as one mail, are out. Raises NotSent when the server takes none at all."""
    first = mails[0]
    facts = {"mail": first.pk, "mails": len(mails), "kind": first.kind, "audience": first.audience}
    try:
        post(letter_of(mails), to=first.recipient, message_id=message_id(first), through=through)
    except NotSent as error:
        outcome = "failed" if error.permanent else "put_off"
        (outbox.mark_failed if error.permanent else outbox.put_off)(mails, error.code)
        log.log(
            logging.ERROR if error.permanent else logging.WARNING, "mail not sent", extra={**facts, "code": error.code}
        )
        measuring.count("mails", audience=first.audience, outcome=outcome)
        if error.server_away:
            raise
        return 0
    outbox.mark_sent(mails)
    measuring.count("mails", audience=first.audience, outcome="sent")
    log.info("mail sent", extra=facts)
    return 1
