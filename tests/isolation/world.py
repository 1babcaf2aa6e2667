"""Two shops with a row of every kind each."""

from __future__ import annotations

from axes.models import AccessAttempt
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.utils import timezone

from inventory.bulk.batches import receive_import_within
from inventory.bulk.rows import Mode
from inventory.bulk.working import work_on
from inventory.models import InventoryRun
from tenants.audit import Actor, record_audit
from tenants.models import Host, Membership
from tenants.staff import SEE_EVERY_SHOP
from tenants.tokens import issue_front_door_token
from tests.factories.commerce import ProductFactory, ProductTextFactory, VariantFactory
from tests.factories.inventory import PoolFactory, PoolRouteFactory, StockRowFactory
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import open_trade
from tests.fixtures.workers import issue
from tests.isolation.business import do_business
from tests.isolation.sides import Side, World
from tests.webhooks.deliver import deliver, event
from webhooks.models import EventCursor


def build(standin: StandIn) -> World:
    """Both shops do the same business, `there` first so that its rows are the older ones."""
    with connection.cursor() as cursor:  # an order's number of six digits is found in random ids by chance
        cursor.execute("SELECT setval('commerce_order_number', 8640213579)")
    there, here = open_side("birch-shop", standin), open_side("alder-shop", standin)
    pool = PoolFactory(id="pool:of-the-platform", name="A pool of the platform")
    pooled = StockRowFactory(owner=pool, sku="POOLED-BY-ALL", on_hand=100)
    for side in (there, here):
        sku = f"{side.shop_id}-pooled"
        PoolRouteFactory(shop=side.trade.shop, sku=sku, stock_row=pooled, allocation_cap=40)
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)
    for side in (there, here):
        do_business(side, standin)
    nobodys = {"id": "cs_test_of_nobody", "object": "checkout.session", "metadata": {}}
    deliver(event("checkout.session.completed", nobodys, event_id="evt_of_nobody"))
    record_audit(
        shop_id=None,
        acting=Actor("system", "nobody-of-theirs"),
        action="platform.secret",
        object_type="x",
        object_id="object-of-nobody",
    )
    PoolFactory(id="pool:nobody-is-routed-to", name="Another pool of the platform")
    for number in (1, 2):  # a list is asked what a second row costs
        InventoryRun.objects.create(
            kind="reap", started_at=timezone.now(), finished_at=timezone.now(), healthy=True,
            report={"expired": 0, "found": 0, "failed": [], "shops": [there.shop_id]},
        )  # fmt: skip
        EventCursor.objects.create(livemode=False, account=f"acct_of_the_platform_{number}", read_until=timezone.now())
        Group.objects.create(name=f"a role of the platform {number}")
        AccessAttempt.objects.create(username=f"somebody-locked-out-{number}", failures_since_start=1)
        issue_front_door_token(
            label=f"edge-of-the-platform-{number}", reason="A test", acting=Actor("staff", "nobody-of-theirs")
        )
    issue(None, label="worker-of-the-platform")
    of_the_pool = receive_import_within(
        shop_id=pool.pk, file_name="file-of-the-platform.csv", mode=Mode.SET, acting=Actor("staff", "nobody-of-theirs"),
        data=b"variant_key,on_hand\nnobody-of-the-platform,1\nPOOLED-BY-ALL,101", reference="to-the-platform",
    )  # fmt: skip
    work_on(shop_id=pool.pk, import_id=of_the_pool.pk)
    return World(here=here, there=there)


def open_side(shop_id: str, standin: StandIn) -> Side:
    """A shop in business with a product of its own, and a member of staff who may do everything, there."""
    trade = open_trade(shop_id)
    own = ProductFactory(shop=trade.shop, sku=f"{shop_id}-SKU", slug=f"{shop_id}-slug")
    ProductTextFactory(product=own, locale="en", title=f"Made by {shop_id}")
    variant = VariantFactory(product=own, price_amount=1700)
    StockRowFactory(owner__shop=trade.shop, sku=own.sku, variant_key=variant.variant_key)
    staff = User.objects.create_user(f"{shop_id}-clerk", f"clerk@{shop_id}.example", "not a secret", is_staff=True)
    app, codename = SEE_EVERY_SHOP.split(".")
    staff.user_permissions.set(Permission.objects.exclude(content_type__app_label=app, codename=codename))
    Membership.objects.create(user=staff, shop=trade.shop)
    return Side(trade=trade, staff=staff, buyer=trade.buyer(), client_key=f"key-of-{shop_id}")
