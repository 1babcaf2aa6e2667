"""Shops that take the payment on their own page: the embedded page and single elements, paid in Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from tests.browser.test_purchase import put_in_cart, shop_url
from tests.fixtures.stack import SHOP, Stack, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

Switch = Callable[..., None]


@pytest.fixture
def switch(stack: Stack) -> Iterator[Switch]:
    """Sets the demo shop's settings, and waits until the web knows; afterwards they are as they were."""

    def to(**settings: object) -> None:
        changes = ", ".join(f"{name} = %s" for name in settings)
        stack.sql(f"UPDATE tenants_shopsettings SET {changes} WHERE shop_id = %s", *settings.values(), SHOP)
        hosted = settings["checkout_ui"] == "hosted_page"
        wait_for(lambda: (b"stripe.js" in stack.visitor().call("GET", "/en/checkout").body) != hosted, "it is known")

    yield to
    to(checkout_ui="hosted_page", billing_address="auto", asks_phone=False, tax_mode="none", tax_behavior="inclusive")


def begin(page: Page, stack: Stack) -> None:
    put_in_cart(page, stack)
    page.goto(shop_url(stack, "/en/checkout"))
    page.get_by_label("E-mail").fill("ada@example.test")
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_role("heading", name="Payment")).to_be_visible()


def expect_confirmed(page: Page) -> None:
    page.wait_for_url(re.compile(r"/en/thank-you\?session_id=cs_test_"))
    expect(page.get_by_role("heading", name=re.compile("Confirmed"))).to_be_visible(timeout=15_000)


def frame(page: Page, place: str) -> FrameLocator:
    return page.frame_locator(f"[data-{place}] iframe")


def fill_address(form: FrameLocator, street: str) -> None:
    form.get_by_label("Street").fill(street)
    form.get_by_label("City").fill("Berlin")
    form.get_by_label("Country").fill("DE")


def test_the_embedded_page(page: Page, stack: Stack, switch: Switch, pictures: Path) -> None:
    switch(checkout_ui="embedded_page")
    begin(page, stack)
    form = frame(page, "embedded")
    form.get_by_label("Card number").fill("4000000000000002")
    page.screenshot(path=pictures / "embedded.png")
    form.get_by_role("button", name=re.compile("Pay")).press("Enter")
    expect(form.get_by_role("alert")).to_be_visible()
    form.get_by_label("Card number").fill("4000002760003184")
    form.get_by_role("button", name=re.compile("Pay")).press("Enter")
    form.get_by_role("button", name="Approve").press("Enter")
    expect_confirmed(page)


def test_single_elements(page: Page, stack: Stack, switch: Switch, pictures: Path) -> None:
    switch(checkout_ui="elements", billing_address="required", asks_phone=True)
    begin(page, stack)
    # By key: Chromium gives the first click after a scroll past frames of another origin to nobody.
    pay = page.get_by_role("button", name="Pay €24.90")
    expect(pay).to_be_visible()
    pay.press("Enter")
    expect(page.get_by_text("Enter a shipping address.")).to_be_visible()
    fill_address(frame(page, "shipping-address"), "Am Markt 1")
    fill_address(frame(page, "billing-address"), "Bahnhofstraße 2")
    page.get_by_label("Phone").fill("+49 30 1234")
    frame(page, "card").get_by_label("Card number").fill("4000000000009995")
    page.screenshot(path=pictures / "elements.png")
    pay.press("Enter")
    expect(page.get_by_text(re.compile("insufficient funds", re.IGNORECASE))).to_be_visible()
    frame(page, "card").get_by_label("Card number").fill("4000002760003184")
    pay.press("Enter")
    page.frame_locator("dialog iframe").get_by_role("button", name="Approve").press("Enter")
    expect_confirmed(page)
    session_id = page.url.partition("session_id=")[2]
    stored = stack.sql(
        "SELECT billing_address->>'line1', shipping_address->'address'->>'line1', phone FROM commerce_order"
        " WHERE session_id = %s",
        session_id,
    )
    assert stored == [("Bahnhofstraße 2", "Am Markt 1", "+49 30 1234")]


def test_changing_ones_mind_keeps_one_session(page: Page, stack: Stack, switch: Switch) -> None:
    switch(checkout_ui="elements")
    before = len(stack.standin.requests("/v1/checkout/sessions"))
    begin(page, stack)
    page.get_by_role("button", name="Change e-mail or shipping").click()
    expect(page.get_by_role("heading", name="Payment")).to_be_hidden()
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_role("button", name="Pay €24.90")).to_be_visible()
    assert len(stack.standin.requests("/v1/checkout/sessions")) == before + 1
    page.get_by_role("button", name="Change e-mail or shipping").click()
    page.get_by_label("E-mail").fill("grace@example.test")
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_role("button", name="Pay €24.90")).to_be_visible()
    assert len(stack.standin.requests("/v1/checkout/sessions")) == before + 2


def test_without_the_script_the_page_says_so(page: Page, stack: Stack, switch: Switch) -> None:
    switch(checkout_ui="elements")
    page.route("**/stripe.js", lambda route: route.fulfill(status=200, content_type="text/javascript", body=""))
    put_in_cart(page, stack)
    page.goto(shop_url(stack, "/en/checkout"))
    page.get_by_label("E-mail").fill("ada@example.test")
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_role("heading", name="The payment form is missing")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_tax_joins_the_total_with_the_address(page: Page, stack: Stack, switch: Switch) -> None:
    stack.standin.call("options", {"taxRatePercent": 19})
    try:
        switch(checkout_ui="elements", tax_mode="automatic", tax_behavior="exclusive")
        begin(page, stack)
        expect(page.get_by_role("button", name="Pay €24.90")).to_be_visible()
        fill_address(frame(page, "shipping-address"), "Am Markt 1")
        pay = page.get_by_role("button", name="Pay €29.63")
        expect(pay).to_be_visible()
        pay.press("Enter")
        expect_confirmed(page)
        expect(page.get_by_text("€4.73")).to_be_visible()
    finally:
        stack.standin.call("options", {"taxRatePercent": 0})
