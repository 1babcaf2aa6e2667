"""Plans in the back office: typed with a reason, made known to Stripe when offered, never rewritten once priced."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.http import HttpResponse

from commerce.models import Plan, PlanVersion, StripePlanPrice
from tenants.models import AuditEntry
from tests.commerce.backoffice import Desk, address, desk, filled, queries, text
from tests.factories.plans import make_plan
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

TYPED = {
    "code": "club", "names_typed": "en: Club\nde: Klub", "descriptions_typed": "en: All of it.", "price": "9.90",
    "interval": "month", "interval_count": "1", "trial_days": "0", "position": "0", "reason_for_change": "Asked for",
}  # fmt: skip


def add(owner: Desk, **changes: str) -> HttpResponse:
    sent = filled(owner.client.get(address(Plan, "add"))) | {"shop": "band"} | TYPED | changes
    return owner.client.post(address(Plan, "add"), sent)


def change(owner: Desk, plan: Plan, **changes: str) -> HttpResponse:
    sent = filled(owner.page(plan)) | {"reason_for_change": "Dearer"} | changes
    return owner.client.post(address(Plan, "change", plan.pk), sent)


def test_a_plan_is_added_offered_and_retired(trade: Trade, standin: StandIn) -> None:
    owner = desk()
    assert add(owner).status_code == 302
    plan = Plan.objects.get()
    assert (plan.code, plan.names, plan.active) == ("club", {"en": "Club", "de": "Klub"}, False)
    shown = text(owner.list(Plan))
    assert "€9.90 every month" in shown and "not offered" in shown
    asked = text(owner.ask(Plan, "offer", plan))
    assert "It is made known to Stripe" in asked
    assert "Offered; Stripe calls it price_" in owner.do(Plan, "offer", plan, reason="Season")
    (sent,) = standin.requests("/v1/prices")
    version = PlanVersion.objects.get()
    made = StripePlanPrice.objects.get()
    assert sent["params"]["lookup_key"] == f"holdfast_{version.pk.hex}"
    assert sent["params"]["unit_amount"] in (990, "990")
    assert (made.version_id, made.stripe_account, made.price_id) == (version.pk, "acct_standin", sent["answer"]["id"])
    assert "It is offered." in text(owner.ask(Plan, "offer", plan))
    assert "Retired." in owner.do(Plan, "retire", plan, reason="Season over")
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "reason")) == [
        ("plan.added", "Asked for"),
        ("plan.offered", "Season"),
        ("plan.retired", "Season over"),
    ]
    assert len(standin.requests("/v1/prices")) == 1


def test_another_price_is_another_version(trade: Trade) -> None:
    owner = desk()
    add(owner)
    plan = Plan.objects.get()
    assert change(owner, plan, price="12.50", code="other", shop="other").status_code == 302
    assert change(owner, plan, descriptions_typed="en: Even more.").status_code == 302
    assert list(PlanVersion.objects.order_by("number").values_list("number", "amount")) == [(1, 990), (2, 1250)]
    plan.refresh_from_db()
    assert (plan.code, plan.shop_id, plan.descriptions) == ("club", "band", {"en": "Even more."})
    shown = text(owner.page(plan))
    assert "€9.90" in shown and "€12.50" in shown and "not asked for yet" in shown


def test_terms_never_change_whoever_writes(trade: Trade) -> None:
    make_plan(trade.shop, "club")
    for act in (lambda: PlanVersion.objects.update(amount=1), lambda: PlanVersion.objects.all().delete()):
        with pytest.raises(IntegrityError, match="terms of a plan never change"), transaction.atomic():
            act()


BAD_INPUT = [
    ("code", ""), ("code", "Club"), ("code", "x"), ("code", "a b"), ("code", "ä-plan"), ("names_typed", ""),
    ("names_typed", "Club"), ("names_typed", "xx: Club"), ("names_typed", "en: A\nen: B"), ("price", ""),
    ("price", "free"), ("price", "0"), ("price", "0.10"), ("price", "-3"), ("price", "9.999"), ("price", "NaN"),
    ("interval", "hour"), ("interval_count", "0"), ("interval_count", "37"), ("interval_count", "x"),
    ("trial_days", "-1"), ("trial_days", "731"), ("descriptions_typed", "Just text"), ("reason_for_change", ""),
    ("shop", ""), ("shop", "nobody"),
]  # fmt: skip


def test_bad_input_is_told_and_not_kept(trade: Trade) -> None:
    owner = desk()
    taken = [(field, typed) for field, typed in BAD_INPUT if add(owner, **{field: typed}).status_code != 200]
    assert taken == []
    assert (Plan.objects.count(), PlanVersion.objects.count(), AuditEntry.objects.count()) == (0, 0, 0)


def test_a_code_is_a_shops_once(trade: Trade) -> None:
    owner = desk()
    add(owner)
    assert "The shop has a plan of this code." in text(add(owner))


def test_what_stripe_refuses_is_not_offered(trade: Trade, standin: StandIn) -> None:
    owner = desk()
    add(owner)
    plan = Plan.objects.get()
    standin.fault(path="/v1/prices", kind="status", status=400, when="before")
    assert "Stripe could not be asked, nothing has changed" in owner.do(Plan, "offer", plan, reason="Season")
    plan.refresh_from_db()
    assert not plan.active
    assert "Offered" in owner.do(Plan, "offer", plan, reason="Season")


@pytest.mark.parametrize("kind", ["drop_after", "drop_before"])
def test_a_lost_answer_makes_no_second_price(trade: Trade, standin: StandIn, kind: str) -> None:
    owner = desk()
    add(owner)
    plan = Plan.objects.get()
    standin.fault(path="/v1/prices", kind=kind)
    assert "Stripe could not be asked" in owner.do(Plan, "offer", plan, reason="Season")
    assert "Offered" in owner.do(Plan, "offer", plan, reason="Season")
    listed = standin.read("/v1/prices?limit=10")["data"]
    assert [price["id"] for price in listed] == [StripePlanPrice.objects.get().price_id]


def test_a_price_of_other_terms_under_its_key_is_refused(trade: Trade, standin: StandIn) -> None:
    owner = desk()
    add(owner)
    plan, version = Plan.objects.get(), PlanVersion.objects.get()
    standin.fault(path="/v1/prices", kind="drop_before")
    owner.do(Plan, "offer", plan, reason="Season")
    form = {
        "lookup_key": f"holdfast_{version.pk.hex}", "currency": "eur", "unit_amount": "1",
        "recurring[interval]": "month", "product_data[name]": "Somebody's",
    }  # fmt: skip
    standin.post("/v1/prices", form)
    assert "with other terms" in owner.do(Plan, "offer", plan, reason="Season")
    assert not Plan.objects.get().active and StripePlanPrice.objects.get().price_id is None


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_takes_as_many_queries_for_three(trade: Trade, count: int) -> None:
    owner = desk()
    for number in range(count):
        make_plan(trade.shop, f"plan-{number}")
    assert queries(lambda: owner.list(Plan)) == 8
