"""Tax rates in the back office: added with a reason, never rewritten, switched off where they were wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.http import HttpResponse

from commerce.models import TaxRate
from tenants.models import AuditEntry
from tests.commerce.backoffice import Desk, address, desk, filled, queries, text
from tests.fixtures.trade import Trade

TYPED = {
    "country": "DE", "name": "VAT", "percentage": "19", "inclusive": "on", "valid_from": "2026-01-01", "active": "on",
    "reason_for_change": "The law",
}  # fmt: skip


def add(owner: Desk, **changes: str) -> HttpResponse:
    sent = filled(owner.client.get(address(TaxRate, "add"))) | {"shop": "band"} | TYPED | changes
    return owner.client.post(address(TaxRate, "add"), sent)


def test_a_rate_is_added_shown_and_switched_off(trade: Trade) -> None:
    owner = desk()
    answer = add(owner, percentage="7.7")
    assert answer.status_code == 302, text(answer)
    rate = TaxRate.objects.get()
    assert (rate.shop_id, rate.country, rate.percentage, rate.inclusive) == ("band", "DE", Decimal("7.7"), True)
    assert add(owner, country="", percentage="0", inclusive="").status_code == 302
    shown = text(owner.list(TaxRate))
    assert "7.7 %" in shown and "contain it" in shown and "everywhere else" in shown and "it comes on top" in shown
    sent = filled(owner.page(rate)) | {"percentage": "25", "country": "AT", "reason_for_change": "Mistyped"}
    sent.pop("active")
    assert owner.client.post(address(TaxRate, "change", rate.pk), sent).status_code == 302
    rate.refresh_from_db()
    assert (rate.percentage, rate.country, rate.active) == (Decimal("7.7"), "DE", False)
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "shop_id", "reason")) == [
        ("tax_rate.added", "band", "The law"),
        ("tax_rate.added", "band", "The law"),
        ("tax_rate.changed", "band", "Mistyped"),
    ]
    assert owner.client.post(address(TaxRate, "delete", rate.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("country", "de"), ("country", "XX"), ("country", "DEU"), ("percentage", "-1"), ("percentage", "100.1"),
        ("percentage", "7.12345"), ("percentage", "x"), ("percentage", "NaN"), ("name", ""), ("valid_from", "soon"),
        ("reason_for_change", ""), ("shop", ""),
    ],
)  # fmt: skip
def test_bad_input_is_told_and_not_kept(trade: Trade, field: str, typed: str) -> None:
    assert add(desk(), **{field: typed}).status_code == 200
    assert (TaxRate.objects.count(), AuditEntry.objects.count()) == (0, 0)


def test_two_rates_of_one_day_are_refused(trade: Trade) -> None:
    owner = desk()
    add(owner)
    assert "Switch that one off first" in text(add(owner, percentage="20"))


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_takes_as_many_queries_for_three(trade: Trade, count: int) -> None:
    owner = desk()
    for day in range(count):
        add(owner, valid_from=f"2026-01-0{day + 1}")
    assert queries(lambda: owner.list(TaxRate)) == 7
