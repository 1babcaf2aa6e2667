"""The cart's cookie: host-only, signed, bound to one shop (C3).

The signature is salted with the shop's id, so that a cookie copied from another shop's host opens nothing. A cookie
that doesn't verify is treated as absent: the customer gets a new cart, never an error.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest
from django.http.response import HttpResponseBase

COOKIE_NAME = "holdfast_cart"
MAX_AGE = timedelta(days=90)
# A UUID, a time and a signature are under 100 characters: anything longer isn't ours, and isn't worth hashing.
_LONGEST = 200


def _signer(shop_id: str) -> TimestampSigner:
    return TimestampSigner(salt=f"holdfast.cart:{shop_id}")


def read_cart_id(request: HttpRequest, shop_id: str) -> UUID | None:
    """The id in the request's cookie when it was signed for this shop within 90 days, else None. No query.

    The cart itself may have been removed since, which reads as an empty cart.
    """
    value = request.COOKIES.get(COOKIE_NAME, "")
    if not value or len(value) > _LONGEST:
        return None
    try:
        return UUID(hex=_signer(shop_id).unsign(value, max_age=MAX_AGE))
    except (BadSignature, ValueError):
        return None


def write_cart_cookie(response: HttpResponseBase, shop_id: str, cart_id: UUID) -> None:
    """Sets the cookie for 90 days from now. No Domain: it never leaves the host it was set on."""
    response.set_cookie(
        COOKIE_NAME,
        _signer(shop_id).sign(cart_id.hex),
        max_age=MAX_AGE,
        path="/",
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
