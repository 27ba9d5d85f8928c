"""Rows: the authenticator app of a member of staff, and codes for the day it is lost."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django_otp.models import Device, DeviceManager, ThrottlingMixin
from django_otp.oath import TOTP

from tenants.fields import EncryptedTextField

STEP_SECONDS, DIGITS = 30, 6
TOLERANCE = 1  # steps that a phone's clock may be off, either way


class SecretLeftAlone(DeviceManager):  # type: ignore[misc]
    """Opens a secret only for who asks for it: without its key, recovery codes and running sessions go on."""

    def get_queryset(self) -> models.QuerySet[Authenticator]:
        rows: models.QuerySet[Authenticator] = super().get_queryset()
        return rows.defer("secret")


class Authenticator(ThrottlingMixin, Device):  # type: ignore[misc]
    """An app that makes a code of six digits every 30 seconds (TOTP, RFC 6238); of no use before it is confirmed.

    A device of django-otp's, but not its TOTPDevice: that keeps the secret in clear, where a stolen backup would give
    the second factor away along with the first. A code works once, and after a wrong one the wait doubles each time.
    """

    secret = EncryptedTextField(help_text="20 random bytes, in hexadecimal digits")
    last_step = models.BigIntegerField(default=-1, help_text="The step whose code was used last")
    created_at = models.DateTimeField(default=timezone.now)

    objects = SecretLeftAlone()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user"], condition=models.Q(confirmed=True), name="one_authenticator"),
        ]

    def __str__(self) -> str:
        return f"authenticator of {self.user_id}"

    @property
    def key(self) -> bytes:
        """What codes are computed from."""
        return bytes.fromhex(self.secret.reveal())

    def verify_token(self, token: Any) -> bool:
        """Whether the code is right now; call it through `django_otp.verify_token`, which locks the row."""
        if not self.verify_is_allowed()[0]:
            return False
        totp = TOTP(self.key, STEP_SECONDS, digits=DIGITS)
        well_formed = re.fullmatch(r"[0-9]{6}", str(token))
        if not well_formed or not totp.verify(int(token), TOLERANCE, self.last_step + 1):
            self.throttle_increment()
            return False
        self.last_step = totp.t()
        self.throttle_reset()
        return True

    def get_throttle_factor(self) -> int:
        """Seconds to wait after the first wrong code."""
        return 1


class RecoveryCode(models.Model):
    """Stands in for the app once; kept as a hash of 80 random bits."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes")
    code_hash = models.CharField(max_length=64, unique=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"recovery code of {self.user_id}"
