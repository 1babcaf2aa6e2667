"""System checks: contradictions in the settings, each with its fix. Errors, so that nothing starts on them.

`manage.py` runs them before every command; web server and workers call `refuse_to_start` themselves.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register, run_checks
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from tenants.database import SYSTEM_ROLE, WEB_ROLE, as_system
from tenants.resealing import lost_seals

STRIPE = "https://api.stripe.com"
RENEWED = ("tenants", "inventory", "commerce", "checkout", "webhooks")
STANDIN_KEY = "sk_test_standin"
SHORTEST_TOKEN = 24
NEW_CREDENTIAL_KEY = (
    "Make one with `python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'`."
)

LOGIN = """
SELECT pg_has_role(%s, 'MEMBER') AND pg_has_role(%s, 'MEMBER'),
       has_table_privilege('commerce_order', 'SELECT') AND NOT row_security_active('commerce_order')
"""


def refuse_to_start() -> None:
    """Ends the process when any check finds an error, naming every one with its fix.

    SystemExit rather than an exception: Celery's signals would log that and start all the same.
    """
    errors = [message for message in run_checks() if message.is_serious() and not message.is_silenced()]
    if not errors:
        stored = (*check_login(), *check_sealed_rows())
        errors = [message for message in stored if message.is_serious()]
        connection.close()  # a server forks after this, and children must not share it
    if errors:
        raise SystemExit("\n".join(["The settings contradict themselves:", *map(str, errors)]))


@register(Tags.security)
def check_settings(**kwargs: Any) -> Sequence[CheckMessage]:
    """What is wrong everywhere, and in production what only development may do."""
    errors = list(_everywhere())
    if settings.ENVIRONMENT == "production":
        errors += _production()
    return errors


def _everywhere() -> Iterator[CheckMessage]:
    key = settings.STRIPE_SECRET_KEY
    if not key.startswith(("sk_", "rk_")):
        yield _error("E001", "STRIPE_SECRET_KEY is no secret key.", "It begins with sk_ or rk_; pk_ is the public one.")
    public = settings.STRIPE_PUBLISHABLE_KEY
    if public and not public.startswith("pk_live_" if _is_live(key) else "pk_test_"):
        yield _error(
            "E025",
            "STRIPE_PUBLISHABLE_KEY is no public key, or not of the mode of STRIPE_SECRET_KEY.",
            "Copy pk_… from where the secret key is from; never put a secret key here: pages show it.",
        )
    if not settings.STRIPE_ACCOUNT.startswith("acct_"):
        yield _error("E002", "STRIPE_ACCOUNT is no account id.", "Copy acct_… from Stripe's settings page.")
    if _is_live(key) and settings.STRIPE_API_BASE != STRIPE:
        yield _error(
            "E003",
            f"A live Stripe key would be sent to {settings.STRIPE_API_BASE}.",
            "Unset STRIPE_API_BASE, or use a test key.",
        )
    if settings.WEBHOOK_UNRESOLVED_RESPONSE not in {200, 503}:
        yield _error("E004", "WEBHOOK_UNRESOLVED_RESPONSE is neither 200 nor 503.", "Stripe retries only after 503.")
    if settings.METRICS_TOKEN and len(settings.METRICS_TOKEN) < SHORTEST_TOKEN:
        yield _error(
            "E005",
            f"METRICS_TOKEN is shorter than {SHORTEST_TOKEN} characters.",
            "Make one with `python3 -c 'import secrets; print(secrets.token_urlsafe(32))'`.",
        )
    if not 0 <= settings.CHECKOUT_REPRICE_DRIFT_PCT <= 1 or settings.CHECKOUT_REPRICE_DRIFT_ABS < 0:
        yield _error(
            "E006",
            "CHECKOUT_REPRICE_DRIFT_ABS or CHECKOUT_REPRICE_DRIFT_PCT is out of range.",
            "ABS is an amount in the major unit, PCT a share from 0 to 1: 0.01 is one per cent.",
        )
    if settings.STOCK_ALERT_RECIPIENT and not settings.EMAIL_URL:
        yield _error(
            "E020",
            "STOCK_ALERT_RECIPIENT is set and EMAIL_URL isn't: nothing could be mailed to it.",
            "Name the mail server, smtp+tls://user:password@host:587, or unset the recipient.",
        )
    if any("@" not in recipient for recipient in settings.STOCK_ALERT_RECIPIENT):
        yield _error("E021", "STOCK_ALERT_RECIPIENT holds what is no e-mail address.", "Separate addresses by commas.")
    if settings.CHECKOUT_RATE_LIMIT_REQUESTS_PER_MINUTE > settings.FRONT_DOOR_RATE_LIMIT_REQUESTS_PER_MINUTE:
        yield _error(
            "E024",
            "CHECKOUT_RATE_LIMIT_REQUESTS_PER_MINUTE is above FRONT_DOOR_RATE_LIMIT_REQUESTS_PER_MINUTE.",
            "Checkouts are requests too: the front door's limit is the larger one.",
        )
    if not all(map(_is_fernet_key, settings.CREDENTIAL_KEYS)):
        yield _error("E017", "CREDENTIAL_KEYS holds a text that is no key.", NEW_CREDENTIAL_KEY)


def _production() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield _error("E010", "DEBUG is on.", "Remove it: error pages would show settings and data.")
    if _embedded(settings.DATABASES["default"].get("HOST", "")):
        yield _error("E011", "DATABASE_URL leads to the embedded PostgreSQL.", "Name a PostgreSQL server of your own.")
    if _embedded(urlsplit(settings.REDIS_URL).path if settings.REDIS_URL.startswith("unix:") else ""):
        yield _error("E012", "REDIS_URL leads to the embedded Valkey.", "Name a Redis or Valkey server of your own.")
    if settings.STRIPE_API_BASE != STRIPE:
        yield _error(
            "E013", f"STRIPE_API_BASE is {settings.STRIPE_API_BASE}.", "Unset it: production speaks to Stripe alone."
        )
    if settings.STRIPE_SECRET_KEY == STANDIN_KEY:
        yield _error("E014", "STRIPE_SECRET_KEY is the stand-in's.", "Set the platform account's own secret key.")
    if not settings.STRIPE_WEBHOOK_SECRETS:
        yield _error(
            "E015",
            "STRIPE_WEBHOOK_SECRETS is empty: no event could be verified, no order confirmed.",
            "Set the signing secret of each endpoint, whsec_…, separated by commas.",
        )
    if not settings.PLATFORM_HOSTS:
        yield _error(
            "E016",
            "PLATFORM_HOSTS is empty: the admin, where hosts are edited, would have no address.",
            "Set the admin's host name, such as admin.example.com.",
        )
    if not settings.CREDENTIAL_KEYS:
        yield _error("E018", "CREDENTIAL_KEYS is empty: shops' Stripe keys could not be kept.", NEW_CREDENTIAL_KEY)


@register(Tags.database)
def check_sealed_rows(**kwargs: Any) -> Sequence[CheckMessage]:
    """Secrets that no configured key opens. Asks the database, so it runs where that is wanted: at a start of server
    or worker, at `migrate`, and with `check --database default`. A database that is away is readiness' matter.
    """
    try:
        with as_system():
            lost = lost_seals()
    except (OperationalError, InterfaceError, ProgrammingError):
        return []
    if not lost:
        return []
    return [
        _error(
            "E019",
            f"{lost} stored secrets were sealed with a key that CREDENTIAL_KEYS doesn't hold.",
            "Put that key back, behind the newest; `manage.py rotate_credentials` makes it superfluous.",
        )
    ]


@register(Tags.database)
def check_login(**kwargs: Any) -> Sequence[CheckMessage]:
    """Whether row-level security binds the login: it may become the two roles, and has no right to a table itself. The
    login that migrates owns the tables, so this is a warning, with `check --database default`.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(LOGIN, [WEB_ROLE, SYSTEM_ROLE])
            may_act, sees_all = cursor.fetchone() or (False, False)
    except (OperationalError, InterfaceError, ProgrammingError):
        return []
    if not may_act:
        fix = f'GRANT {WEB_ROLE}, {SYSTEM_ROLE} TO it: docs/configuration.md, "Database roles".'
        return [_error("E022", "The login of DATABASE_URL may not become the roles that statements run as.", fix)]
    if sees_all and settings.ENVIRONMENT == "production":
        fix = 'Serve with a login that owns no table: docs/configuration.md, "Database roles".'
        return [Warning("Row-level security doesn't bind the login of DATABASE_URL.", hint=fix, id="holdfast.W023")]
    return []


