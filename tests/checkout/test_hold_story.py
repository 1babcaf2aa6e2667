"""What the checkout tells of a hold, on the page that answers "why is this unavailable?"."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.models import CheckoutAttempt
from checkout.release_guard import CheckoutReleaseGuard
from commerce.models import Order
from inventory.models import Hold

State = CheckoutAttempt.State


@pytest.fixture
def staff(transactional_db):
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("ada", password="not a secret"))
    return client


def page_of(staff, row):
    answer = staff.get(f"/admin/inventory/stockrow/{row.pk}/change/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_holder_leads_to_its_order_checkout_cart_and_session(staff, trade, standin):
    answer = trade.buyer_with_cart(3).checkout().json()
    attempt = CheckoutAttempt.objects.get()

    page = page_of(staff, trade.stock)

    said = " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())
    assert "10 on hand − 3 held = 7 available" in said
    for url in (
        f"/admin/inventory/hold/{attempt.hold_id}/change/",
        f"/admin/commerce/order/{attempt.order_id}/change/",
        f"/admin/checkout/checkoutattempt/{attempt.pk}/change/",
        f"/admin/commerce/cart/{attempt.cart_id}/change/",
    ):
        assert f'href="{url}"' in page, url
    assert f'title="{answer["sessionId"]}"' in page
    assert f"Order {attempt.order.number}" in said
    assert "Its session is made unpayable at Stripe" in said
    hold_page = staff.get(f"/admin/inventory/hold/{attempt.hold_id}/change/").content.decode()
    assert answer["sessionId"] in hold_page
    assert f'href="/admin/commerce/order/{attempt.order_id}/change/"' in hold_page


def test_the_page_costs_the_same_however_many_check_out(staff, trade, standin):
    def count():
        with CaptureQueriesContext(connection) as seen:
            page_of(staff, trade.stock)
        return len(seen)

    trade.buyer_with_cart().checkout()
    count()
    assert count() == 8
    for _ in range(4):
        trade.buyer_with_cart().checkout()
    assert count() == 8


@pytest.mark.parametrize(
    ("state", "order", "says"),
    [
        (State.SENDING, Order.Status.PENDING, "The resolver finds out"),
        (State.UNKNOWN, Order.Status.PENDING, "The resolver finds out"),
        (State.OPEN, Order.Status.PENDING, "made unpayable"),
        (State.CLOSING, Order.Status.PENDING, "being closed"),
        (State.CLOSED, Order.Status.PROCESSING, "the payment is on its way"),
        (State.CLOSED, Order.Status.PENDING, "ask Stripe again"),
    ],
)
def test_what_follows(trade, standin, state, order, says):
    trade.buyer_with_cart().checkout()
    attempt = CheckoutAttempt.objects.get()
    ended = {"outcome": "completed", "closed_at": timezone.now()} if state == State.CLOSED else {}
    CheckoutAttempt.objects.filter(pk=attempt.pk).update(state=state, **ended)
    Order.objects.filter(pk=attempt.order_id).update(status=order)
    story = CheckoutReleaseGuard().tell(hold_ids=[attempt.hold_id])[attempt.hold_id]
    assert says in story.then
    assert story.latest == attempt.session_expires_at
    assert story.session == attempt.session_id


def test_a_hold_without_a_checkout_has_no_story(trade):
    now = timezone.now()
    hold = Hold.objects.create(
        shop=trade.shop,
        idempotency_key="k",
        active_idempotency_key="k",
        lines_digest="0",
        ttl_seconds=60,
        expires_at=now + timedelta(seconds=60),
        created_at=now,
    )
    assert CheckoutReleaseGuard().tell(hold_ids=[hold.pk]) == {}
