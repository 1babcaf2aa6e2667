"""A person rents a cape for a week and a day, in headless Chromium, against a deposit."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures.periods import monday
from tests.fixtures.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SHOP = "cover-me-pretty"


def test_a_week_and_a_day(page: Page, stack: Stack, pictures: Path) -> None:
    shop = str(stack.ready["shops"][SHOP])
    start = monday()
    page.goto(f"{shop}/en/products/velvet-opera-cape")
    page.locator("input[name=size][value=S]").check()
    page.get_by_label("Pick-up").fill(start.isoformat())
    page.get_by_label("Return").fill((start + timedelta(days=7)).isoformat())
    expect(page.get_by_text("8 days: $185.00 each")).to_be_visible()
    page.screenshot(path=pictures / "rental-1-product.png")
    page.get_by_role("button", name="Rent this").click()
    expect(page.get_by_text("It is in your cart.")).to_be_visible()
    page.goto(f"{shop}/en/cart")
    expect(page.get_by_text(re.compile(r"8 days · Deposit \$150\.00 each"))).to_be_visible()
    expect(page.get_by_text("$335.00")).to_be_visible()
    page.screenshot(path=pictures / "rental-2-cart.png")
    page.goto(f"{shop}/en/checkout")
    page.get_by_label("E-mail").fill("ada@example.test")
    page.get_by_role("button", name="Continue to payment").click()
    # The shop takes the payment in a form of its own.
    pay = page.get_by_role("button", name="Pay $335.00")
    expect(pay).to_be_visible()
    card = page.frame_locator("[data-card] iframe")
    card.get_by_label("Card number").fill("4242424242424242")
    page.screenshot(path=pictures / "rental-3-payment.png")
    pay.click()
    page.wait_for_url(re.compile(r"/en/thank-you"))
    expect(page.get_by_role("heading", name=re.compile("Confirmed"))).to_be_visible(timeout=15_000)
    expect(page.get_by_text("Deposits come back to you")).to_be_visible()
    expect(page.get_by_text(re.compile("8 days")).first).to_be_visible()
    page.screenshot(path=pictures / "rental-4-confirmed.png")
    # The other language, and days that can't be had.
    page.goto(f"{shop}/de/products/velvet-opera-cape")
    page.get_by_label("Rückgabe").fill(start.isoformat())
    page.get_by_label("Abholung").fill((start - timedelta(days=400)).isoformat())
    page.get_by_role("button", name="Mieten").click()
    expect(page.get_by_text(re.compile("Bitte eine Abholung vom")).last).to_be_visible()
