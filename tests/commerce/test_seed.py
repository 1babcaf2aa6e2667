"""The demonstration data: twice the same, nowhere but at home."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.db.models import F

from commerce.demo.assortment import DEMO_SHOPS
from commerce.models import Product, ProductText, Variant
from inventory.models import StockMovement, StockRow
from tenants.audit import Actor
from tenants.models import Host, ServiceToken, Shop, ShopSettings
from tenants.service_tokens import revoke_service_token, rotate_service_token
from tenants.staff import EVERY_SHOP, staff_scope
from tests.fixtures.workers import Worker

pytestmark = pytest.mark.django_db
# Written out: whoever configured a client with them finds them again after every start.
TOKENS = {
    "cochlearfit": "hfs_7acf45ab859cb1d4_es9Fq4WcsdSS7tmVtYnimWUmCui8KcwhujItbEVs2NE",
    "cover-me-pretty": "hfs_09ad9aa16ed04f3d_Ca2aoW7QTz20kiYATBu-HGphr5E5QPPChCt2n8BLnQc",
}


def seed(*arguments):
    out = StringIO()
    call_command("seed_demo", *arguments, stdout=out)
    return out.getvalue()


def test_two_shops_with_all_they_need(tmp_path):
    target = tmp_path / "seed.json"
    seed("--json", str(target))
    assert json.loads(target.read_text()) == {
        "shops": ["cochlearfit", "cover-me-pretty"],
        "staff": [
            {"user": "admin", "password": "holdfast-demo", "role": "owner"},
            {"user": "cochlearfit-staff", "password": "holdfast-demo", "role": "clerk", "shop": "cochlearfit"},
            {"user": "cover-me-pretty-staff", "password": "holdfast-demo", "role": "clerk", "shop": "cover-me-pretty"},
        ],
        "serviceTokens": [
            {"shop": shop, "scopes": sorted(ServiceToken.Scope.values), "token": token}
            for shop, token in TOKENS.items()
        ],
    }
    assert set(Host.objects.values_list("hostname", "role", "shop")) == {
        ("cochlearfit.localhost", "canonical", "cochlearfit"),
        ("cover-me-pretty.localhost", "canonical", "cover-me-pretty"),
        ("hooks.localhost", "hooks", None),
        ("localhost", "platform", None),
        ("127.0.0.1", "platform", None),
    }
    assert set(ShopSettings.objects.values_list("shop", "kind", "currency", "checkout_ui")) == {
        ("cochlearfit", "sale", "EUR", "hosted_page"),
        ("cover-me-pretty", "rental", "USD", "elements"),
    }
    for shop in Shop.objects.all():
        variants = Variant.objects.for_shop(shop.pk)
        assert variants.exists()
        assert not variants.exclude(currency=shop.settings.currency).exists()
        assert variants.filter(deposit_amount__gt=0).exists() == (shop.settings.kind == "rental")
        rows = StockRow.objects.filter(owner_id=shop.pk)
        assert set(rows.values_list("variant_key", flat=True)) == set(variants.values_list("variant_key", flat=True))
    assert ProductText.objects.count() == 2 * Product.objects.count()


def test_stock_is_explained_by_movements():
    seed()
    for row in StockRow.objects.all():
        assert sum(StockMovement.objects.filter(stock_row=row).values_list("delta", flat=True)) == row.on_hand
    assert StockRow.objects.filter(on_hand=0).exists()


def test_a_second_run_adds_and_changes_nothing():
    assert "Rows added: 0" not in seed()
    Variant.objects.update(price_amount=F("price_amount") + 1)
    Shop.objects.filter(pk="cochlearfit").update(name="Renamed")
    admin = User.objects.get(username="admin")
    admin.set_password("chosen-since-then")
    admin.save()
    before = (list(Variant.objects.order_by("pk").values()), StockMovement.objects.count())
    assert "Rows added: 0" in seed()
    assert (list(Variant.objects.order_by("pk").values()), StockMovement.objects.count()) == before
    assert Shop.objects.get(pk="cochlearfit").name == "Renamed"
    assert User.objects.get(username="admin").check_password("chosen-since-then")


def test_a_run_that_was_cut_short_is_completed():
    seed()
    Variant.objects.filter(sku="SAFETY-CLIP").delete()
    ProductText.objects.filter(locale="de").delete()
    assert f"Rows added: {1 + sum(len(shop.products) for shop in DEMO_SHOPS)}" in seed()


def test_staff_may_look_and_the_owner_may_all():
    seed()
    admin, clerk = (User.objects.get(username=name) for name in ("admin", "cochlearfit-staff"))
    assert admin.check_password("holdfast-demo") and clerk.check_password("holdfast-demo")
    assert admin.is_superuser and admin.is_staff
    assert clerk.is_staff and not clerk.is_superuser
    assert clerk.has_perm("commerce.view_order") and clerk.has_perm("inventory.view_stockrow")
    assert clerk.has_perm("commerce.change_order") and clerk.has_perm("inventory.change_stockrow")
    assert not clerk.has_perm("commerce.change_variant") and not clerk.has_perm("auth.view_user")
    assert staff_scope(clerk).shop_ids == {"cochlearfit"}
    assert staff_scope(admin).is_platform


def test_a_role_that_is_there_gets_what_it_lacks_and_keeps_what_it_was_given():
    seed()
    owners = Group.objects.get(name="shop owner")
    lacking = Permission.objects.filter(codename__endswith="_shippingoption")
    given = Permission.objects.get(codename="view_user")
    owners.permissions.remove(*lacking)
    owners.permissions.add(given)
    assert "Rows added: 0" in seed()
    held = set(owners.permissions.values_list("codename", flat=True))
    assert {"add_shippingoption", "change_shippingoption", "view_shippingoption", "view_user"} <= held
    assert "delete_shippingoption" not in held


def test_the_tokens_open_their_own_shop_alone():
    seed()
    for shop, token in TOKENS.items():
        assert Worker(token).get("health").json()["shopId"] == shop
    stranger = Worker(TOKENS["cochlearfit"], host="cover-me-pretty.localhost")
    assert stranger.get("health").status_code == 403


def test_tokens_that_ended_stay_ended_and_are_not_offered(tmp_path):
    seed()
    first, second = (token.split("_")[1] for token in TOKENS.values())
    by = {"scope": EVERY_SHOP, "reason": "A test", "acting": Actor("staff", "olga")}
    revoke_service_token(token_id=first, **by)
    rotate_service_token(token_id=second, overlap_hours=0, **by)
    target = tmp_path / "seed.json"
    assert "Rows added: 0" in seed("--json", str(target))
    assert json.loads(target.read_text())["serviceTokens"] == []
    assert ServiceToken.objects.get(pk=first).revoked_at is not None


@pytest.mark.parametrize("environment", ["production", "staging", ""])
def test_refused_elsewhere(settings, environment):
    settings.ENVIRONMENT = environment
    with pytest.raises(CommandError):
        seed()
    assert not Shop.objects.exists() and not User.objects.exists()
