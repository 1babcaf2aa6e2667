"""Stock to test with. Holds are placed by the verb that places them."""

from __future__ import annotations

import factory
from django.utils import timezone

from inventory.models import StockMovement, StockOwner, StockRow
from tests.factories.tenants import ShopFactory


class StockOwnerFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = StockOwner
        django_get_or_create = ("id",)

    shop = factory.SubFactory(ShopFactory)
    id = factory.SelfAttribute("shop.id")


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
