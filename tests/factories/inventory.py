"""Stock to test with. Holds are placed by the verb that places them."""

from __future__ import annotations

import factory
from django.utils import timezone

from inventory.models import PoolRoute, StockMovement, StockOwner, StockRow
from tests.factories.tenants import ShopFactory


class StockOwnerFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = StockOwner
        django_get_or_create = ("id",)

    shop = factory.SubFactory(ShopFactory)
    id = factory.SelfAttribute("shop.id")


class PoolFactory(StockOwnerFactory):
    """A stock owner without a shop."""

    shop = None
    id = factory.Sequence(lambda n: f"pool:pool-{n}")
    name = factory.LazyAttribute(lambda pool: pool.id.removeprefix("pool:").title())


class StockRowFactory(factory.django.DjangoModelFactory):
    """Ten units of a SKU without attributes, explained by their opening movement. `owner__shop=` names the shop."""

    class Meta:
        model = StockRow
        skip_postgeneration_save = True

    owner = factory.SubFactory(StockOwnerFactory)
    sku = factory.Sequence(lambda n: f"SKU-{n}")
    variant_key = factory.SelfAttribute("sku")
    on_hand = 10

    @factory.post_generation
    def opening(row, create, extracted, **kwargs):
        if create and row.on_hand:
            StockMovement.objects.create(
                owner_id=row.owner_id,
                stock_row=row,
                delta=row.on_hand,
                on_hand_after=row.on_hand,
                reason=StockMovement.Reason.OPENING,
                actor="system:factory",
                at=timezone.now(),
            )


class PoolRouteFactory(factory.django.DjangoModelFactory):
    """A new shop sells a variant of its own from a new pool's row of ten units. `stock_row=` names another row."""

    class Meta:
        model = PoolRoute

    shop = factory.SubFactory(ShopFactory)
    sku = factory.Sequence(lambda n: f"OWN-{n}")
    variant_key = factory.SelfAttribute("sku")
    stock_row = factory.SubFactory(StockRowFactory, owner=factory.SubFactory(PoolFactory))
    pool = factory.SelfAttribute("stock_row.owner")
