"""Header, host and body must name the same shop (T6). The front door compares the first two, this the third."""

from __future__ import annotations

from tenants.context import current_shop
from tenants.errors import ShopConflict


def refuse_other_shop(body_shop_id: str | None) -> None:
    """Called by an endpoint whose body may carry `shopId`, with that value; None when it carries none.

    Raises ShopConflict when it isn't the request's shop, whether or not such a shop exists, and ShopRequired when the
    request has none: a body alone, which anybody can write, establishes no shop.
    """
    shop = current_shop()
    if body_shop_id is not None and body_shop_id != shop.shop_id:
        raise ShopConflict("The body names another shop than the request.")
