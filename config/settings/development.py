"""One machine, started by dev.py: plain HTTP, `*.localhost` hosts, the Stripe stand-in."""

from __future__ import annotations

from config.env import env, integer, mail_settings
from config.settings.base import *  # noqa: F403

ENVIRONMENT = "development"
PUBLIC_SCHEME = "http"
PUBLIC_PORT = integer("HOLDFAST_PORT", 8000, low=1, high=65535)
# The seed's host rows name these too; without a seed the admin would be out of reach.
PLATFORM_HOSTS = ("localhost", "127.0.0.1", *PLATFORM_HOSTS)  # noqa: F405
SERVE_UNVERIFIED_HOSTS = True
PROBE_PRIVATE_ADDRESSES = True
# Mails are printed by the worker.
EMAIL_URL = env.str("EMAIL_URL", default="consolemail://")
vars().update(mail_settings(EMAIL_URL))
# Over plain HTTP a browser would never send a Secure cookie back.
SESSION_COOKIE_SECURE = False
CSRF_COOKIE_SECURE = False
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
