"""Pools and routes in the back office: opened, routed, capped and ended, each with a reason; members only look."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from inventory.models import Pool, PoolRoute, StockRow
from inventory.routes import add_routes, parse_routes, resume_route
from tenants.audit import Actor
from tenants.errors import InvalidRequest, WrongState
from tenants.models import AuditEntry, Membership
from tests.commerce.backoffice import TOKEN
from tests.factories.inventory import PoolFactory, PoolRouteFactory, StockRowFactory
from tests.factories.tenants import ShopFactory
from tests.inventory.steps import STAFF
from tests.inventory.test_pools import allocation, through

# Actions own their transactions.
pytestmark = pytest.mark.django_db(transaction=True)
ROUTES = "/admin/inventory/poolroute/"


@pytest.fixture
def owner():
    client = Client(headers={"Host": "localhost"})
    client.force_login(User.objects.create_superuser("owner", "", "x"))
    return client


def member_of(shop):
    user = User.objects.create_user("clerk", "", "x", is_staff=True)
    user.user_permissions.set(Permission.objects.exclude(codename="see_every_shop"))
    Membership.objects.create(user=user, shop=shop)
    client = Client(headers={"Host": "localhost"})
    client.force_login(user)
    return client


def act(client, row, name, **fields):
    """Asks, confirms, and answers what became of the row."""
    label = f"inventory_{row._meta.model_name}"
    page = client.get(reverse(f"admin:{label}_change", args=[row.pk]), follow=True).content.decode()
    asked_at = next(url for url in re.findall(r'href="([^"]+)"', page) if url.rstrip("/").endswith(f"act-{name}"))
    asked = client.get(asked_at)
    found = TOKEN.search(asked.content.decode())
    assert found, asked.status_code
    done = client.post(
        reverse(f"admin:{label}_act", args=[name]), {"token": found.group(1), "reason": "Because", **fields}
    )
    assert done.status_code == 302, done.content
    (line,) = client.get(done["Location"]).context["lines"]
    return line.text, line.tone


def actions():
    return list(AuditEntry.objects.order_by("pk").values_list("action", "shop_id", "actor_name", "reason"))


def test_from_nothing_to_a_sale_through_a_route(owner):
    shop = ShopFactory()
    new = {"short_name": "central", "name": "Central", "reason": "One warehouse"}
    assert owner.post("/admin/inventory/pool/add/", new).status_code == 302
    stock = {"pool": "pool:central", "sku": "A", "variant": "size:M", "on_hand": 7, "low_stock_threshold": 0}
    assert owner.post("/admin/inventory/stockrow/add/", stock | {"reason": "Moved in"}).status_code == 302
    row = StockRow.objects.get(owner="pool:central")
    led = {"shop": shop.pk, "sku": "OWN", "variant": "", "stock_row": row.pk, "allocation_cap": 5, "reason": "Agreed"}
    assert owner.post(f"{ROUTES}add/", led).status_code == 302
    route = PoolRoute.objects.get()
    through(route, 3)
    assert allocation(route) == [(3, 0)]
    assert [entry for entry in actions() if not entry[0].startswith("hold")] == [
        ("pool.created", None, "owner", "One warehouse"),
        ("stock.opened", None, "owner", "Moved in"),
        ("route.added", shop.pk, "owner", "Agreed"),
    ]
    page = owner.get(ROUTES).content.decode()
    assert "pool:central" in page


@pytest.mark.parametrize("bad", ["Central", "a b", "", "pool:x", "-x"])
def test_a_pools_name_is_well_formed_and_new(owner, bad):
    PoolFactory(id="pool:taken")
    for name in (bad, "taken"):
        answer = owner.post("/admin/inventory/pool/add/", {"short_name": name, "name": "", "reason": "Because"})
        assert answer.status_code == 200
    assert Pool.objects.count() == 1


def test_stock_is_opened_for_a_shop_or_a_pool_and_never_for_both(owner):
    pool, shop = PoolFactory(), ShopFactory()
    data = {"sku": "A", "variant": "", "on_hand": 1, "low_stock_threshold": 0, "reason": "Because"}
    for owners in ({}, {"shop": shop.pk, "pool": pool.pk}):
        assert b"one of the two" in owner.post("/admin/inventory/stockrow/add/", data | owners).content
    assert not StockRow.objects.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"variant": "size"}, "size"),
        ({"stock_row": "own"}, "Select a valid choice"),
        ({"reason": ""}, "required"),
        ({"allocation_cap": -1}, "greater than or equal"),
        ({"shop": "nobody"}, "Select a valid choice"),
    ],
)
def test_a_route_that_can_not_be_is_refused_on_the_page(owner, change, said):
    row, shop = StockRowFactory(owner=PoolFactory()), ShopFactory()
    own = StockRowFactory()
    data = {"shop": shop.pk, "sku": "A", "variant": "", "stock_row": row.pk, "allocation_cap": "", "reason": "Because"}
    sent = data | {key: own.pk if value == "own" else value for key, value in change.items()}
    answer = owner.post(f"{ROUTES}add/", sent)
    assert (answer.status_code, said in answer.content.decode()) == (200, True)
    assert not PoolRoute.objects.exists()


def test_allocations_are_set_renewed_and_routes_end_and_resume(owner):
    route = PoolRouteFactory()
    through(route, 3)
    assert act(owner, route, "allocate", cap=2) == (
        "3 units are held and 0 sold: the cap can't be below 3.", "warn",
    )  # fmt: skip
    assert act(owner, route, "allocate", cap=3) == ("At most 3.", "good")
    assert act(owner, route, "allocate", cap="") == ("No cap.", "good")
    PoolRoute.objects.update(held=0, sold=3)
    assert act(owner, route, "renew") == ("The allocation begins anew.", "good")
    assert allocation(route) == [(0, 0)]
    assert act(owner, route, "end") == ("Ended.", "good")
    assert act(owner, route, "end") == ("The route has ended.", "warn")
    assert act(owner, route, "resume") == ("It runs again.", "good")
    assert act(owner, route, "end")[1] == "good"
    PoolRouteFactory(shop=route.shop, sku=route.sku)
    assert act(owner, route, "resume") == ("Its variant or its row has another route by now.", "warn")
    changed = [entry[0] for entry in actions() if entry[0].startswith("route.")]
    assert changed == [
        "route.allocation_set", "route.allocation_set", "route.allocation_renewed", "route.ended", "route.resumed",
        "route.ended",
    ]  # fmt: skip


def test_a_pool_is_turned_off_and_on(owner):
    pool = Pool.objects.get(pk=PoolFactory(id="pool:x").pk)
    assert act(owner, pool, "disable") == ("The pool is off.", "good")
    assert act(owner, pool, "disable") == ("It is off already.", "warn")
    assert act(owner, pool, "enable") == ("The pool is on.", "good")
    assert [entry[0] for entry in actions()] == ["pool.disabled", "pool.enabled"]


def test_members_see_their_routes_and_change_none():
    mine, theirs = PoolRouteFactory(allocation_cap=5), PoolRouteFactory(sku="THEIRS-ALONE")
    clerk = member_of(mine.shop)
    page = clerk.get(ROUTES).content.decode()
    assert (mine.variant_key in page, "THEIRS-ALONE" in page, "Add many" in page) == (True, False, False)
    own = clerk.get(f"{ROUTES}{mine.pk}/change/").content.decode()
    assert ("Set allocation" in own, "End route" in own) == (False, False)
    assert clerk.get(f"{ROUTES}{theirs.pk}/change/").status_code in {302, 404}
    for url in (f"{ROUTES}add/", f"{ROUTES}bulk/", f"{ROUTES}{mine.pk}/act-allocate/", "/admin/inventory/pool/"):
        assert clerk.get(url).status_code == 403, url


# ---------------------------------------------------------------- many at once
def bulk(client, lines, **more):
    return client.post(f"{ROUTES}bulk/", {"lines": lines, "reason": "Spring", **more})


def test_many_routes_are_checked_then_added(owner):
    pool, _, _ = PoolFactory(id="pool:central"), ShopFactory(id="one"), ShopFactory(id="two")
    for key in ("A", "B#size:M"):
        StockRowFactory(owner=pool, sku=key.partition("#")[0], variant_key=key)
    lines = "# shop, SKU, …\n\none, A, , central\none, B, size:M, pool:central, , 5\ntwo, X, , central, A, 0\n"
    asked = bulk(owner, lines)
    assert (asked.context["shops"], PoolRoute.objects.count()) == ([("one", 2), ("two", 1)], 0)
    assert bulk(owner, lines, add="").status_code == 302
    assert list(PoolRoute.objects.order_by("pk").values_list("shop_id", "variant_key", "allocation_cap")) == [
        ("one", "A", None), ("one", "B#size:M", 5), ("two", "X", 0),
    ]  # fmt: skip
    assert [entry[0] for entry in actions()] == ["route.added"] * 3
    again = bulk(owner, lines, add="").content.decode()
    assert "Line 3: A has a route already." in again


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("one, A", "Four to six parts"),
        ("one, A, , central, , 5, 6", "Four to six parts"),
        ("nobody, A, , central", "There is no shop nobody."),
        ("one, A, , elsewhere", "pool:elsewhere has no row of A."),
        ("one, A, , one", "pool:one has no row of A."),
        ("one, A, , central, C", "pool:central has no row of C."),
        ("one, A, size, central, A", "An attribute is written"),
        ("one, , , central", "A SKU has 1 to"),
        ("one, A, , central, , many", "A cap is a whole number"),
        ("one, A, , central, , -1", "A cap is a whole number"),
        ("one, A, , central, , 9999999999", "A cap is a whole number from 0"),
        ("one, A, , central\none, A, , central", "A has a route already."),
        ("one, A, , central\none, B, , central, A", "one row, one route"),
        ("one, A\0, , central", "A SKU has 1 to"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_added(line, why):
    ShopFactory(id="one")
    StockRowFactory(owner=PoolFactory(id="pool:central"), sku="A")
    _, faults = parse_routes(line)
    (told,) = faults.values()
    assert why in told
    assert list(faults) == [len(line.splitlines())]


def test_a_bad_bulk_adds_nothing(owner):
    ShopFactory(id="one")
    StockRowFactory(owner=PoolFactory(id="pool:central"), sku="A")
    for lines in ("one, A, , central\nnonsense", "", "# nothing", "one, A, , central\n" * 1001):
        assert bulk(owner, lines, add="").status_code == 200
    assert not PoolRoute.objects.exists()


def test_verbs_refuse_what_the_pages_refuse():
    route = PoolRouteFactory()
    with pytest.raises(WrongState):
        resume_route(shop_id=route.shop_id, route_id=route.pk, note="", acting=STAFF)
    new, faults = parse_routes(f"{route.shop_id}, {route.sku}, , {route.pool_id}, {route.stock_row.variant_key}")
    assert faults == {1: f"{route.variant_key} has a route already."}
    with pytest.raises(InvalidRequest):
        add_routes(routes=new, note="", acting=Actor("staff", "ada"))
