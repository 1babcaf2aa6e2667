"""What somebody is answered who has failed to log in too often (A5)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from config.problems import problem
from tenants.logins import seconds_locked

DETAIL = "Too many failed logins under this name from your address. Wait, or ask a colleague to unlock it."


def locked_out(request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None) -> HttpResponse:
    """AXES_LOCKOUT_CALLABLE. The same for names that exist and names that don't."""
    seconds = seconds_locked(username=(credentials or {}).get("username"), address=vars(request)["axes_ip_address"])
    return problem(request, "rate_limited", DETAIL, {"retryAfterMs": seconds * 1000})
