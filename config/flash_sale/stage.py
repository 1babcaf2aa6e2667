"""The article of a flash sale: put on sale, and taken off again with everything that the crowd left behind.

Orders, their journal and the movements of stock are history and stay; so does the article, inactive and without stock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db import connection
from django.db.models import Max, QuerySet
from django.utils import timezone

from checkout.closing import close_checkout
from checkout.models import CheckoutAttempt
from commerce.models import Cart, Product, ProductText, Variant
from inventory.models import StockMovement, StockRow
from inventory.stock import create_stock_row, recount_stock
from tenants.audit import Actor
from tenants.context import ShopContext, bind_shop, load_shop
from tenants.models import Host, Shop

SKU: Final = "FLASH-SALE"
PRICE: Final = 4900
ACTING: Final = Actor("system", "simulate_flash_sale")
GIVEN_BACK_WITHIN_SECONDS: Final = 60.0
# The upper bits keep it apart from the locks of stock rows (inventory/migrations/0006_placing_holds.py).
LOCK: Final = 101 << 56
EVER: Final = datetime.min.replace(tzinfo=UTC)


class NoStage(Exception):
    """There is nowhere to hold the sale, or it can't be cleared; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The article on sale. `began`, `after_movement`: what is older was there before."""

    shop: ShopContext
    host: str
    stock_row_id: int
    stock: int
    began: datetime
    after_movement: int

    @property
    def page(self) -> str:
        return f"/{self.shop.policy.default_locale}/products/{SKU.lower()}"

    def attempts(self) -> QuerySet[CheckoutAttempt]:
        """Those of this sale, with their orders and holds."""
        mine = CheckoutAttempt.objects.for_shop(self.shop.shop_id).filter(order__lines__sku=SKU)
        return mine.filter(created_at__gte=self.began).select_related("order", "hold").order_by("pk")

    def row(self) -> StockRow:
        return StockRow.objects.for_shop(self.shop.shop_id).get(pk=self.stock_row_id)


@contextmanager
def only_one() -> Iterator[None]:
    """Two sales at once would clear each other's stage. The lock ends with the process. Raises NoStage."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        (free,) = cursor.fetchone()
    if not free:
        raise NoStage("Another flash sale is going on.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def find_shop(shop_id: str | None) -> tuple[ShopContext, str]:
    """The shop named, or the first active one that sells on Stripe's page, and its host. Raises NoStage."""
    shops = Shop.objects.filter(status=Shop.Status.ACTIVE, settings__kind="sale", settings__checkout_ui="hosted_page")
    if shop_id is not None:
        shops = Shop.objects.filter(pk=shop_id, status=Shop.Status.ACTIVE)
    for shop in shops.order_by("pk"):
        hosts = Host.objects.for_shop(shop.pk).filter(role=Host.Role.CANONICAL, mode=Host.Mode.ACTIVE)
        host = hosts.order_by("hostname").values_list("hostname", flat=True).first()
        if host is not None:
            return load_shop(shop.pk), host
    raise NoStage("No active shop with a canonical host sells on the hosted page; name one with --shop.")


def open_stage(shop: ShopContext, host: str, *, stock: int) -> Stage:
    """Puts `stock` units on sale, after clearing what a killed run has left. Raises NoStage."""
    row = StockRow.objects.for_shop(shop.shop_id).filter(sku=SKU).first() or create_stock_row(
        shop_id=shop.shop_id, sku=SKU, variant_key=SKU, on_hand=0, acting=ACTING, note="Flash sale"
    )
    clear(Stage(shop, host, row.pk, stock=0, began=EVER, after_movement=0))
    recount_stock(shop_id=shop.shop_id, stock_row_id=row.pk, counted=stock, note="Flash sale", acting=ACTING)
    last = StockMovement.objects.for_shop(shop.shop_id).aggregate(last=Max("id"))["last"] or 0
    stage = Stage(shop, host, row.pk, stock, timezone.now(), last)
    _offer(shop)
    return stage


def _offer(shop: ShopContext) -> None:
    """The catalog's side: one product with one variant, titled in every locale of the shop."""
    product, _ = Product.objects.update_or_create(
        shop_id=shop.shop_id, sku=SKU, defaults={"slug": SKU.lower(), "position": 9999, "active": True}
    )
    for locale in shop.policy.locales:
        ProductText.objects.get_or_create(
            shop_id=shop.shop_id, product=product, locale=locale, defaults={"title": "Flash sale (simulation)"}
        )
    Variant.objects.update_or_create(
        shop_id=shop.shop_id,
        variant_key=SKU,
        defaults={
            "product": product,
            "sku": SKU,
            "currency": shop.policy.currency,
            "price_amount": PRICE,
            "active": True,
        },
    )


def clear(stage: Stage) -> None:
    """Takes the article off sale, ends open checkouts as the reaper would, and counts the stock down to nothing.

    Raises NoStage when a hold doesn't end, because a payment is on its way or Stripe can't be reached.
    """
    shop = stage.shop
    Product.objects.for_shop(shop.shop_id).filter(sku=SKU).update(active=False)
    over = time.monotonic() + GIVEN_BACK_WITHIN_SECONDS
    while open_ones := list(stage.attempts().exclude(state=CheckoutAttempt.State.CLOSED)):
        if time.monotonic() > over:
            raise NoStage(f"{len(open_ones)} checkouts of {SKU} have not ended; the resolver goes on with them.")
        with bind_shop(shop):
            for attempt in open_ones:
                close_checkout(shop=shop, attempt_id=attempt.pk, reason="Flash sale over", acting=ACTING)
        time.sleep(0.2)
    row = stage.row()
    if row.on_hand:
        recount_stock(shop_id=shop.shop_id, stock_row_id=row.pk, counted=0, note="Flash sale over", acting=ACTING)
    carts = Cart.objects.for_shop(shop.shop_id).filter(created_at__gte=stage.began)
    carts.filter(lines__sku=SKU).delete()
    # Of those who bought: emptied by their order.
    carts.filter(lines=None, pk__in=stage.attempts().values("cart_id")).delete()
