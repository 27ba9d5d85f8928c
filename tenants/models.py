"""Rows: accounts, their connections to Microsoft 365, encrypted tokens, consent attempts, audit, API keys."""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Exists
from django.urls import reverse
from django.utils import timezone

from microsoft.clouds import CLOUDS
from tenants.fields import EncryptedTextField
from tenants.health import Health, Outcome
from tenants.lifecycle import State

_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


def new_consent_key() -> str:
    """256 random bits: the key is all that opens an account's consent page."""
    return secrets.token_urlsafe(32)


def quota_key_of(tenant_id: str, reader_oid: str) -> str:
    """Whose limits a call counts against."""
    return f"{tenant_id}/{reader_oid}"


def fingerprint(value: str) -> str:
    """What is stored of a state or a browser's cookie: enough to know it again, of no use to a thief."""
    return sha256(value.encode("utf-8", "replace")).hexdigest()


def validate_time_zone(name: str) -> None:
    """Only names of the IANA list."""
    if name not in available_timezones():
        raise ValidationError(f"“{name}” is no IANA time zone such as Europe/Berlin.", code="time_zone")


def validate_domains(domains: Any) -> None:
    """A list of at least one lower-case domain name, each once."""
    if not isinstance(domains, list) or not domains:
        raise ValidationError("At least one e-mail domain is needed.", code="domains")
    for domain in domains:
        if not isinstance(domain, str) or not _DOMAIN.fullmatch(domain):
            raise ValidationError(f"“{domain}” is no lower-case domain such as contoso.com.", code="domains")
    if len(set(domains)) != len(domains):
        raise ValidationError("A domain is named twice.", code="domains")


class Mode(models.TextChoices):
    """Who signed in, and so what Microsoft was asked to show."""

    ADMIN = "admin", "administrator"
    SERVICE_ACCOUNT = "service_account", "dedicated service account"


class Policy(models.TextChoices):
    """Presets of freebusy.core.rules, by name."""

    TECHNICAL = "technical", "technical: only busy and out of office conflict"
    CAUTIOUS = "cautious", "cautious: tentative and working elsewhere conflict too"


class Account(models.Model):
    """A customer account of Event Cadence."""

    slug = models.SlugField(
        max_length=50,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9-]*$", "Lower case, digits, hyphens.")],
    )
    name = models.CharField(max_length=200)
    domains = models.JSONField(default=list, validators=[validate_domains], help_text='E-mail domains, ["contoso.com"]')
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    cloud = models.CharField(
        max_length=16, default="global", choices=[(name, cloud.label) for name, cloud in CLOUDS.items()]
    )
    contact_email = models.EmailField(blank=True)
    language = models.CharField(
        max_length=8, choices=settings.LANGUAGES, default="en", db_default="en", help_text="Of mails to the contact"
    )
    consent_key = models.CharField(max_length=64, unique=True, default=new_consent_key, editable=False)
    policy = models.CharField(max_length=32, choices=Policy.choices, default=Policy.TECHNICAL)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug

    @property
    def consent_url(self) -> str:
        """Where the customer's administrator connects the calendars."""
        return f"{settings.PUBLIC_URL}{reverse('connect', args=[self.consent_key])}"

    def owns(self, address: str) -> bool:
        """Whether the address is of one of the account's domains, exactly and whatever the case."""
        return address.rpartition("@")[2].lower() in self.domains


