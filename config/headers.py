"""What a browser is told about every answer (B4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from django.http import HttpRequest, HttpResponse

from commerce.storefront.pages import PaymentPage

_COMMON = "object-src 'none'; base-uri 'self'; frame-ancestors 'none'"
# No inline script and no inline style: what a template can't write, an injected text can't either. The storefront goes
# to the payment page by location.assign, which no directive restricts; a form that is redirected there is one.
STOREFRONT = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    f"form-action 'self' https://checkout.stripe.com; {_COMMON}"
)
# Unfold evaluates its Alpine attributes ('unsafe-eval') and sets styles inline; it needs neither outside the admin.
ADMIN = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    f"connect-src 'self'; form-action 'self'; {_COMMON}"
)
# An answer that is data loads nothing, even where a browser is made to show it.
DATA = "default-src 'none'; frame-ancestors 'none'; sandbox"


class SecurityHeaders:
    """Adds to each answer what it doesn't say itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", policy_for(request.path, response))
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        if request.path.startswith("/api/"):
            # A view that may be cached says so itself, together with its ETag.
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def policy_for(path: str, response: HttpResponse) -> str:
    """The content security policy of an answer, by where it came from and what it is."""
    if "text/html" not in response.get("Content-Type", ""):
        return DATA
    if path.startswith("/admin/"):
        return ADMIN
    return widened(STOREFRONT, response.sources) if isinstance(response, PaymentPage) else STOREFRONT


def widened(policy: str, sources: Mapping[str, Sequence[str]]) -> str:
    """`policy` with more origins per directive. One that it doesn't name starts from the shop's own."""
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    for name, origins in sources.items():
        directives[name] = " ".join((directives.get(name, "'self'"), *origins))
    return "; ".join(f"{name} {value}" for name, value in directives.items())
