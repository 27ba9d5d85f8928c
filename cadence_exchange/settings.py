"""The one settings file: everything comes from the environment, is read once, and is checked at start."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from cryptography.fernet import Fernet
from django.core.management.utils import get_random_secret_key

from cadence_exchange import broker
from cadence_exchange.email_url import MailServer, email_url
from cadence_exchange.env import (
    PROBLEMS,
    Problem,
    client_certificate,
    env_address,
    env_bool,
    env_choice,
    env_date,
    env_int,
    env_parsed,
    env_pem,
    env_secret,
    env_text,
    env_url,
    kept_secret,
    trusted_certificates,
)
from microsoft.clouds import CLOUDS

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"
VERSION = "0.1.0"

# --- where we are -----------------------------------------------------------------------------------------------
DEBUG = env_bool("DEBUG", False)
PUBLIC_URL = env_url("PUBLIC_URL", "http://localhost:8000")
PUBLIC_HTTPS = PUBLIC_URL.startswith("https://")
PUBLIC_HOST = urlsplit(PUBLIC_URL).hostname or "localhost"
ALLOWED_HOSTS = [host.strip() for host in env_text("ALLOWED_HOSTS", PUBLIC_HOST).split(",") if host.strip()]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
# gunicorn's own variable: whose word on the visitor's address and scheme is believed.
TRUSTED_PROXIES = frozenset(proxy.strip() for proxy in env_text("FORWARDED_ALLOW_IPS", "127.0.0.1,::1").split(","))


WEB_THREADS = env_int("WEB_THREADS", 8, least=1, most=256)  # gunicorn.conf.py reads it too


# --- database ---------------------------------------------------------------------------------------------------
def _database(url: str) -> dict[str, Any]:
    """Django's form of DATABASE_URL; refuses what is neither SQLite in a file nor PostgreSQL."""
    if not url.startswith(("sqlite:///", "postgres://", "postgresql://")):
        raise ValueError("scheme")
    parsed: dict[str, Any] = dict(dj_database_url.parse(url))
    if not parsed["NAME"] or parsed["NAME"] == ":memory:":
        raise ValueError("name")
    options = parsed.setdefault("OPTIONS", {})
    if "sqlite" in parsed["ENGINE"]:
        parsed["NAME"] = str(BASE_DIR / parsed["NAME"])
        options.update(
            transaction_mode="IMMEDIATE",
            timeout=20,
            init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        )
    else:
        # One for each of the web server's threads, since a question holds its own while it waits for Microsoft. The
        # pool's own default of waiting 30 s would outlive the 20 s that an answer may take.
        options["pool"] = {"min_size": 1, "max_size": max(8, WEB_THREADS), "timeout": 5}
    return parsed


DATABASES = {
    "default": env_parsed(
        "DATABASE_URL",
        "sqlite:///var/cadence.sqlite3",
        _database,
        allowed="sqlite:///path or postgres://user:password@host/name",
        secret=True,
    )
}
ON_SQLITE = "sqlite" in DATABASES["default"]["ENGINE"]
if ON_SQLITE:
    DATA_DIR = Path(DATABASES["default"]["NAME"]).parent
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    # A file, so that threads and transactions in the tests behave as they do in service.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
else:
    DATA_DIR = VAR_DIR
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


# --- cache, locks, broker ---------------------------------------------------------------------------------------
def _redis(url: str) -> str:
    parts = urlsplit(url)
    number = parts.path.strip("/")
    if url and (parts.scheme not in ("redis", "rediss") or not parts.hostname or (number and not number.isdigit())):
        raise ValueError("form")
    _ = parts.port  # raises ValueError when it is no number
    return url


REDIS_URL = env_parsed("REDIS_URL", "", _redis, allowed="redis://host:port/number", secret=True)
REDIS_NAMESPACE = "cadence"
# Rate limits and concurrency slots of embedded mode: their own file, so that counting never waits for the data.
COORDINATION_FILE = DATA_DIR / "coordination.sqlite3"
CACHES: dict[str, dict[str, Any]] = {
    "default": (
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": REDIS_NAMESPACE,
            # Without them a server that accepts and then says nothing would hold an answer for ever.
            "OPTIONS": {"socket_connect_timeout": 3, "socket_timeout": 5},
        }
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cadence_cache"}
    )
}


# --- secrets ----------------------------------------------------------------------------------------------------
def _fernet_keys(text: str) -> list[str]:
    keys = [key.strip() for key in text.split(",") if key.strip()]
    # Strictly: base64 decoders skip what they do not know, so that a blank for a comma would lose a key unnoticed.
    if not all(re.fullmatch(r"[A-Za-z0-9_-]{43}=", key) for key in keys):
        raise ValueError("form")
    return keys


