"""What every environment shares. `production`, `development` and `test` import this and differ in little.

Nothing here starts a server or opens a connection: linters, migrations and `collectstatic` import settings too.
"""

from __future__ import annotations

import ssl
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

from config import logs
from config.env import choice, env, flag, integer, mail_settings, names, required

BASE_DIR = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = "production"
DEBUG = False
SECRET_KEY = required("SECRET_KEY", "Make one: `python3 -c 'import secrets; print(secrets.token_urlsafe(50))'`.")

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "tenants.apps.BackOfficeConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_structlog",
    "axes",
    "tenants",
    "inventory",
    "commerce",
    "checkout",
    "webhooks",
    "config",
]

# The front door comes first but for the headers that its refusals carry too: what it refuses costs nothing further.
MIDDLEWARE = [
    "config.headers.SecurityHeaders",
    "tenants.front_door.FrontDoor",
    "tenants.redirecting.Redirecting",
    "config.problems.ProblemMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.short_way.ShortWay",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
# Hosts are rows, edited in the admin: the front door answers 404 `unknown_host` itself.
ALLOWED_HOSTS = ["*"]
APPEND_SLASH = False

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
            ],
        },
    }
]

DATABASES = {
    "default": {
        **env.db_url_config(required("DATABASE_URL", "In development run through dev.py, which starts a PostgreSQL.")),
        "ENGINE": "tenants.postgres",
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": True,
    }
}
DATABASES["default"].setdefault("OPTIONS", {})
DATABASES["default"]["OPTIONS"]["connect_timeout"] = 3
# Only what goes straight to the driver is ever prepared (tenants/postgres/direct.py): Django's own cursors can't be.
if flag("DATABASE_PREPARES_STATEMENTS", True):
    DATABASES["default"]["OPTIONS"]["prepare_threshold"] = 5
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# One URL names the server; what lives in which database number is decided here and nowhere else.
REDIS_URL = required("REDIS_URL", "In development run through dev.py, which starts a Valkey.")
REDIS_KEY_PREFIX = "holdfast"
REDIS_CELERY, REDIS_CACHE, REDIS_LIMITS, REDIS_CARTS = 0, 1, 2, 3
if urlsplit(REDIS_URL).scheme not in {"unix", "redis", "rediss"}:
    raise ImproperlyConfigured("REDIS_URL: expected unix:///path, redis://host:port or rediss://host:port.")


def redis_number_url(number: int) -> str:
    """REDIS_URL with database `number`, as redis-py reads it."""
    parts = urlsplit(REDIS_URL)
    if parts.scheme == "unix":
        return f"unix://{parts.path}?db={number}"
    return parts._replace(path=f"/{number}").geturl()


def celery_number_url(number: int) -> str:
    """The same in the spelling that kombu expects for sockets."""
    parts = urlsplit(REDIS_URL)
    if parts.scheme == "unix":
        return f"redis+socket://{parts.path}?virtual_host={number}"
    return redis_number_url(number)


CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": redis_number_url(REDIS_CACHE),
        "KEY_PREFIX": REDIS_KEY_PREFIX,
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 1},
    }
}
# For redis-py clients of our own (limiter); their keys begin with REDIS_KEY_PREFIX.
REDIS_LIMITS_URL = redis_number_url(REDIS_LIMITS)
# The same for lines of carts, which are nobody's cache: nothing may evict them.
REDIS_CARTS_URL = redis_number_url(REDIS_CARTS)

CELERY_BROKER_URL = celery_number_url(REDIS_CELERY)
if REDIS_URL.startswith("rediss:"):
    # Celery's own default accepts any certificate.
    CELERY_BROKER_USE_SSL = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 300
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 600}
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
# axes first: whoever is locked out doesn't get as far as having a password compared.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
# By name and address together: by name alone anybody could lock a member of staff out, by address alone one member's
# forgotten password would lock the office out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = integer("LOGIN_FAILURE_LIMIT", 5, low=1, high=100)
AXES_COOLOFF_TIME = timedelta(minutes=integer("LOGIN_COOLOFF_MINUTES", 15, low=1, high=1440))
AXES_RESET_ON_SUCCESS = True
# Knocking on a locked door doesn't keep it locked.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "tenants.client_ip.client_bucket"
AXES_LOCKOUT_CALLABLE = "config.lockout.locked_out"
# What is kept is what the lock needs, until it ends: no history of logins, no page of axes' own, no form's contents.
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "csrfmiddlewaretoken", "next"]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "templates" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["config.strict_json.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "config.strict_json.AlwaysJSON",
    "EXCEPTION_HANDLER": "config.problems.answer_exception",
    "UNAUTHENTICATED_USER": None,
}
# The front door refuses larger bodies earlier; this is Django's own backstop for the webhook's 1 MiB.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# Answers name no internals; the admin's pages may be framed by nobody.
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
CSRF_FAILURE_VIEW = "config.problems.csrf_failure"

