"""A shop with its host, and a client that visits it."""

from __future__ import annotations

import pytest
from django.test import Client

from inventory.models import StockOwner, StockRow
from tenants.hosts import host_map
from tenants.models import Host
from tests.factories.tenants import ShopFactory


def visitor(shop, **headers):
    """A browser on the shop's own host, with no cookies yet."""
    return Client(headers={"Host": f"{shop.pk}.localhost", **headers})


@pytest.fixture
def open_shop(db):
    """Makes a shop with a host: `open_shop(settings__kind="rental")`."""

    def make(**more):
        shop = ShopFactory(**more)
        Host.objects.create(hostname=f"{shop.pk}.localhost", role=Host.Role.CANONICAL, shop=shop)
        host_map.forget()
        return shop

    yield make
    host_map.forget()


@pytest.fixture
def stock():
    """Gives variants units on hand, without movements: nothing here asks where they came from."""

    def give(*variants, on_hand=10, threshold=0):
        for variant in variants:
            StockOwner.objects.get_or_create(pk=variant.shop_id, defaults={"shop_id": variant.shop_id})
            StockRow.objects.create(
                owner_id=variant.shop_id,
                sku=variant.sku,
                variant_key=variant.variant_key,
                on_hand=on_hand,
                low_stock_threshold=threshold,
            )

    return give
