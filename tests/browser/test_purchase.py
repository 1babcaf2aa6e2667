"""A person buys a headband, in headless Chromium, through every page. Pictures of each are kept.

HOLDFAST_PICTURES names a folder for them; the README's come from there.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.fixtures.stack import SHOP, Stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def shop_url(stack: Stack, path: str = "/") -> str:
    return str(stack.ready["shops"][SHOP]) + path


def put_in_cart(page: Page, stack: Stack) -> None:
    page.goto(shop_url(stack, "/en/products/sport-headband"))
    page.locator("input[name=color][value=teal]").check()
    page.get_by_role("button", name="Add to cart").click()
    expect(page.get_by_text("It is in your cart.")).to_be_visible()


def to_payment(page: Page, stack: Stack) -> None:
    page.goto(shop_url(stack, "/en/checkout"))
    page.get_by_label("E-mail").fill("ada@example.test")
    page.get_by_role("button", name="Continue to payment").click()
    page.wait_for_url(re.compile(r"/c/pay/cs_test_"))


def test_from_the_shelf_to_confirmed(page: Page, stack: Stack, pictures: Path) -> None:
    page.goto(shop_url(stack))
    expect(page).to_have_url(shop_url(stack, "/en/"))
    page.screenshot(path=pictures / "1-list.png")
    page.get_by_role("link", name=re.compile("Sport headband")).first.click()
    page.locator("input[name=color][value=teal]").check()
    page.get_by_role("button", name="Add to cart").click()
    expect(page.get_by_text("It is in your cart.")).to_be_visible()
    page.screenshot(path=pictures / "2-product.png")
    page.get_by_role("link", name="To the cart").click()
    expect(page.get_by_text("Sport headband").first).to_be_visible()
    page.screenshot(path=pictures / "3-cart.png")
    page.goto(shop_url(stack, "/en/checkout"))
    page.get_by_label("E-mail").fill("ada@example.test")
    page.screenshot(path=pictures / "4-checkout.png")
    # Held back for a moment, so that a person can see "Processing…".
    stack.standin.deliveries("hold")
    page.get_by_role("button", name="Continue to payment").click()
    page.wait_for_url(re.compile(r"/c/pay/cs_test_"))
    page.locator("input[name=card]").fill("4242424242424242")
    page.screenshot(path=pictures / "5-payment.png")
    page.get_by_role("button", name=re.compile("Pay")).click()
    page.wait_for_url(re.compile(r"/en/thank-you"))
    expect(page.get_by_role("heading", name="Processing…")).to_be_visible()
    page.screenshot(path=pictures / "6-processing.png")
    stack.standin.deliveries("normal")
    stack.standin.call("deliveries/flush", {})
    expect(page.get_by_role("heading", name=re.compile("Confirmed"))).to_be_visible(timeout=15_000)
    expect(page.get_by_text("€24.90").first).to_be_visible()
    page.screenshot(path=pictures / "7-confirmed.png")
    page.reload()
    expect(page.get_by_role("heading", name=re.compile("Confirmed"))).to_be_visible(timeout=15_000)
    page.goto(shop_url(stack, "/en/cart"))
    expect(page.get_by_text("Your cart is empty.")).to_be_visible()


def test_declined_then_authenticated(page: Page, stack: Stack) -> None:
    put_in_cart(page, stack)
    to_payment(page, stack)
    page.locator("input[name=card]").fill("4000000000000002")
    page.get_by_role("button", name=re.compile("Pay")).click()
    expect(page.get_by_text(re.compile("declined", re.IGNORECASE)).first).to_be_visible()
    page.locator("input[name=card]").fill("4000002760003184")
    page.get_by_role("button", name=re.compile("Pay")).click()
    page.get_by_role("button", name=re.compile("Approve|Complete|Authenticate", re.IGNORECASE)).click()
    page.wait_for_url(re.compile(r"/en/thank-you"))
    expect(page.get_by_role("heading", name=re.compile("Confirmed"))).to_be_visible(timeout=15_000)


def test_turning_back_keeps_the_cart_and_the_session(page: Page, stack: Stack) -> None:
    put_in_cart(page, stack)
    to_payment(page, stack)
    payment = page.url
    page.get_by_role("link", name="Back").click()
    page.wait_for_url(re.compile(r"/en/cancel"))
    to_payment(page, stack)
    assert page.url == payment


def test_the_other_language(page: Page, stack: Stack) -> None:
    page.goto(shop_url(stack, "/de/"))
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("link", name=re.compile("Warenkorb")).first).to_be_visible()


def busy_times(page: Page, times: int) -> list[str | None]:
    """Lets the shop say that it is busy to the first so many checkouts; answers what each told about earlier ones."""
    told: list[str | None] = []

    def answer(route: Route) -> None:
        told.append(route.request.headers.get("x-busy-retry"))
        if len(told) > times:
            route.continue_()
            return
        problem = {"status": 429, "code": "inventory_busy", "detail": "Busy.", "retryAfterMs": 1}
        route.fulfill(status=429, content_type="application/problem+json", body=json.dumps(problem))

    page.route("**/api/checkout-session", answer)
    return told


def test_a_busy_shop_is_asked_again_by_the_page_itself(page: Page, stack: Stack) -> None:
    put_in_cart(page, stack)
    told = busy_times(page, 2)
    to_payment(page, stack)
    assert told == [None, "1", "2"]


def test_after_a_few_tries_the_customer_decides(page: Page, stack: Stack) -> None:
    put_in_cart(page, stack)
    told = busy_times(page, 6)
    page.goto(shop_url(stack, "/en/checkout"))
    page.get_by_label("E-mail").fill("ada@example.test")
    page.get_by_role("button", name="Continue to payment").click()
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url(re.compile(r"/c/pay/cs_test_"))
    assert told == [None, "1", "2", "3", "4", "5", None]
