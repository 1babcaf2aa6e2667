"""Queries whose text is kept: the same rows as Django would read, whatever the values."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import transaction
from django.db.models import F, QuerySet

from checkout.locks import attempt_for_update
from commerce.models import Order
from commerce.orders.locks import order_for_update
from tenants.context import load_shop
from tenants.models import ShopSettings
from tenants.postgres.kept import KeptQuery
from tests.fixtures.trade import Trade


def order_of(trade: Trade) -> Order:
    trade.buyer_with_cart().checkout({"email": "ada@example.test"})
    return Order.objects.for_shop(str(trade.shop.pk)).get()


def plain(order: Order) -> dict[str, object]:
    return {field.attname: getattr(order, field.attname) for field in Order._meta.concrete_fields}


def test_rows_are_what_django_reads(trade: Trade) -> None:
    order = order_of(trade)
    Order.objects.filter(pk=order.pk).update(shipping_address={"city": "Bern"})
    order.refresh_from_db()
    for _ in range(2):  # made, then kept
        with transaction.atomic():
            assert plain(order_for_update(shop_id="band", order_id=order.pk)) == plain(order)


def test_another_shops_row_is_not_found(trade: Trade) -> None:
    order = order_of(trade)
    with transaction.atomic():
        with pytest.raises(Order.DoesNotExist):
            order_for_update(shop_id="other", order_id=order.pk)
        with pytest.raises(Order.DoesNotExist):
            order_for_update(shop_id="band", order_id=uuid4())


def test_the_lock_is_a_lock(trade: Trade) -> None:
    attempt = order_of(trade).attempt
    with pytest.raises(transaction.TransactionManagementError):
        KeptQuery(lambda pk: Order.objects.select_for_update().filter(pk=pk), str).rows("nowhere")
    with transaction.atomic():
        assert attempt_for_update(shop_id="band", attempt_id=attempt.pk) == attempt


def test_annotations_and_a_value_that_stands_twice(trade: Trade) -> None:
    def build(shop_id: str) -> QuerySet[ShopSettings]:
        rows = ShopSettings.objects.filter(shop_id=shop_id, shop__id=shop_id, currency="EUR")
        return rows.annotate(shop_name=F("shop__name"))

    query = KeptQuery(build, str)
    assert [vars(row)["shop_name"] for row in query.rows("band")] == [trade.shop.name]
    assert query.rows("nobody") == []
    trade.shop.name = "Another"
    trade.shop.save()
    assert (load_shop("band").name, load_shop("band").open_for_business) == ("Another", True)


def test_rows_of_two_tables_are_refused(trade: Trade) -> None:
    with pytest.raises(TypeError, match="one table"):
        KeptQuery(lambda pk: Order.objects.select_related("shop").filter(pk=pk), str).rows("x")
