"""What the tests of imports do again and again: a file goes in, a worker works, somebody confirms."""

from __future__ import annotations

from django.db import transaction

from inventory.bulk.batches import confirm_import, receive_import_within, undo_import
from inventory.bulk.rows import Mode
from inventory.bulk.working import work_on
from inventory.models import StockImport, StockImportRow, StockMovement, StockRow
from tenants.audit import Actor
from tests.factories.commerce import ProductFactory, VariantFactory
from tests.factories.inventory import StockRowFactory
from tests.factories.tenants import ShopFactory

ADA = Actor("staff", "ada")


def shop_with(shop_id="acme", **stock):
    """A shop whose catalog has HB in sizes S, M and L; `stock` are units on hand by size."""
    shop = ShopFactory(id=shop_id)
    product = ProductFactory(shop=shop, sku="HB")
    owner = None
    for size in "SML":
        variant = VariantFactory(product=product, attributes={"size": size})
        assert variant.variant_key == key(size)
        if size in stock:
            more = {"owner": owner} if owner else {"owner__shop": shop}
            owner = StockRowFactory(**more, sku="HB", variant_key=key(size), on_hand=stock[size]).owner
    return shop


def key(size):
    return f"HB#size:{size}"


def csv_of(*rows, header="variant_key,on_hand,low_stock_threshold"):
    return "\n".join([header, *rows]).encode()


def receive(data, shop_id="acme", mode=Mode.SET, name="stock.csv", **options):
    with transaction.atomic():
        return receive_import_within(
            shop_id=shop_id, file_name=name, data=data, mode=mode, acting=ADA, **options
        )  # fmt: skip


def work(batch):
    assert work_on(shop_id=batch.owner_id, import_id=batch.pk)
    batch.refresh_from_db()
    return batch


def read(data, *args, **options):
    """A file that has been read."""
    return work(receive(data, *args, **options))


def confirm(batch, reason="Stocktaking"):
    confirm_import(shop_id=batch.owner_id, import_id=batch.pk, reason=reason, acting=ADA)
    return work(batch)


def undo(batch, reason="Wrong file"):
    undo_import(shop_id=batch.owner_id, import_id=batch.pk, reason=reason, acting=ADA)
    return work(batch)


def rows_of(batch, *fields):
    names = fields or ("line", "state", "code")
    rows = StockImportRow.objects.for_shop(batch.owner_id).filter(batch_id=batch.pk).order_by("position")
    return list(rows.values_list(*names))


def on_hand(shop_id="acme"):
    return dict(StockRow.objects.filter(owner_id=shop_id).values_list("variant_key", "on_hand"))


def moved(batch):
    """What the import's movements say: (variant, delta, reason), oldest first."""
    movements = StockMovement.objects.filter(owner_id=batch.owner_id, reference=batch.movement_reference)
    return list(movements.order_by("pk").values_list("stock_row__variant_key", "delta", "reason"))


def state_of(batch):
    return StockImport.objects.get(pk=batch.pk).status
