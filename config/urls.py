"""Every route of every host. Which host serves which is the front door's decision (tenants/allowlist.py)."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from config import health, metrics
from tenants.allowlist import VERIFICATION_PATH
from tenants.onboarding_file import verification_file

urlpatterns: list[URLPattern | URLResolver] = [
    # What machines ask, and often: every pattern that is tried before it is time spent.
    path("api/", include("webhooks.api.urls")),
    path("api/", include("inventory.api.urls")),
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("metrics", metrics.expose, name="metrics"),
    path(VERIFICATION_PATH[1:], verification_file, name="verification_file"),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/", include("commerce.api.urls")),
    path("api/", include("checkout.api.urls")),
    # Last: the pages of a shop begin at its root.
    path("", include("commerce.storefront.urls")),
]

handler400 = "config.problems.bad_request"
handler403 = "config.problems.forbidden"
handler404 = "config.problems.not_found"
handler500 = "config.problems.server_error"
