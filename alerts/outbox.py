"""The outbox: which mails there are, which of them are due, and who may send them.

A mail is sent by whoever claims its row. A sender that dies after the server took the mail and before it was written
down sends it again when the claim ends: at least once, under the same Message-ID where it goes alone.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Min, QuerySet
from django.utils import timezone

from alerts.models import Audience, Incident, Kind, Mail, Pace, Status, new_message_id, settled
from alerts.trouble import Severity
from microsoft import reasons
from tenants import measuring
from tenants.models import Account
from tenants.status import Backlog

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)  # longer than a server that answers at all can keep one mail
GIVE_UP = timedelta(hours=48)


def alert(incident: Incident, account: Account | None, now: datetime) -> None:
    """Tells support, and the contact unless the fault is ours; whoever was told of this incident is not told again."""
    settled_down = now + timedelta(seconds=settings.ALERT_SETTLE_SECONDS)
    mails = [_mail(Kind.ALERT, Audience.SUPPORT, account, incident, settled_down)]
    if account and reasons.reason(incident.code).kind is not reasons.Kind.OUR_FAULT:
        # What only a person can end need not wait whether it passes.
        at = now if incident.severity == Severity.NEEDS_CONSENT else settled_down
        mails.append(_mail(Kind.ALERT, Audience.CONTACT, account, incident, at))
    enqueue(mails)


def withdraw(incident: Incident) -> None:
    """An alert that nobody has begun to send by the end of its incident is never sent."""
    unsent = incident.mails.filter(kind=Kind.ALERT, status=Status.WAITING, claim="")
    unsent.update(**settled(status=Status.DROPPED))


def all_clear(incident: Incident, now: datetime) -> None:
    """For each who got the alert, or may have got it."""
    told = incident.mails.filter(kind=Kind.ALERT, status__in=[Status.SENT, Status.WAITING])
    enqueue(
        _mail(Kind.ALL_CLEAR, Audience(mail.audience), mail.account, incident, now, recipient=mail.recipient)
        for mail in told.select_related("account")
    )


def tell_both(kind: Kind, account: Account, about: str, facts: dict[str, object], now: datetime) -> None:
    """A mail to the contact and one to support, about something that is no incident; once for each `about`."""
    enqueue(_mail(kind, audience, account, None, now, about=about, facts=facts) for audience in Audience)


def tell_contact(kind: Kind, account: Account, about: str, now: datetime) -> None:
    """A mail to the contact alone; once for each `about`."""
    enqueue([_mail(kind, Audience.CONTACT, account, None, now, about=about)])


def tell_support(kind: Kind, about: str, facts: dict[str, object], now: datetime) -> None:
    """A mail to support alone; once for each `about`."""
    enqueue([_mail(kind, Audience.SUPPORT, None, None, now, about=about, facts=facts)])


def _mail(
    kind: Kind,
    audience: Audience,
    account: Account | None,
    incident: Incident | None,
    at: datetime,
    *,
    about: str = "",
    facts: dict[str, object] | None = None,
    recipient: str | None = None,
) -> Mail:
    if recipient is None:
        recipient = settings.SUPPORT_EMAIL if audience is Audience.SUPPORT else account.contact_email if account else ""
    about = about or f"incident:{incident.pk if incident else ''}"
    return Mail(
        key=f"{kind}/{about}/{audience}",
        kind=kind,
        audience=audience,
        account=account,
        incident=incident,
        recipient=recipient,
        facts=facts or {},
        next_try_at=at,
        **({} if recipient else settled(status=Status.NOBODY)),
    )


def enqueue(mails: Iterable[Mail]) -> None:
    """Keeps what is new; a mail of the same key is there already and stays as it is."""
    mails = list(mails)
    known = set(Mail.objects.filter(key__in=[mail.key for mail in mails]).values_list("key", flat=True))
    fresh = [mail for mail in mails if mail.key not in known]
    for mail in fresh:
        if mail.status == Status.NOBODY:
            slug = mail.account.slug if mail.account else ""
            facts = {"kind": mail.kind, "audience": mail.audience, "account": slug}
            log.warning("nobody to write to: no address is known", extra=facts)
    Mail.objects.bulk_create(fresh, ignore_conflicts=True)


def claim_contact(now: datetime) -> Mail | None:
    """The contact's mail that has been due for longest, now this caller's to send."""
    due = Mail.objects.filter(audience=Audience.CONTACT, status=Status.WAITING, next_try_at__lte=now)
    for pk in due.order_by("next_try_at", "pk").values_list("pk", flat=True)[:50]:
        claim = str(uuid4())
        if due.filter(pk=pk).update(claim=claim, next_try_at=now + LEASE, attempts=F("attempts") + 1):
            return _to_send().get(pk=pk)
    return None


def claim_support(now: datetime) -> list[Mail]:
    """Everything that waits for support, once some of it is due and the pause since the last mail is over."""
    waiting = Mail.objects.filter(audience=Audience.SUPPORT, status=Status.WAITING)
    if not waiting.filter(next_try_at__lte=now).exists():
        return []
    Pace.objects.get_or_create(audience=Audience.SUPPORT, defaults={"free_at": now})
    claim = {"claim": str(uuid4()), "message_id": new_message_id()}
    if settings.SUPPORT_EMAIL:
        claim["recipient"] = settings.SUPPORT_EMAIL  # where support is now
    with transaction.atomic():
        if not Pace.objects.filter(audience=Audience.SUPPORT, free_at__lte=now).update(free_at=now + LEASE):
            return []
        waiting.update(**claim, next_try_at=now + LEASE, attempts=F("attempts") + 1)
    return list(_to_send().filter(claim=claim["claim"]).order_by("created_at", "pk"))


def backlog(now: datetime) -> Backlog:
    """Mails whose time has come and that nobody has sent."""
    due = Mail.objects.filter(status=Status.WAITING, next_try_at__lte=now)
    return Backlog(**due.aggregate(due=Count("pk"), oldest=Min("next_try_at")))


def failed_since(at: datetime) -> int:
    """How many mails made since then were given up."""
    return Mail.objects.filter(status=Status.FAILED, created_at__gte=at).count()


def free_support_at(at: datetime) -> None:
    """When the next mail may go to support."""
    Pace.objects.filter(audience=Audience.SUPPORT).update(free_at=at)


def tidy(now: datetime) -> None:
    """Settles what must not be sent any more: alerts of ended incidents, and what could not be sent for two days."""
    due = Mail.objects.filter(status=Status.WAITING, next_try_at__lte=now)
    ended = due.filter(kind=Kind.ALERT, incident__closed_at__isnull=False)
    # Its sender died with it, perhaps after the server had it: then an all-clear is owed.
    ended.exclude(claim="").update(**settled(status=Status.SENT, last_error="sender_died"))
    ended.update(**settled(status=Status.DROPPED))
    old = due.filter(created_at__lt=now - GIVE_UP)
    for audience in Audience:
        given_up = old.filter(audience=audience).update(**settled(status=Status.FAILED, last_error="given_up"))
        if given_up:
            log.error("mails given up after two days", extra={"mails": given_up, "audience": audience.value})
            measuring.count("mails", given_up, audience=audience, outcome="failed")


def wanted(mail: Mail) -> bool:
    """Whether a claimed mail still has something to say; settles or postpones it if not."""
    if mail.incident is None or mail.kind not in (Kind.ALERT, Kind.ALL_CLEAR):
        return True
    if mail.kind == Kind.ALERT:
        if mail.incident.closed_at is None:
            return True
        _mine([mail]).update(**settled(status=Status.DROPPED))
        return False
    told = mail.incident.mails.get(kind=Kind.ALERT, audience=mail.audience)
    if told.status == Status.SENT:
        return True
    if told.status == Status.WAITING:  # another worker is sending it at this moment
        again = timezone.now() + timedelta(minutes=1)
        _mine([mail]).update(claim="", next_try_at=again, attempts=F("attempts") - 1)
    else:
        _mine([mail]).update(**settled(status=Status.DROPPED))
    return False


def mark_sent(mails: list[Mail]) -> None:
    """The server has taken them."""
    _mine(mails).update(**settled(status=Status.SENT, last_error=""))


def mark_failed(mails: list[Mail], code: str) -> None:
    """They will never get through: the server does not know the recipient."""
    _mine(mails).update(**settled(status=Status.FAILED, last_error=code[:64]))


def put_off(mails: list[Mail], code: str) -> None:
    """They may get through later; each failure doubles the wait, up to an hour."""
    tries = max((mail.attempts for mail in mails), default=1)
    wait = min(60 * 2 ** min(tries - 1, 6), 3600) * random.uniform(0.8, 1.2)
    _mine(mails).update(claim="", last_error=code[:64], next_try_at=timezone.now() + timedelta(seconds=wait))


def forget(before: datetime, batch: int = 500) -> int:
    """Deletes mails made before this moment whose incident, if any, has ended; returns how many."""
    old = Mail.objects.filter(created_at__lt=before).exclude(status=Status.WAITING)
    old = old.exclude(incident__isnull=False, incident__closed_at=None)
    gone = 0
    while pks := list(old.values_list("pk", flat=True)[:batch]):
        Mail.objects.filter(pk__in=pks).delete()
        gone += len(pks)
    return gone


def _to_send() -> QuerySet[Mail]:
    return Mail.objects.select_related("account", "incident__connection__account")


def _mine(mails: list[Mail]) -> QuerySet[Mail]:
    """The rows as long as this sender's claim on them holds."""
    claim = mails[0].claim if mails else "nobody's"
    return Mail.objects.filter(pk__in=[mail.pk for mail in mails], claim=claim, status=Status.WAITING)
