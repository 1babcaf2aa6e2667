"""What the database refuses, whoever writes."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tenants.audit import Actor, record_audit
from tenants.models import AuditEntry, Host, Shop, ShopSettings, StripeObject
from tests.factories.tenants import HostFactory, ShopFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry() -> AuditEntry:
    record_audit(
        shop_id=None, acting=Actor("system", "test"), action="a.b", object_type="t", object_id=1, reason="because"
    )
    return AuditEntry.objects.get()


def refuses(statement: str) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_audit_trail_only_grows(entry: AuditEntry):
    refuses("UPDATE tenants_auditentry SET reason = 'another'")
    refuses("DELETE FROM tenants_auditentry")
    entry.refresh_from_db()
    assert entry.reason == "because"


def test_the_audit_trail_can_not_be_emptied():
    refuses("TRUNCATE tenants_auditentry")


@pytest.mark.parametrize("shop_id", ["UPPER", "-dash", "dash-", "dot.ted", "spa ce", "ünicode", "", "a/b"])
def test_a_shops_id_fits_host_names_labels_and_metadata(shop_id: str):
    with pytest.raises(IntegrityError, match="shop_id_well_formed"):
        Shop.objects.create(id=shop_id, name="x")


def test_a_shop_is_active_or_closed():
    with pytest.raises(IntegrityError, match="shop_status_known"):
        Shop.objects.create(id="x", name="x", status="paused")


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"currency": "eur"}, "shop_currency_upper"),
        ({"currency": "EU"}, "shop_currency_upper"),
        ({"hold_ttl_seconds": 59}, "shop_hold_ttl_bounds"),
        ({"hold_ttl_seconds": 3601}, "shop_hold_ttl_bounds"),
    ],
)
def test_settings_stay_within_bounds(changes: dict[str, object], constraint: str):
    ShopFactory()
    with pytest.raises(IntegrityError, match=constraint):
        ShopSettings.objects.update(**changes)


def test_a_host_has_a_shop_exactly_when_its_role_is_a_shops():
    shop = ShopFactory()
    for role, owner in ((Host.Role.CANONICAL, None), (Host.Role.HOOKS, shop), (Host.Role.PLATFORM, shop)):
        with pytest.raises(IntegrityError, match="host_shop_matches_role"), transaction.atomic():
            HostFactory(shop=owner, role=role, hostname="x.localhost")
    with pytest.raises(IntegrityError, match="host_mode_known"), transaction.atomic():
        HostFactory(shop=shop, mode="paused")


def test_one_shop_per_host_name_and_one_canonical_host_per_shop():
    host = HostFactory()
    with pytest.raises(IntegrityError, match="hostname"), transaction.atomic():
        HostFactory(hostname=host.hostname)
    with pytest.raises(IntegrityError, match="host_one_canonical_per_shop"), transaction.atomic():
        HostFactory(shop=host.shop, hostname="second.localhost")
    HostFactory(shop=host.shop, hostname="second.localhost", role=Host.Role.ALIAS)


def test_a_stripe_object_has_one_shop_per_account_and_mode():
    shop, other = ShopFactory(), ShopFactory()
    known = {"livemode": False, "account": "acct_1", "object_id": "pi_1", "kind": "payment_intent", "source": "event"}
    StripeObject.objects.create(shop=shop, **known)
    StripeObject.objects.create(shop=other, **known | {"account": "acct_2"})
    StripeObject.objects.create(shop=other, **known | {"livemode": True})
    with pytest.raises(IntegrityError, match="stripe_object_one_shop"):
        StripeObject.objects.create(shop=other, **known)


def test_a_shop_with_history_can_not_be_deleted():
    host = HostFactory()
    AuditEntry.objects.create(
        shop=host.shop, at=timezone.now(), actor_kind="s", actor_name="x", action="a", object_type="t", object_id="1"
    )
    with pytest.raises(IntegrityError):
        host.shop.delete()
