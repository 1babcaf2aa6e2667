"""Production: everything from the environment, HTTPS only; config/checks.py refuses embedded and stand-in services."""

from __future__ import annotations

from config.env import integer
from config.settings.base import *  # noqa: F403

ENVIRONMENT = "production"
# Platforms end TLS in front of the application and say so in this header, which they overwrite.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
# A domain that is being brought in has no certificate yet.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^\.well-known/holdfast-verification\.txt$"]
SECURE_HSTS_SECONDS = integer("SECURE_HSTS_SECONDS", 31_536_000, low=0, high=63_072_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
