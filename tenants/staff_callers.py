"""Routes that servers and staff may call: whoever it is, one shop and one actor come out of it (contracts, "Who is
calling").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from tenants.audit import Actor
from tenants.callers import ServiceCaller
from tenants.context import ShopContext, current_shop, load_shop
from tenants.errors import Forbidden, NotFound, ShopRequired, Unauthenticated
from tenants.identity import refuse_other_shop
from tenants.reasoned import staff_actor
from tenants.staff import staff_scope

ALSO_STAFF: Final = (SessionAuthentication,)
"""What a view that staff may call is declared with: a session counts only with its CSRF token."""


@dataclass(frozen=True, slots=True)
class Errand:
    """For which shop something is done, and by whom."""

    shop: ShopContext
    acting: Actor


def errand_of(request: Request, *, named: str | None, permission: str) -> Errand:
    """`named` is the body's `shopId`: with a token it may only agree; staff, whose host is the platform's, name their
    shop by it and need `permission` (`app.codename`).

    For views with `authentication_classes = ALSO_STAFF`. Raises Unauthenticated, Forbidden, ShopRequired, ShopConflict,
    and NotFound for a shop that isn't one of the caller's.
    """
    raw = request._request
    caller: ServiceCaller | None = getattr(raw, "caller", None)
    if caller is not None:
        refuse_other_shop(named)
        return Errand(current_shop(), caller.acting)
    user: Any = request.user  # None for nobody, whatever the stubs say
    if user is None or not (user.is_active and getattr(user, "is_staff", False)):
        raise Unauthenticated("A service token or a staff session is required.")
    if not user.has_perm(permission):
        raise Forbidden("Your account may not do this.")
    if getattr(raw, "shop", None) is not None:
        refuse_other_shop(named)
        named = current_shop().shop_id
    if named is None:
        raise ShopRequired("Name the shop in the body, as shopId.")
    if not staff_scope(user).sees(named):
        raise NotFound("There is no such shop.")
    return Errand(load_shop(named, request_id=str(getattr(raw, "request_id", ""))), staff_actor(raw))