class Connection(models.Model):
    """How an account is connected to Microsoft 365; everything here is written by the machine."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="connection")
    mode = models.CharField(max_length=16, choices=Mode.choices, blank=True)
    state = models.CharField(
        max_length=16, choices=[(s.value, s.value) for s in State], default=State.PENDING.value, db_index=True
    )
    state_changed_at = models.DateTimeField(default=timezone.now)
    tenant_id = models.CharField(max_length=36, blank=True, db_index=True)
    reader_oid = models.CharField(max_length=36, blank=True)
    reader = models.CharField(max_length=254, blank=True, help_text="Sign-in name (UPN) of the account that reads")
    scopes = models.JSONField(default=list)
    extra_scopes = models.JSONField(default=list, help_text="Granted although never asked for")
    connected_at = models.DateTimeField(null=True)
    reason_code = models.CharField(max_length=64, blank=True)
    reason_at = models.DateTimeField(null=True)
    # A reconnect from another Entra tenant is refused until a superuser allows exactly that tenant.
    refused_tenant_id = models.CharField(max_length=36, blank=True)
    allowed_tenant_id = models.CharField(max_length=36, blank=True)
    health = models.CharField(max_length=16, choices=[(h.value, h.value) for h in Health], default=Health.UNKNOWN.value)
    health_since = models.DateTimeField(null=True)
    bad_in_a_row = models.PositiveSmallIntegerField(default=0)
    last_check_at = models.DateTimeField(null=True, db_index=True)
    last_check_outcome = models.CharField(max_length=16, choices=[(o.value, o.value) for o in Outcome], blank=True)
    last_check_latency_ms = models.PositiveIntegerField(null=True)
    last_check_code = models.CharField(max_length=64, blank=True)
    probe_due_at = models.DateTimeField(default=timezone.now, db_index=True)
    last_used_at = models.DateTimeField(null=True, help_text="Last read through the API, to ten minutes")
    # The database fills it in for code of the version before.
    simulated = models.BooleanField(default=False, db_default=False, help_text="Made with a simulated Microsoft 365")

    class Meta:
        ordering = ["account__slug"]

    def __str__(self) -> str:
        return f"{self.account_id} {self.state}"

    @property
    def enabled(self) -> bool:
        return self.state == State.ENABLED

    @property
    def quota_key(self) -> str:
        """Microsoft counts its limits by mailbox of the reader, not by our accounts."""
        return quota_key_of(self.tenant_id, self.reader_oid)


class TokenRecord(models.Model):
    """The connection's tokens, encrypted; times in clear so that due ones are found. Written by the vault alone."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="token")
    refresh_token = EncryptedTextField()
    access_token = EncryptedTextField()
    # Which of FERNET_KEYS both are under, so that a key still in use is known without opening a row.
    key_id = models.CharField(max_length=16, default="", db_default="", db_index=True)
    access_expires_at = models.DateTimeField()
    refreshed_at = models.DateTimeField()
    refresh_due_at = models.DateTimeField(db_index=True)
    version = models.PositiveIntegerField(default=1)
    failures = models.PositiveIntegerField(default=0, help_text="Refreshes that failed since the last good one")
    last_failure_code = models.CharField(max_length=64, blank=True)
    last_failure_at = models.DateTimeField(null=True)
    lease_holder = models.CharField(max_length=36, blank=True)
    lease_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"tokens of connection {self.connection_id}, version {self.version}"

    @classmethod
    def times_of(cls, connection: Connection) -> TokenRecord | None:
        """The connection's row for pages that show its times and failures: the tokens stay in the database."""
        return cls.objects.filter(connection=connection).defer("refresh_token", "access_token").first()


