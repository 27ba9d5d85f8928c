"""The second factor: who needs one, setting it up, and giving it at a sign-in."""

from __future__ import annotations

import secrets
from base64 import b32encode
from enum import StrEnum
from urllib.parse import quote

import django_otp
import segno
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.safestring import SafeString

from staff.models import Authenticator, RecoveryCode
from tenants.models import fingerprint

ISSUER = "Cadence Exchange"
RECOVERY_CODES = 10


class Step(StrEnum):
    """What somebody whose password was right still has to do; the values name pages."""

    NONE = ""
    CODE = "second-factor-code"
    ENROL = "second-factor"


class Factor(StrEnum):
    """What was given as second factor."""

    TOTP = "totp"
    RECOVERY_CODE = "recovery_code"


def next_step(user: User | AnonymousUser) -> Step:
    """Nothing, for whom a device has vouched in this session, or who has none and needs none. At most one query."""
    if getattr(user, "is_verified", bool)():
        return Step.NONE
    if Authenticator.objects.filter(user_id=user.pk or 0, confirmed=True).exists():
        return Step.CODE
    return Step.ENROL if settings.ADMIN_REQUIRE_TOTP else Step.NONE


def authenticator_of(user: User) -> Authenticator | None:
    """The confirmed one."""
    confirmed: QuerySet[Authenticator] = Authenticator.objects.filter(user_id=user.pk, confirmed=True)
    return confirmed.first()


def unconfirmed_of(user: User) -> Authenticator | None:
    """The one being set up."""
    devices: QuerySet[Authenticator] = Authenticator.objects.filter(user_id=user.pk, confirmed=False)
    return devices.order_by("-pk").first()


def begin(user: User) -> Authenticator:
    """A new secret; the confirmed authenticator, if there is one, stays in force until the new one is confirmed."""
    new = Authenticator(user_id=user.pk, name="app", confirmed=False, secret=secrets.token_bytes(20).hex())
    with transaction.atomic():
        Authenticator.objects.filter(user_id=user.pk, confirmed=False).delete()
        new.save()
    return new


def confirm(user: User, code: str) -> tuple[Authenticator, list[str]] | None:
    """Puts the one being set up in force, with fresh recovery codes in clear; None when the code is not its."""
    new = unconfirmed_of(user)
    if new is None or django_otp.verify_token(user, new.persistent_id, code) is None:
        return None
    with transaction.atomic():
        Authenticator.objects.filter(user_id=user.pk, confirmed=True).delete()
        Authenticator.objects.filter(pk=new.pk).update(confirmed=True)
        new.refresh_from_db()
        return new, _new_recovery_codes(user)


def _new_recovery_codes(user: User) -> list[str]:
    RecoveryCode.objects.filter(user_id=user.pk).delete()
    texts = [b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(RecoveryCode(user_id=user.pk, code_hash=fingerprint(text)) for text in texts)
    return ["-".join(text[start : start + 4] for start in range(0, 16, 4)) for text in texts]


def accept(user: User, given: str) -> tuple[Authenticator, Factor] | None:
    """Uses up a code of the app's or a recovery code; None when it is neither, was used, or comes too soon."""
    device = authenticator_of(user)
    if device is None:
        return None
    text = "".join(given.split()).replace("-", "").lower()
    unused = RecoveryCode.objects.filter(user_id=user.pk, code_hash=fingerprint(text), used_at=None)
    if len(text) == 16 and unused.update(used_at=timezone.now()):
        return device, Factor.RECOVERY_CODE
    if django_otp.verify_token(user, device.persistent_id, text) is None:
        return None
    return device, Factor.TOTP


def recovery_codes_left(user: User) -> int:
    """How many were not used."""
    return RecoveryCode.objects.filter(user_id=user.pk, used_at=None).count()


def remove(user: User) -> bool:
    """Without a second factor from now on; False when there was none."""
    with transaction.atomic():
        RecoveryCode.objects.filter(user_id=user.pk).delete()
        _, removed = Authenticator.objects.filter(user_id=user.pk).delete()
    return bool(removed)


def shown_secret(device: Authenticator) -> str:
    """In groups, for typing it into an app."""
    text = _base32(device)
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def uri(device: Authenticator) -> str:
    """For apps: https://github.com/google/google-authenticator/wiki/Key-Uri-Format"""
    label = quote(f"{ISSUER}:{device.user.get_username()}")
    return f"otpauth://totp/{label}?secret={_base32(device)}&issuer={quote(ISSUER)}&algorithm=SHA1&digits=6&period=30"


def qr_code(device: Authenticator) -> SafeString:
    """The same as an SVG element, black on white whatever the page's colours: cameras want it so."""
    code = segno.make(uri(device), error="m", micro=False)
    return SafeString(code.svg_inline(scale=4, border=4, dark="#000", light="#fff", title="QR code of the secret"))


def _base32(device: Authenticator) -> str:
    return b32encode(device.key).decode().rstrip("=")
