"""A shop is established or it isn't; nothing is assumed."""

from __future__ import annotations

from decimal import Decimal

import pytest
import structlog
from django.http import HttpRequest
from pytest_django import Settings

from tenants.api.inputs import convert_input
from tenants.audit import Actor, record_audit
from tenants.context import bind_shop, current_shop, load_shop, shop_context, shop_of
from tenants.errors import InvalidRequest, ShopRequired
from tenants.models import AuditEntry, Shop, ShopSettings
from tenants.ownership import StripeScope, owner_of, record_ownership
from tests.factories.tenants import ShopFactory

pytestmark = pytest.mark.django_db


def test_without_a_shop_there_is_none():
    with pytest.raises(ShopRequired):
        current_shop()
    with pytest.raises(ShopRequired):
        shop_of(HttpRequest())
    with pytest.raises(ShopRequired, match="nowhere"):
        load_shop("nowhere")
    Shop.objects.create(id="bare", name="Without settings")
    with pytest.raises(ShopRequired):
        load_shop("bare")


def test_a_bound_shop_is_current_for_the_block_and_in_every_line():
    ShopFactory(id="acme")
    other = ShopFactory(id="other")
    with bind_shop(load_shop("acme")):
        with bind_shop(load_shop("acme")):
            assert current_shop().shop_id == "acme"
        assert current_shop().shop_id == "acme"
        assert structlog.contextvars.get_contextvars()["shop_id"] == "acme"
        with pytest.raises(RuntimeError, match="other"):
            bind_shop(shop_context(other, request_id="", host="", canonical_host="")).__enter__()
        assert current_shop().shop_id == "acme"
    with pytest.raises(ShopRequired):
        current_shop()


def test_a_closed_shop_still_loads_because_its_money_still_settles():
    ShopFactory(id="closed", status=Shop.Status.CLOSED)
    assert load_shop("closed").open_for_business is False


def test_settings_come_from_the_shop_then_the_environment(settings: Settings):
    settings.INVENTORY_HOLD_TTL_SECONDS = 900
    settings.CHECKOUT_REPRICE_DRIFT_ABS = Decimal("0.25")
    ShopFactory(id="acme")
    policy = load_shop("acme").policy
    assert (policy.hold_ttl_seconds, policy.drift_abs, policy.locales) == (900, Decimal("0.25"), ("en", "de"))
    ShopSettings.objects.update(hold_ttl_seconds=600, reprice_drift_abs=Decimal(0), locales=[])
    policy = load_shop("acme").policy
    assert (policy.hold_ttl_seconds, policy.drift_abs, policy.locales) == (600, Decimal(0), ("en",))


def test_ownership_is_never_overwritten_and_tells_contradictions():
    ShopFactory(id="acme")
    ShopFactory(id="other")
    scope = StripeScope(livemode=False, account="acct_1")
    objects = [("checkout.session", "cs_1"), ("payment_intent", "pi_1"), ("charge", "")]
    record_ownership(scope=scope, shop_id="acme", objects=objects, source="checkout")
    seen = [("payment_intent", "pi_1"), ("charge", "ch_2")]
    record_ownership(scope=scope, shop_id="other", objects=seen, source="event")
    assert owner_of(scope=scope, object_ids=["cs_1", "pi_1", ""]) == {"acme"}
    assert owner_of(scope=scope, object_ids=["pi_1", "ch_2"]) == {"acme", "other"}
    assert owner_of(scope=scope, object_ids=["cs_9"]) == set()
    assert owner_of(scope=StripeScope(livemode=True, account="acct_1"), object_ids=["cs_1"]) == set()


def test_an_audit_entry_knows_its_request():
    ShopFactory(id="acme")
    with structlog.contextvars.bound_contextvars(request_id="given-0001"):
        record_audit(
            shop_id="acme", acting=Actor("staff", "ann"), action="a.b", object_type="t", object_id=7, data={"n": 1}
        )
    entry = AuditEntry.objects.get()
    assert (entry.shop_id, entry.actor_kind, entry.actor_name, entry.object_id, entry.request_id, entry.data) == (
        "acme",
        "staff",
        "ann",
        "7",
        "given-0001",
        {"n": 1},
    )


@pytest.mark.parametrize(
    ("data", "field"), [({"a": "1"}, "a"), ({"a": 1, "b": 2}, "body"), ({}, "body"), ([], "body"), ({"a": True}, "a")]
)
def test_input_is_read_strictly(data: object, field: str):
    import msgspec

    class Wanted(msgspec.Struct, forbid_unknown_fields=True):
        a: int

    with pytest.raises(InvalidRequest) as refused:
        convert_input(data, Wanted)
    assert list(refused.value.fields) == [field]
