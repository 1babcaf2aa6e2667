"""Whatever the network does to Stripe's events, the end is that of a clean delivery; no shop's ever touch another's.

HOLDFAST_FUZZ_HISTORIES=2000 for the long run. HOLDFAST_FUZZ_SEED begins elsewhere; a failure names its seed.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from inventory.verify import verify_stock
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, open_trade
from tests.webhooks.histories.delivering import Post, new_world
from tests.webhooks.histories.purchases import SCRIPTS, Purchase
from webhooks.models import StripeEvent

HISTORIES = int(os.environ.get("HOLDFAST_FUZZ_HISTORIES", "8"))
FIRST_SEED = int(os.environ.get("HOLDFAST_FUZZ_SEED", "1"))
TOGETHER = 4
"""Purchases that happen at once, in two shops through one endpoint."""

BATCH = 40
"""Histories of one test, whose shops stay open for all of them."""

SEEDS = range(FIRST_SEED, FIRST_SEED + (HISTORIES + TOGETHER - 1) // TOGETHER)
BATCHES = [SEEDS[start : start + BATCH // TOGETHER] for start in range(0, len(SEEDS), BATCH // TOGETHER)]

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def shops(trade: Trade, standin: StandIn) -> list[Trade]:
    shops = [trade, open_trade("other")]
    for shop in shops:
        type(shop.stock).objects.filter(pk=shop.stock.pk).update(on_hand=100_000)
    return shops


def stock(shops: list[Trade]) -> list[tuple[int, int]]:
    for shop in shops:
        shop.stock.refresh_from_db()
    return [(shop.stock.on_hand, shop.stock.held) for shop in shops]


def happens(purchases: list[Purchase], post: Post, chance: random.Random) -> None:
    """All steps of all purchases, each in its own order, with deliveries in between; then the catch-up."""
    while waiting := [purchase for purchase in purchases if not purchase.done]:
        post.told.append(chance.choice(waiting).step())
        post.collect()
        post.hand_over()
    post.catch_up()


CLEAN: dict[str, tuple[dict[str, Any], int]] = {}


def clean(script: str, shops: list[Trade], standin: StandIn) -> tuple[dict[str, Any], int]:
    """How a purchase ends when every event comes once, at once: its state, and the units it takes."""
    if script not in CLEAN:
        new_world(standin)
        before = stock(shops)[0]
        purchase = Purchase(shops[0], standin, script)
        happens([purchase], Post(standin), random.Random(0))
        after = stock(shops)[0]
        assert after[1] == before[1], "a hold is left"
        CLEAN[script] = (purchase.state(), before[0] - after[0])
    return CLEAN[script]


@pytest.mark.parametrize("seeds", BATCHES, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_every_history_ends_like_its_clean_delivery(shops: list[Trade], standin: StandIn, seeds: range) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        scripts = [chance.choice(sorted(SCRIPTS)) for _ in range(TOGETHER)]
        expected = [clean(script, shops, standin) for script in scripts]
        new_world(standin)
        before = stock(shops)
        purchases = [Purchase(shops[number % 2], standin, script) for number, script in enumerate(scripts)]
        post = Post(standin, chance)
        happens(purchases, post, chance)
        story = f"seed {seed}: {scripts}\n" + "\n".join(post.told)
        for purchase, (state, _) in zip(purchases, expected, strict=True):
            assert purchase.state() == state, story
        for number, (was, now) in enumerate(zip(before, stock(shops), strict=True)):
            sold = sum(units for _, units in expected[number::2])
            assert (was[0] - now[0], now[1]) == (sold, was[1]), story
        left = StripeEvent.objects.exclude(status__in=["processed", "ignored"])
        assert list(left.values_list("type", "status", "error")) == [], story
    drift = verify_stock()
    # The stock was set by hand: `held` is what is proved here.
    assert all(row.held == row.held_by_items for row in drift.drifts), drift
    assert {row.shop_id for row in StripeEvent.objects.exclude(status="ignored")} <= {"band", "other"}


def test_clean_deliveries_end_as_they_should(shops: list[Trade], standin: StandIn) -> None:
    """The yardstick itself: what each script is for."""
    ends = {script: clean(script, shops, standin) for script in SCRIPTS}
    assert {script: (state["order"][0], units) for script, (state, units) in ends.items()} == {
        "paid": ("confirmed", 1),
        "declined, then paid": ("confirmed", 1),
        "declined, expired": ("canceled", 0),
        "3-D Secure passed": ("confirmed", 1),
        "3-D Secure failed, then paid": ("confirmed", 1),
        "3-D Secure left, expired": ("canceled", 0),
        "paid after it expired": ("confirmed", 1),
        "debit arrived": ("confirmed", 1),
        "debit bounced": ("failed", 0),
        "expired": ("canceled", 0),
        "refunded": ("refunded", 1),
        "refunded in part": ("confirmed", 1),
        "refund failed": ("confirmed", 1),
        "refunded, which failed": ("confirmed", 1),
        "refunded, which failed, and again": ("refunded", 1),
        "debit arrived, refunded": ("refunded", 1),
        "debit arrived, refund failed": ("confirmed", 1),
        "dispute won": ("confirmed", 1),
        "dispute lost": ("confirmed", 1),
        "inquiry closed": ("confirmed", 1),
        "inquiry escalated": ("confirmed", 1),
        "debit arrived, disputed": ("confirmed", 1),
    }
    assert ends["refunded in part"][0]["refunds"] == [("succeeded", 1000)]
    assert ends["refund failed"][0]["refunds"] == [("failed", 1000)]
    assert ends["refunded, which failed, and again"][0]["refunds"] == [("failed", 2500), ("succeeded", 2500)]
    assert ends["dispute won"][0]["disputes"] == [("won", 2500, 0, 1500)]
    assert ends["dispute lost"][0]["disputes"] == [("lost", 2500, 2500, 1500)]
    assert ends["debit bounced"][0]["cart"] == 1 and ends["paid"][0]["cart"] == 0