# Tasks carry the request id of the request that caused them (T7). The request line itself is the front door's.
DJANGO_STRUCTLOG_CELERY_ENABLED = True
LOGGING = logs.configuration(level=choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")))

# ---------------------------------------------------------------- Stripe
STRIPE_SECRET_KEY = required("STRIPE_SECRET_KEY", "The platform account's secret key (sk_test_… or sk_live_…).")
STRIPE_ACCOUNT = required("STRIPE_ACCOUNT", "The id of the account that STRIPE_SECRET_KEY belongs to (acct_…).")
# Public: pages that take a payment within a shop show it. Without one those shops can't be paid in their own pages.
STRIPE_PUBLISHABLE_KEY = env.str("STRIPE_PUBLISHABLE_KEY", default="")
STRIPE_WEBHOOK_SECRETS = names("STRIPE_WEBHOOK_SECRETS")
# Fernet keys, newest first: what shops entrust to us is sealed with the first and opened with any (tenants/sealing.py).
CREDENTIAL_KEYS = names("CREDENTIAL_KEYS")
STRIPE_API_VERSION = "2026-10-28.endive"
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="https://api.stripe.com")
# Seconds. Reading is bounded well under the sender's lease, so that a lease outlives the call it covers.
STRIPE_CONNECT_TIMEOUT = 3
STRIPE_READ_TIMEOUT = integer("STRIPE_READ_TIMEOUT", 20, low=1, high=60)
STRIPE_SIGNATURE_TOLERANCE = 300

# ---------------------------------------------------------------- shop policies: shop → environment → default
CHECKOUT_REPRICE_POLICY = choice(
    "CHECKOUT_REPRICE_POLICY", "enforce_and_proceed", ("enforce_and_proceed", "enforce_and_reject", "log_only")
)
try:
    CHECKOUT_REPRICE_DRIFT_ABS = Decimal(env.str("CHECKOUT_REPRICE_DRIFT_ABS", default="0.10"))
    CHECKOUT_REPRICE_DRIFT_PCT = Decimal(env.str("CHECKOUT_REPRICE_DRIFT_PCT", default="0.01"))
except InvalidOperation as error:
    raise ImproperlyConfigured("CHECKOUT_REPRICE_DRIFT_ABS and …_PCT are decimal numbers, such as 0.10.") from error
CHECKOUT_RATE_LIMIT_ENABLED = flag("CHECKOUT_RATE_LIMIT_ENABLED", True)
CHECKOUT_RATE_LIMIT_REQUESTS_PER_MINUTE = integer("CHECKOUT_RATE_LIMIT_REQUESTS_PER_MINUTE", 10, low=1, high=10_000)
RENTAL_MIN_DAYS = integer("RENTAL_MIN_DAYS", 1, low=1, high=366)
RENTAL_MAX_DAYS = integer("RENTAL_MAX_DAYS", 366, low=1, high=366)
RENTAL_LEAD_DAYS = integer("RENTAL_LEAD_DAYS", 0, low=0, high=730)
RENTAL_HORIZON_DAYS = integer("RENTAL_HORIZON_DAYS", 365, low=0, high=730)
# How long an authorisation without the customer lives, and how long before the pick-up one is made.
# Source: Stripe, "Place a hold on a payment method": 4 days 18 hours with Visa.
DEPOSIT_AUTHORISATION_HOURS = integer("DEPOSIT_AUTHORISATION_HOURS", 114, low=24, high=720)
DEPOSIT_HOLD_LEAD_HOURS = integer("DEPOSIT_HOLD_LEAD_HOURS", 24, low=0, high=168)
INVENTORY_MODE = choice("INVENTORY_MODE", "reserve_ttl", ("reserve_ttl", "validate_only"))
SKIP_INVENTORY_VALIDATION = flag("SKIP_INVENTORY_VALIDATION", False)
INVENTORY_COMBINES_HOLDS = flag("INVENTORY_COMBINES_HOLDS", True)
ENFORCE_CENTRAL_INVENTORY = flag("ENFORCE_CENTRAL_INVENTORY", False)
INVENTORY_HOLD_TTL_SECONDS = integer("INVENTORY_HOLD_TTL_SECONDS", 1200, low=60, high=3600)
INVENTORY_LOCK_TIMEOUT_MS = integer("INVENTORY_LOCK_TIMEOUT_MS", 250, low=10, high=5000)
INVENTORY_CATALOG = "commerce.catalog.lookup.known_keys"
INVENTORY_RELEASE_GUARD = "checkout.release_guard.CheckoutReleaseGuard"
RECONCILIATION_MIGRATION_WINDOW = flag("RECONCILIATION_MIGRATION_WINDOW", True)
ENABLE_STRIPE_ERROR_CLASSIFICATION = flag("ENABLE_STRIPE_ERROR_CLASSIFICATION", True)
WEBHOOK_TENANT_ASSERTION_ENABLED = flag("WEBHOOK_TENANT_ASSERTION_ENABLED", True)
WEBHOOK_UNRESOLVED_RESPONSE = integer("WEBHOOK_UNRESOLVED_RESPONSE", 503, low=200, high=503)

