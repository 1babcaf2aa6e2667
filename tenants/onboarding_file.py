"""What this deployment itself answers where a domain's verification file is looked for."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac
from django.views.decorators.http import require_safe

SALT = "tenants.onboarding.arrival"


def arrival_mark(hostname: str) -> str:
    """Tells that a request for `hostname` arrived here. Not the host's token: pointing is no proof (DECISIONS.md)."""
    return "holdfast-arrival=" + salted_hmac(SALT, hostname, algorithm="sha256").hexdigest()


@require_safe
def verification_file(request: HttpRequest) -> HttpResponse:
    """The mark of the host that was asked for. No query."""
    entry = getattr(request, "host_entry", None)
    if entry is None:
        raise Http404
    response = HttpResponse(arrival_mark(entry.hostname) + "\n", content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    return response
