"""Shipping options in the back office: prices in major units, checked, every change with its reason kept."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.http import HttpResponse

from commerce.models import ShippingOption
from tenants.models import AuditEntry
from tests.commerce.backoffice import Desk, address, desk, filled, text
from tests.factories.commerce import ShippingOptionFactory
from tests.fixtures.sampling import some
from tests.fixtures.trade import Trade

TYPED = {
    "names_typed": "en: Parcel\nde: Paket", "price": "4.90", "free_from": "50", "countries_typed": "at, DE de",
    "days_min": "2", "days_max": "4", "active": "on", "position": "1", "reason_for_change": "We ship now",
}  # fmt: skip


def add(owner: Desk, **changes: str) -> HttpResponse:
    sent = filled(owner.client.get(address(ShippingOption, "add"))) | {"shop": "band"} | TYPED | changes
    return owner.client.post(address(ShippingOption, "add"), sent)


def test_an_option_is_added_and_audited(trade: Trade) -> None:
    answer = add(desk())
    assert answer.status_code == 302, text(answer)
    option = ShippingOption.objects.get()
    assert (option.shop_id, option.names, option.amount, option.currency, option.free_from_amount) == (
        "band", {"en": "Parcel", "de": "Paket"}, 490, "EUR", 5000,
    )  # fmt: skip
    assert (option.countries, option.days_min, option.days_max, option.active) == (["AT", "DE"], 2, 4, True)
    entry = AuditEntry.objects.get()
    assert (entry.shop_id, entry.action, entry.object_id, entry.reason) == (
        "band", "shipping_option.added", str(option.pk), "We ship now",
    )  # fmt: skip


def test_a_price_is_changed_with_a_reason_and_the_list_shows_it(trade: Trade) -> None:
    option, owner = ShippingOptionFactory(shop=trade.shop), desk()
    sent = filled(owner.page(option)) | {"price": "5.50"}
    assert owner.client.post(address(ShippingOption, "change", option.pk), sent).status_code == 200
    sent["reason_for_change"] = "Dearer"
    assert owner.client.post(address(ShippingOption, "change", option.pk), sent).status_code == 302
    option.refresh_from_db()
    assert (option.amount, option.countries, option.names) == (550, ["AT", "DE"], {"en": "Standard"})
    assert AuditEntry.objects.get().data["changes"]["price"] == ["4.90", "5.50"]
    shown = text(owner.list(ShippingOption))
    assert "Standard" in shown and "€5.50" in shown and "AT, DE" in shown


@pytest.mark.parametrize(
    ("field", "typed"),
    some([
        ("price", ""), ("price", "-1"), ("price", "4.905"), ("price", "4,90"), ("price", "free"),
        ("free_from", "1e3"), ("free_from", "-1"), ("countries_typed", "DE XX"), ("countries_typed", "Germany"),
        ("names_typed", ""), ("names_typed", "Parcel"), ("names_typed", "fr: Colis"), ("names_typed", "en: A\nen: B"),
        ("names_typed", "en: " + "x" * 101), ("days_max", ""), ("days_max", "1"), ("days_max", "99999"),
        ("days_min", "0"), ("reason_for_change", ""), ("shop", "nobody"), ("shop", ""),
    ], 8),
)  # fmt: skip
def test_what_makes_no_option_is_refused(trade: Trade, field: str, typed: str) -> None:
    answer = add(desk(), **{field: typed})
    assert answer.status_code == 200
    where = "days_max" if field == "days_min" else field
    assert where in answer.context["adminform"].form.errors
    assert (ShippingOption.objects.count(), AuditEntry.objects.count()) == (0, 0)


def test_readers_see_it_and_nobody_deletes_it(trade: Trade) -> None:
    option, clerk = ShippingOptionFactory(shop=trade.shop), desk("commerce.view_shippingoption")
    page = text(clerk.page(option))
    assert "Standard" in page and "€4.90" in page and "Reason for change" not in page
    assert clerk.client.post(address(ShippingOption, "change", option.pk), {}).status_code == 403
    assert clerk.client.post(address(ShippingOption, "delete", option.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("shipping_has_name", {"names": {}}),
        ("shipping_currency_upper", {"currency": "eur"}),
        ("shipping_days_in_order", {"days_min": 3, "days_max": 2}),
        ("shipping_days_in_order", {"days_min": 3}),
        ("amount_check", {"amount": -1}),
    ],
)
def test_the_database_refuses_what_no_form_lets_through(trade: Trade, name: str, values: dict[str, object]) -> None:
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        ShippingOptionFactory(shop=trade.shop, **values)