SECRET_KEY = env_secret("DJANGO_SECRET_KEY")
FERNET_KEYS = env_parsed(
    "FERNET_KEYS", "", _fernet_keys, allowed="comma-separated Fernet keys, newest first", secret=True
)
# The column must be readable by plain Fernet with the keys as they are given; see docs/adr/0001.
FERNET_USE_HKDF = False
if ON_SQLITE:
    SECRET_KEY = SECRET_KEY or kept_secret(VAR_DIR / "secret_key", get_random_secret_key)
    FERNET_KEYS = FERNET_KEYS or _fernet_keys(
        kept_secret(VAR_DIR / "fernet_keys", lambda: Fernet.generate_key().decode())
    )
else:
    for name, value in (("DJANGO_SECRET_KEY", SECRET_KEY), ("FERNET_KEYS", FERNET_KEYS)):
        if not value and not any(problem.variable == name for problem in PROBLEMS):
            PROBLEMS.append(Problem(name, "nothing", "a value: with this database no secret is made up"))

# --- Microsoft 365 ----------------------------------------------------------------------------------------------
MICROSOFT_CLIENT_ID = env_text("MICROSOFT_CLIENT_ID")
MICROSOFT_CLIENT_SECRET = env_secret("MICROSOFT_CLIENT_SECRET")
MICROSOFT_CLIENT_CERTIFICATE = env_pem(
    "MICROSOFT_CLIENT_CERTIFICATE",
    client_certificate,
    allowed="the path of a PEM file with a certificate and its private key, without a passphrase",
)
# Microsoft tells nobody when a secret ends: without the date nobody is warned. A certificate says it itself.
MICROSOFT_CLIENT_SECRET_EXPIRES = env_date("MICROSOFT_CLIENT_SECRET_EXPIRES")
MICROSOFT_CALENDAR_SCOPE = env_choice(
    "MICROSOFT_CALENDAR_SCOPE",
    "Calendars.Read",
    ("Calendars.Read", "Calendars.Read.Shared", "Calendars.ReadBasic"),
)
MICROSOFT_AUTHORITY_URL = env_url("MICROSOFT_AUTHORITY_URL", schemes=("https",))
# For training installations: on an https PUBLIC_URL an authority that is not Microsoft is refused otherwise.
ALLOW_SIMULATED_MICROSOFT = env_bool("ALLOW_SIMULATED_MICROSOFT", False)
MICROSOFT_GRAPH_URL = env_url("MICROSOFT_GRAPH_URL", path=True)
MICROSOFT_CA_BUNDLE = env_pem(
    "MICROSOFT_CA_BUNDLE", trusted_certificates, allowed="the path of a PEM file with certificates to trust"
)
# Contract: any answer within 20 s. What is left is for validation, rules and rendering.
ANSWER_DEADLINE_SECONDS = 18.0
# Calls for one reader in ten minutes (https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits), and
# how many of them background work leaves to people.
GRAPH_CALLS = 10_000
GRAPH_CALLS_FOR_PEOPLE = 2_000


