"""A person types a coupon, wrong and right, in headless Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_purchase import put_in_cart, shop_url
from tests.fixtures.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def test_a_code_is_refused_at_its_field_and_then_taken_off(page: Page, stack: Stack, pictures: Path) -> None:
    put_in_cart(page, stack)
    page.goto(shop_url(stack, "/de/checkout"))
    page.get_by_label("E-Mail").fill("ada@example.test")
    code = page.get_by_label("Gutscheincode")
    code.fill("nobody's")
    page.get_by_role("button", name="Weiter zur Zahlung").click()
    expect(page.get_by_text("Diesen Gutschein gibt es hier nicht.")).to_be_visible()
    expect(code).to_be_focused()
    code.fill("five-off")
    expect(page.get_by_text("Diesen Gutschein gibt es hier nicht.")).to_be_hidden()
    page.get_by_role("button", name="Weiter zur Zahlung").click()
    expect(page.get_by_text("Dein Warenkorb ist für diesen Gutschein zu klein.")).to_be_visible()
    page.screenshot(path=pictures / "coupon-1-refused.png")
    code.fill("welcome10")
    page.get_by_role("button", name="Weiter zur Zahlung").click()
    page.wait_for_url(re.compile(r"/c/pay/cs_test_"))
    page.locator("input[name=card]").fill("4242424242424242")
    page.get_by_role("button", name=re.compile("Pay")).click()
    page.wait_for_url(re.compile(r"/de/thank-you"))
    expect(page.get_by_role("heading", name="Bestätigt")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("Rabatt")).to_be_visible()
    page.screenshot(path=pictures / "coupon-2-confirmed.png")