class ConsentAttempt(models.Model):
    """One way to Microsoft and back: the state only as a hash, the flow encrypted, bound to one browser."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="consent_attempts")
    mode = models.CharField(max_length=16, choices=Mode.choices)
    state_hash = models.CharField(max_length=64, unique=True)
    browser_hash = models.CharField(max_length=64)
    flow = EncryptedTextField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.mode} attempt of {self.created_at:%Y-%m-%d %H:%M}"

    @classmethod
    def of_state(cls, state: str) -> models.QuerySet[ConsentAttempt]:
        """The one attempt that this state, as Microsoft brings it back, belongs to; or none."""
        return cls.objects.filter(state_hash=fingerprint(state))


class AppendOnly(models.QuerySet["AuditEntry"]):
    """Entries are written once and stay."""

    def update(self, **kwargs: Any) -> int:
        raise TypeError("audit entries are never changed")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("audit entries are never deleted")


class AuditEntry(models.Model):
    """Who did what to which account, when, from where. Details never hold a secret."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    account = models.ForeignKey(
        Account, on_delete=models.DO_NOTHING, related_name="audit", db_constraint=False, null=True
    )
    account_slug = models.CharField(max_length=50, blank=True)
    action = models.CharField(max_length=40, db_index=True)
    outcome = models.CharField(max_length=64)
    actor = models.CharField(max_length=254)
    address = models.GenericIPAddressField(null=True, help_text="Where the request came from")
    request_id = models.CharField(max_length=64, blank=True)
    details = models.JSONField(default=dict)

    objects = AppendOnly.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.action} {self.outcome}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise TypeError("audit entries are never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("audit entries are never deleted")


class ApiKey(models.Model):
    """A key of the Cadence backend: prefix to find it, hash to prove it, accounts it may see."""

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    key_hash = models.CharField(max_length=64, editable=False)
    accounts = models.ManyToManyField(Account, blank=True, related_name="api_keys")
    all_accounts = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_authenticated(self) -> bool:
        """DRF asks the request's user; here the key is the user."""
        return True

    def visible_accounts(self) -> models.QuerySet[Account]:
        """The accounts this key may see: none once it is revoked, also where this object does not know of it yet."""
        if self.all_accounts:
            return Account.objects.filter(Exists(ApiKey.objects.filter(pk=self.pk, all_accounts=True, revoked_at=None)))
        return Account.objects.filter(api_keys=self.pk, api_keys__revoked_at=None)


class HealthCheck(models.Model):
    """One probe of a connection: what was found, how fast, and Microsoft's id for the call."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="checks")
    at = models.DateTimeField(default=timezone.now)
    outcome = models.CharField(max_length=16, choices=[(o.value, o.value) for o in Outcome])
    latency_ms = models.PositiveIntegerField(null=True)
    http_status = models.PositiveSmallIntegerField(null=True)
    code = models.CharField(max_length=64, blank=True)
    microsoft_request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["connection", "-at"], name="check_by_connection"),
            models.Index(fields=["at"], name="check_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.outcome}"


class Period(models.TextChoices):
    """How long a roll-up spans; both begin on the UTC clock."""

    HOUR = "hour", "hour"
    DAY = "day", "day"


class CheckSums(models.Model):
    """Checks of a period by outcome, and how fast they were; added to in the transaction that stores the check."""

    period = models.CharField(max_length=4, choices=Period.choices)
    start = models.DateTimeField()
    ok = models.PositiveIntegerField(default=0)
    suspicious = models.PositiveIntegerField(default=0)
    throttled = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    unreachable = models.PositiveIntegerField(default=0)
    latency_count = models.PositiveIntegerField(default=0)
    latency_sum_ms = models.PositiveBigIntegerField(default=0)
    latency_max_ms = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def checks(self) -> int:
        """All of them, whatever the outcome."""
        return self.ok + self.suspicious + self.throttled + self.refused + self.unreachable


class ConnectionChecks(CheckSums):
    """One connection's checks of an hour or a day."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="sums", db_index=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "period", "start"], name="sums_of_connection")]
        indexes = [models.Index(fields=["period", "start"], name="sums_by_time")]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.period} of {self.start:%Y-%m-%d %H:%M}: {self.checks}"


class AllChecks(CheckSums):
    """The checks of all connections together, so that a trend never reads a row per connection."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["period", "start"], name="sums_of_all")]

    def __str__(self) -> str:
        return f"{self.period} of {self.start:%Y-%m-%d %H:%M}: {self.checks}"


class CacheRow(models.Model):
    """The table of Django's database cache, made by migration so that a start needs no `createcachetable`."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "cadence_cache"

    def __str__(self) -> str:
        return self.cache_key