# --- webhooks ---------------------------------------------------------------------------------------------------
def _private_hosts(text: str) -> frozenset[str]:
    hosts = [host.strip().lower() for host in text.split(",") if host.strip()]
    for host in hosts:
        form = re.fullmatch(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", host)
        if form is None or not 0 < int(form[2] or 1) < 65_536:
            raise ValueError(host)
    return frozenset(hosts)


# Exactly these may be in a private network and may be spoken to in plain http.
WEBHOOK_PRIVATE_HOSTS = env_parsed(
    "WEBHOOK_PRIVATE_HOSTS", "", _private_hosts, allowed="comma-separated host names, each with or without a port"
)

# --- mails ------------------------------------------------------------------------------------------------------
_MAIL_SERVER = env_parsed(
    "EMAIL_URL",
    "",
    lambda text: email_url(text) if text else MailServer("django.core.mail.backends.dummy.EmailBackend"),
    allowed="smtp://user:password@host:587 (with ?tls=none for none), smtps://…, file:///directory or console://",
    secret=True,
)
SENDS_MAILS = "dummy" not in _MAIL_SERVER.backend
EMAIL_BACKEND = _MAIL_SERVER.backend
EMAIL_HOST, EMAIL_PORT = _MAIL_SERVER.host, _MAIL_SERVER.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL_SERVER.user, _MAIL_SERVER.password
EMAIL_USE_TLS, EMAIL_USE_SSL = _MAIL_SERVER.tls == "starttls", _MAIL_SERVER.tls == "smtps"
EMAIL_FILE_PATH = _MAIL_SERVER.folder or None
EMAIL_TIMEOUT = 10  # seconds without a word from the server
EMAIL_FROM = env_address("EMAIL_FROM", f"cadence-exchange@{PUBLIC_HOST}")
SUPPORT_EMAIL = env_address("SUPPORT_EMAIL")
# What passes by itself within this time alerts nobody; what breaks within it is told to support in one mail.
ALERT_SETTLE_SECONDS = env_int("ALERT_SETTLE_SECONDS", 120, least=0, most=3600)
ALERT_PAUSE_SECONDS = env_int("ALERT_PAUSE_SECONDS", 600, least=0, most=86_400)  # between two mails to support


# --- /metrics ---------------------------------------------------------------------------------------------------
def _metrics_token(text: str) -> str:
    if text and not re.fullmatch(r"[\x21-\x7e]{16,}", text):
        raise ValueError("form")
    return text


METRICS_TOKEN = env_parsed(
    "METRICS_TOKEN", "", _metrics_token, allowed="at least 16 printable characters without blanks", secret=True
)

# --- limits and schedules ---------------------------------------------------------------------------------------
# What the answer to a request was decided from, for support bundles; 0 keeps nothing.
ANSWERS_KEPT_HOURS = env_int("ANSWERS_KEPT_HOURS", 24, least=0, most=72)
API_RATE_PER_MINUTE = env_int("API_RATE_PER_MINUTE", 1200, least=1, most=1_000_000)
API_RATE_BURST = 300
HEALTH_STALE_SECONDS = 3600  # or two intervals of the connection's own probes, whichever is longer
# A connection read through the API within this time is in use: refreshed ahead of every expiry, probed often.
IN_USE_SECONDS = env_int("IN_USE_SECONDS", 3 * 86_400, least=3600, most=90 * 86_400)
PROBE_INTERVAL_SECONDS = env_int("PROBE_INTERVAL_SECONDS", 900, least=60, most=86_400)
PROBE_IDLE_INTERVAL_SECONDS = env_int("PROBE_IDLE_INTERVAL_SECONDS", 6 * 3600, least=60, most=86_400)
# At least daily: Microsoft ends a refresh token that nobody used for 90 days.
REFRESH_IDLE_SECONDS = env_int("REFRESH_IDLE_SECONDS", 86_400, least=3600, most=86_400)
SWEEP_WIDTH = env_int("SWEEP_WIDTH", 64, least=1, most=256)  # calls to Microsoft at a time in one worker process
TICK_SECONDS = env_int("TICK_SECONDS", 60, least=5, most=600)  # how often beat looks for what is due
CELERY_BROKER_URL = REDIS_URL or "embedded://"
if not REDIS_URL:
    CELERY_BROKER_TRANSPORT_OPTIONS = broker.options(DATA_DIR / "broker")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "cadence_exchange.beat:Scheduler"
# A message that waited longer than its interval is worth nothing: the next one does the same work from the rows.
CELERY_BEAT_SCHEDULE = {
    "refresh-due-tokens": {
        "task": "tenants.tasks.refresh_due_tokens",
        "schedule": float(TICK_SECONDS),
        "options": {"expires": TICK_SECONDS},
    },
    "probe-connections": {
        "task": "freebusy.tasks.probe_due_connections",
        "schedule": float(TICK_SECONDS),
        "options": {"expires": TICK_SECONDS},
    },
    "forget-old-consent-attempts": {
        "task": "tenants.tasks.forget_old_consent_attempts",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "send-due-webhooks": {
        "task": "webhooks.tasks.send_due_webhooks",
        "schedule": float(TICK_SECONDS),
        "options": {"expires": TICK_SECONDS},
    },
    "forget-old-deliveries": {
        "task": "webhooks.tasks.forget_old_deliveries",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "reconcile-incidents": {
        "task": "alerts.tasks.reconcile_incidents",
        "schedule": float(TICK_SECONDS),
        "options": {"expires": TICK_SECONDS},
    },
    "send-mails": {
        "task": "alerts.tasks.send_mails",
        "schedule": float(TICK_SECONDS),
        "options": {"expires": TICK_SECONDS},
    },
    "warn-of-expiry": {
        "task": "alerts.tasks.warn_of_expiry",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "forget-old-mails": {
        "task": "alerts.tasks.forget_old_mails",
        "schedule": 86_400.0,
        "options": {"expires": 3600},
    },
    "prune-checks": {"task": "tenants.tasks.prune_checks", "schedule": 3600.0, "options": {"expires": 3600}},
    "forget-unasked-mailboxes": {
        "task": "freebusy.tasks.forget_unasked_mailboxes",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    # Somebody is about to search.
    "finish-rosters": {
        "task": "freebusy.tasks.finish_rosters",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "forget-old-calendars": {
        "task": "freebusy.tasks.forget_old_calendars",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
    # Somebody sits before the page and waits.
    "check-preflights": {
        "task": "freebusy.tasks.check_preflights",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "forget-old-preflights": {
        "task": "freebusy.tasks.forget_old_preflights",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "heartbeat": {"task": "tenants.tasks.heartbeat", "schedule": 30.0, "options": {"expires": 30}},
}

# --- Django -----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "cadence_exchange.apps.WiringConfig",
    "tenants.apps.TenantsConfig",
    "freebusy.apps.FreebusyConfig",
    "alerts.apps.AlertsConfig",
    "webhooks.apps.WebhooksConfig",
    "axes",  # before staff: whether an address is locked out is decided first
    "staff.apps.StaffConfig",
    "console.apps.ConsoleConfig",
    "console.apps.CadenceAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "cadence_exchange.health.HealthMiddleware",  # first: answers for any Host and never redirects
    "cadence_exchange.middleware.MeasuringMiddleware",
    "cadence_exchange.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "cadence_exchange.middleware.LanguageMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",  # last: it replaces the answer to whoever is locked out
]
ROOT_URLCONF = "cadence_exchange.urls"
WSGI_APPLICATION = "cadence_exchange.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("es", "Español")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "cadence_exchange.formats"
USE_I18N = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # served straight from the source tree: no collectstatic before a start
WHITENOISE_AUTOREFRESH = DEBUG

# --- browser security -------------------------------------------------------------------------------------------
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = PUBLIC_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if PUBLIC_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PUBLIC_HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"


def _sign_in_origins() -> list[str]:
    """Where the consent form may lead: without them Chromium stops the redirect to Microsoft."""
    if not MICROSOFT_AUTHORITY_URL:
        return sorted({cloud.authority for cloud in CLOUDS.values()})
    if urlsplit(MICROSOFT_AUTHORITY_URL).hostname in ("localhost", "127.0.0.1"):
        # A simulated authority on this machine may show its human pages on another port, also in plain http.
        return ["http://localhost:*", "https://localhost:*", "http://127.0.0.1:*", "https://127.0.0.1:*"]
    return [MICROSOFT_AUTHORITY_URL]


CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'", *_sign_in_origins()],
    }
}

# --- staff ------------------------------------------------------------------------------------------------------
ADMIN_REQUIRE_TOTP = env_bool("ADMIN_REQUIRE_TOTP", False)
ADMIN_SESSION_HOURS = env_int("ADMIN_SESSION_HOURS", 12, least=1, most=168)
SESSION_COOKIE_AGE = ADMIN_SESSION_HOURS * 3600
# By address alone: by name, anybody could lock out anybody.
AXES_LOCKOUT_PARAMETERS = ["ip_address"]
AXES_CLIENT_IP_CALLABLE = "tenants.audit.client_address"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "console.sign_in.locked_out"
# The audit trail is ours; what django-axes needs for counting holds no name.
AXES_USERNAME_CALLABLE = "staff.sign_ins.hashed_name"
AXES_SENSITIVE_PARAMETERS = ["username", "password", "code", "next", "csrfmiddlewaretoken"]
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# --- API --------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["tenants.throttling.ApiKeyThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["freebusy.rendering.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["freebusy.parsers.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "freebusy.parsers.AlwaysJSON",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "NON_FIELD_ERRORS_KEY": "",  # not a name that a caller could give to a member
    "EXCEPTION_HANDLER": "cadence_exchange.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Cadence Exchange API",
    "VERSION": "1.0.0",
    "DESCRIPTION": "Free/busy conflicts and possible appointment times of a customer's Microsoft 365 calendars.",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # On a public host Swagger UI would send the document's address to a validator elsewhere.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None, "defaultModelsExpandDepth": -1},
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "ConnectionStateEnum": "tenants.lifecycle.State",
        "MailboxStateEnum": "freebusy.shapes.MAILBOX_STATES",
        "BlockCodeEnum": "freebusy.shapes.BLOCK_CODES",
        "WithheldCodeEnum": "freebusy.shapes.WITHHELD_CODES",
        "MailboxProblemCodeEnum": "freebusy.shapes.PROBLEM_CODES",
        "FreeBusyStatusEnum": "freebusy.core.schedule.FreeBusyStatus",
        "DayEnum": "freebusy.serializers.DAYS",
    },
}

# --- logs -------------------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"context": {"()": "cadence_exchange.logs.ContextFilter"}},
    "formatters": {"json": {"()": "cadence_exchange.logs.JsonFormatter"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["context"]},
    },
    "root": {
        "handlers": ["stderr"],
        "level": env_choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
    },
    "loggers": {
        "django": {"handlers": [], "level": "NOTSET", "propagate": True},
        # At DEBUG it quotes a template's whole context, and with it the query of /connect/callback/: the code.
        "django.template": {"level": "INFO"},
        # It says what staff/sign_ins.py says, with less care for what is typed into a name's field.
        "axes": {"level": "ERROR"},
    },
}