@register(Tags.database)
def check_older_database(**kwargs: Any) -> Sequence[CheckMessage]:
    """Whether the database was made by migrations that today's replace, and stands between two of them.

    A replacing migration counts as done when all that it replaces is recorded, and is to be done when nothing of it is.
    In between Django would build on tables that lack columns, and fail somewhere in the middle. Every app's first one
    replaces its last of then, so an unfinished database can't look like a finished one.
    """
    try:
        applied = set(MigrationRecorder(connection).applied_migrations())
    except (OperationalError, InterfaceError, ProgrammingError):
        return []
    lacking = {
        f"{app}.{missing}"
        for (app, name), migration in sorted(MigrationLoader(None).disk_migrations.items())
        if app in RENEWED and not applied.isdisjoint({(app, name), *migration.replaces})
        for _, missing in set(migration.replaces) - applied
    }
    if not lacking:
        return []
    fix = "Export what you need with the version that made it, `python3 dev.py down`, then delete the data folder:"
    return [
        _error(
            "E026",
            f"The database is from an older version and was never brought up to its last: of that one's migrations"
            f" {len(lacking)} are missing, {max(lacking)} for one.",
            f'{fix} docs/development.md, "Older databases".',
        )
    ]


def _is_fernet_key(key: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(key.encode())) == 32
    except ValueError:
        return False


def _is_live(key: str) -> bool:
    return key.startswith(("sk_live_", "rk_live_"))


def _embedded(path: str) -> bool:
    """Whether a socket's path is one that dev.py makes: below the temporary folder or a `.data` folder."""
    if not path.startswith("/"):
        return False
    place = Path(path)
    temporary = (tempfile.gettempdir(), "/tmp")  # noqa: S108  compared with, not written to
    return ".data" in place.parts or any(place.is_relative_to(folder) for folder in temporary)


def _error(number: str, message: str, fix: str) -> CheckMessage:
    return Error(message, hint=fix, id=f"holdfast.{number}")
