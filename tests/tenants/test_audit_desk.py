"""The audit trail in one place: by area, with a way to what each entry is about."""

from __future__ import annotations

import pytest

from tenants.audit import Actor, record_audit
from tenants.audit_desk import AREAS, OBJECTS
from tenants.models import AuditEntry, Shop
from tests.commerce.backoffice import desk, found, html
from tests.factories.tenants import ShopFactory

pytestmark = pytest.mark.django_db
ORDER = "0198f0a0-0000-7000-8000-000000000001"


def record(object_type: str, object_id: object) -> AuditEntry:
    record_audit(
        shop_id="acme",
        acting=Actor("staff", "olga"),
        action=f"{object_type}.changed",
        object_type=object_type,
        object_id=object_id,
        reason="A test",
    )
    return AuditEntry.objects.latest("pk")


@pytest.fixture
def acme() -> Shop:
    shop: Shop = ShopFactory(id="acme")
    return shop


def test_each_area_is_found_by_itself(acme: Shop) -> None:
    entries = {"money": record("order", ORDER), "stock": record("stock_row", 5), "tenancy": record("shop", "acme")}
    other = record("something_new", "x")
    office = desk()
    for area, entry in entries.items():
        assert found(office.list(AuditEntry, area=area)) == {str(entry.pk)}
    everything = {str(entry.pk) for entry in (*entries.values(), other)}
    assert found(office.list(AuditEntry)) == found(office.list(AuditEntry, area="nonsense")) == everything


def test_an_entry_leads_to_what_it_is_about(acme: Shop) -> None:
    record("order", ORDER)
    record("shop", "acme")
    page = html(desk().list(AuditEntry))
    assert f'href="/admin/commerce/order/{ORDER}/change/"' in page
    assert 'href="/admin/tenants/shop/acme/change/"' in page


@pytest.mark.parametrize(
    ("kind", "object_id"),
    [("order", "no uuid"), ("stock_row", "x"), ("login", "olga"), ("unheard_of", "<b>"), ("stock_row", "")],
)
def test_what_has_no_page_is_words(acme: Shop, kind: str, object_id: str) -> None:
    record(kind, object_id)
    page = html(desk().list(AuditEntry))
    assert "<b></td>" not in page
    assert f"{kind} " in page


def test_every_area_has_a_name() -> None:
    assert {area for area, _ in OBJECTS.values()} == AREAS.keys()