# ---------------------------------------------------------------- carts
# Where lines are written; each cart's row says where its lines are, so changing this loses none.
CART_STORAGE = choice("CART_STORAGE", "postgres", ("postgres", "redis"))
# Days without a change. No cookie opens a cart for longer than 90.
CART_ABANDONED_DAYS = integer("CART_ABANDONED_DAYS", 90, low=1, high=365)
# Carts of the system before this one: the name of its cookie, which holds the cart's id, and what its keys begin with.
CART_OLDER_COOKIE = env.str("CART_OLDER_COOKIE", default="").strip()
CART_OLDER_KEY_PREFIX = env.str("CART_OLDER_KEY_PREFIX", default="cart").strip()

# ---------------------------------------------------------------- mail and alerts
# Empty: no mail server, and whatever would be mailed says so to staff.
EMAIL_URL = env.str("EMAIL_URL", default="").strip()
if EMAIL_URL:
    vars().update(mail_settings(EMAIL_URL))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Holdfast <holdfast@localhost>")
# Seconds for each thing said to a mail server.
EMAIL_TIMEOUT = 10
# Who hears of low stock where a shop names nobody.
STOCK_ALERT_RECIPIENT = names("STOCK_ALERT_RECIPIENT")

# ---------------------------------------------------------------- front door
# tenants may not import config: the front door finds the table of problems by name, and fails at boot if it can't.
PROBLEM_ANSWER = "config.problems.answer_error"
PLATFORM_HOSTS = names("PLATFORM_HOSTS")
# Seconds after which an edited host row is in force on every process.
HOST_MAP_SECONDS = 2.0
# Seconds after which a revoked front-door token opens nothing on any process.
FRONT_DOOR_TOKEN_SECONDS = 2.0
# The same for service tokens.
SERVICE_TOKEN_SECONDS = 2.0
# Proxies in front of the application that append to X-Forwarded-For. Development trusts one, so that simulated
# customers carry addresses of their own.
TRUSTED_PROXY_DEPTH = integer("TRUSTED_PROXY_DEPTH", 1, low=0, high=10)
# The mild limit on everything, per shop and client (tenants/front_door_pace.py).
FRONT_DOOR_RATE_LIMIT_ENABLED = flag("FRONT_DOOR_RATE_LIMIT_ENABLED", True)
FRONT_DOOR_RATE_LIMIT_REQUESTS_PER_MINUTE = integer(
    "FRONT_DOOR_RATE_LIMIT_REQUESTS_PER_MINUTE", 600, low=60, high=10_000_000
)
PUBLIC_PORT = integer("HOLDFAST_PORT", 443, low=1, high=65535)
PUBLIC_SCHEME = "https"
# A host row alone makes no domain ours: in production its owner proves it (tenants/onboarding.py).
SERVE_UNVERIFIED_HOSTS = False
# Looking at a domain means connecting to whatever address somebody's DNS names: never to a private one.
PROBE_PRIVATE_ADDRESSES = False
DOMAIN_PROBES = "tenants.domain_probes.NETWORK"
OPEN_CHECKOUTS = "checkout.attempts.open_checkouts"
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# ---------------------------------------------------------------- back office
UNFOLD = {
    "SITE_TITLE": "Holdfast",
    "SITE_HEADER": "Holdfast",
    "SITE_SYMBOL": "anchor",
    # The platform host has no storefront to view.
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("backoffice/icon.svg")}],
    "ENVIRONMENT": "config.navigation.environment_badge",
    "ENVIRONMENT_TITLE_PREFIX": "config.navigation.environment_prefix",
    "DASHBOARD_CALLBACK": "config.dashboard.context",
    "SIDEBAR": {"show_search": True, "navigation": "config.navigation.sidebar"},
    # Searching every model's table at each key press is for small databases.
    "COMMAND": {"search_models": False},
}
