"""Coupons in the back office: what is typed, what may change after use, ended with a reason, redemptions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.utils import timezone

from commerce.admin.coupons import STATES, in_state, state_of
from commerce.models import Coupon, CouponRedemption
from tenants.models import AuditEntry
from tests.commerce.backoffice import Desk, address, desk, filled, found, html, queries, text
from tests.commerce.test_coupon_limits import redeem
from tests.factories.commerce import CouponFactory
from tests.fixtures.sampling import some
from tests.fixtures.trade import Trade

TYPED = {
    "code": "spring-10", "takes_off_typed": "12.5 %", "minimum_typed": "eur 40.00", "only_for_typed": "BAND",
    "starts_typed": "2026-12-01T00:00", "ends_typed": "2026-12-24T18:00", "limit_total": "100", "limit_per_email": "1",
    "note": "Flyer", "reason_for_change": "Spring sale",
}  # fmt: skip


def add(owner: Desk, **changes: str) -> HttpResponse:
    sent = filled(owner.client.get(address(Coupon, "add"))) | {"shop": "band"} | TYPED | changes
    return owner.client.post(address(Coupon, "add"), sent)


def save(owner: Desk, coupon: Coupon, **changes: str) -> HttpResponse:
    sent = filled(owner.page(coupon)) | {"reason_for_change": "Because"} | changes
    return owner.client.post(address(Coupon, "change", coupon.pk), sent)


def test_a_coupon_is_added_in_the_shops_own_time_and_audited(trade: Trade) -> None:
    trade.shop.settings.time_zone = "Europe/Vienna"
    trade.shop.settings.save()
    answer = add(desk())
    assert answer.status_code == 302, text(answer)
    coupon = Coupon.objects.get()
    assert (coupon.shop_id, coupon.code, coupon.kind, coupon.basis_points, coupon.amounts) == (
        "band", "SPRING-10", "percent", 1250, {},
    )  # fmt: skip
    assert (coupon.minimums, coupon.only_for, coupon.limit_total, coupon.limit_per_email, coupon.note) == (
        {"EUR": 4000}, ["BAND"], 100, 1, "Flyer",
    )  # fmt: skip
    assert (coupon.starts_at, coupon.ends_at) == (
        datetime(2026, 11, 30, 23, tzinfo=UTC), datetime(2026, 12, 24, 17, tzinfo=UTC),
    )  # fmt: skip
    entry = AuditEntry.objects.get()
    assert (entry.shop_id, entry.action, entry.object_id, entry.reason) == (
        "band", "coupon.added", str(coupon.pk), "Spring sale",
    )  # fmt: skip
    page = filled(desk_again().page(coupon))
    assert {name: page[name] for name in ("takes_off_typed", "minimum_typed", "starts_typed", "ends_typed")} == {
        "takes_off_typed": "12.5 %", "minimum_typed": "EUR 40.00", "starts_typed": "2026-12-01T00:00",
        "ends_typed": "2026-12-24T18:00",
    }  # fmt: skip


def desk_again() -> Desk:
    return desk("commerce.view_coupon", "commerce.change_coupon")


def test_an_amount_in_each_currency(trade: Trade) -> None:
    assert add(desk(), takes_off_typed="EUR 5.00\njpy 700").status_code == 302
    coupon = Coupon.objects.get()
    assert (coupon.kind, coupon.basis_points, coupon.amounts) == ("amount", None, {"EUR": 500, "JPY": 700})
    shown = text(desk_again().list(Coupon))
    assert "€5.00, ¥700" in shown


@pytest.mark.parametrize(
    ("field", "typed"),
    some([
        ("code", ""), ("code", "A"), ("code", "SPRING 10"), ("code", "früh"), ("code", "x" * 41), ("code", "-A"),
        ("takes_off_typed", ""), ("takes_off_typed", "0 %"), ("takes_off_typed", "100.01 %"),
        ("takes_off_typed", "1.234 %"), ("takes_off_typed", "-5 %"), ("takes_off_typed", "12,5 %"),
        ("takes_off_typed", "5"), ("takes_off_typed", "EUR 0"), ("takes_off_typed", "EUR 5.001"),
        ("takes_off_typed", "EUR -5"), ("takes_off_typed", "XYZ 5"), ("takes_off_typed", "EUR 5\nEUR 6"),
        ("takes_off_typed", "KWD 0.001"), ("takes_off_typed", "EUR 1e3"), ("minimum_typed", "10 %"),
        ("minimum_typed", "EUR"), ("only_for_typed", "NOBODYS"), ("only_for_typed", "BAND\nOTHERS"),
        ("starts_typed", "tomorrow"), ("starts_typed", "2026-13-01T00:00"), ("ends_typed", "2026-11-30T00:00"),
        ("limit_total", "0"), ("limit_total", "-1"), ("limit_per_email", "0"), ("limit_total", "many"),
        ("reason_for_change", ""), ("shop", "nobody"), ("shop", ""),
    ], 12),
)  # fmt: skip
def test_what_makes_no_coupon_is_refused(trade: Trade, other_trade: Trade, field: str, typed: str) -> None:
    answer = add(desk(), **{field: typed})
    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors
    assert (Coupon.objects.count(), AuditEntry.objects.count()) == (0, 0)


def test_an_hour_that_the_shops_clocks_skip_is_refused(trade: Trade) -> None:
    trade.shop.settings.time_zone = "Europe/Vienna"
    trade.shop.settings.save()
    answer = add(desk(), starts_typed="2026-03-29T02:30")
    assert "skip this hour" in text(answer)


def test_a_code_is_taken_once_per_shop(trade: Trade, other_trade: Trade) -> None:
    owner = desk()
    assert add(owner).status_code == 302
    assert add(owner, code="Spring-10").status_code == 200
    assert add(owner, shop="other", only_for_typed="").status_code == 302
    assert Coupon.objects.count() == 2


def test_an_unused_coupon_may_change_all_but_its_code(trade: Trade) -> None:
    coupon, owner = CouponFactory(shop=trade.shop, code="SPRING"), desk()
    answer = save(owner, coupon, code="OTHER", takes_off_typed="EUR 5.00", only_for_typed="BAND#size:M")
    assert answer.status_code == 302, text(answer)
    coupon.refresh_from_db()
    assert (coupon.code, coupon.kind, coupon.amounts, coupon.only_for) == (
        "SPRING", "amount", {"EUR": 500}, ["BAND#size:M"],
    )  # fmt: skip
    assert AuditEntry.objects.get().data["changes"] == {
        "takes_off_typed": ["10 %", "EUR 5.00"], "only_for_typed": ["", "BAND#size:M"],
    }  # fmt: skip


def test_a_used_coupon_keeps_its_promise(trade: Trade) -> None:
    coupon, owner = CouponFactory(shop=trade.shop, code="SPRING", limit_total=5), desk()
    redemption = redeem(trade, coupon)
    CouponRedemption.objects.filter(pk=redemption.pk).update(state="freed")
    redeem(trade, coupon)
    redeem(trade, coupon)
    assert "takes_off_typed" not in filled(owner.page(coupon))
    answer = save(
        owner, coupon, takes_off_typed="90 %", only_for_typed="BAND", limit_total="3", minimum_typed="EUR 1.00"
    )
    assert answer.status_code == 302, text(answer)
    coupon.refresh_from_db()
    assert (coupon.basis_points, coupon.only_for, coupon.limit_total, coupon.minimums, coupon.used) == (
        1000, [], 3, {"EUR": 100}, 2,
    )  # fmt: skip
    below = save(owner, coupon, limit_total="1")
    assert "At least 2" in text(below)


def test_ended_with_a_reason_and_offered_again(trade: Trade) -> None:
    coupon, owner = CouponFactory(shop=trade.shop, code="SPRING"), desk()
    asked = owner.ask(Coupon, "end", coupon)
    assert "Open ones keep it until they are paid or expire" in text(asked)
    refused = owner.confirm(Coupon, "end", asked, reason="")
    assert Coupon.objects.get().active and "This field is required" in text(refused)
    owner.do(Coupon, "end", coupon, reason="Leaked to the press")
    assert not Coupon.objects.get().active
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason, entry.shop_id, entry.data) == (
        "coupon.ended", "Leaked to the press", "band", {"code": "SPRING"},
    )  # fmt: skip
    assert "ended already" in text(owner.ask(Coupon, "end", coupon))
    owner.do(Coupon, "resume", coupon, reason="A mistake")
    assert Coupon.objects.get().active
    assert AuditEntry.objects.count() == 2


def test_readers_see_all_and_change_nothing(trade: Trade) -> None:
    coupon = CouponFactory(
        shop=trade.shop,
        code="SPRING",
        minimums={"EUR": 4000},
        only_for=["BAND"],
        ends_at=datetime(2031, 1, 1, tzinfo=UTC),
    )
    clerk = desk("commerce.view_coupon")
    page = text(clerk.page(coupon))
    for shown in ("SPRING", "10 %", "€40.00", "BAND", "2031", "Nobody has used it yet."):
        assert shown in page
    assert "Reason for change" not in page
    assert clerk.client.post(address(Coupon, "change", coupon.pk), {}).status_code == 403
    assert clerk.client.post(address(Coupon, "delete", coupon.pk), {"post": "yes"}).status_code == 403
    assert clerk.ask(Coupon, "end", coupon).status_code in {302, 403, 200}
    assert Coupon.objects.get().active


def test_redemptions_lead_to_their_orders(trade: Trade) -> None:
    coupon, owner = CouponFactory(shop=trade.shop, code="SPRING"), desk()
    late = redeem(trade, coupon)
    CouponRedemption.objects.filter(pk=late.pk).update(state="redeemed", beyond_limit=True, ended_at=timezone.now())
    page = html(owner.page(coupon))
    assert address(type(late.order), "change", late.order_id) in page
    shown = text(owner.list(CouponRedemption, q="spring"))
    assert late.order.number in shown and "€2.50" in shown and "beyond the limit" in shown
    assert "€25.00" in text(owner.page(late))
    assert "All of them" not in page
    for _ in range(20):
        redeem(trade, coupon)
    assert "All of them" in html(owner.page(coupon))


@pytest.mark.parametrize(
    ("term", "hits"),
    [
        ("spring", 2),
        ("SPRING", 2),
        ("summer", 0),
        ("ada@example.test", 2),
        ("ADA@example.test", 2),
        ("é", 0),
        ("#x", 0),
    ],
)
def test_redemptions_are_found(trade: Trade, term: str, hits: int) -> None:
    coupon = CouponFactory(shop=trade.shop, code="SPRING")
    redeem(trade, CouponFactory(shop=trade.shop, code="OTHER"), "bob@example.test")
    rows = [redeem(trade, coupon), redeem(trade, coupon)]
    owner = desk()
    assert len(found(owner.list(CouponRedemption, q=term))) == hits
    assert found(owner.list(CouponRedemption, q=f"#{rows[0].order.number}")) == {str(rows[0].pk)}


def test_the_list_filters_by_what_a_coupon_can_do_now(trade: Trade) -> None:
    now, day = timezone.now(), timedelta(days=1)
    made: dict[str, Coupon] = {
        "running": CouponFactory(shop=trade.shop, starts_at=now - day, ends_at=now + day, limit_total=5),
        "scheduled": CouponFactory(shop=trade.shop, starts_at=now + day),
        "over": CouponFactory(shop=trade.shop, ends_at=now - day, limit_total=1),
        "used_up": CouponFactory(shop=trade.shop, limit_total=1),
        "ended": CouponFactory(shop=trade.shop, active=False, ends_at=now - day),
    }
    redeem(trade, made["used_up"])
    owner = desk()
    for state, coupon in made.items():
        coupon.refresh_from_db()
        assert (state_of(coupon), found(owner.list(Coupon, state=state))) == (state, {str(coupon.pk)})
    shown = text(owner.list(Coupon))
    assert all(words in shown for words, _ in STATES.values())
    assert sum(Coupon.objects.filter(in_state(state)).count() for state in STATES) == len(made)
    assert len(found(owner.list(Coupon, state="rubbish"))) == len(made)


def test_lists_need_as_many_queries_for_three_as_for_one(trade: Trade) -> None:
    owner = desk()
    redeem(trade, CouponFactory(shop=trade.shop))
    before: list[int] = [queries(lambda model=model: owner.list(model)) for model in (Coupon, CouponRedemption)]
    for _ in range(2):
        redeem(trade, CouponFactory(shop=trade.shop))
    after: list[Any] = [queries(lambda model=model: owner.list(model)) for model in (Coupon, CouponRedemption)]
    assert before == after


def test_the_orders_page_names_the_coupon(trade: Trade) -> None:
    made = redeem(trade, CouponFactory(shop=trade.shop, code="SPRING")).order
    type(made).objects.update(coupon_code="SPRING", discount_amount=250, total_amount=2250)
    page = desk().page(made)
    assert "Discount: SPRING -€2.50" in text(page) and "Coupon SPRING (reserved)" in text(page)
    assert address(Coupon, "change", made.redemptions.get().coupon_id) in html(page)
