"""Whatever happens to two shops' money, in whatever order it is told: the journal balances and is what Stripe holds.

`HOLDFAST_LEDGER_STORIES` and `HOLDFAST_LEDGER_STEPS` make it longer, `HOLDFAST_LEDGER_SEED` begins elsewhere.
"""

from __future__ import annotations

import os
import random

import pytest

from tenants.models import Host
from tests.commerce.ledger.story import Story
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

STORIES = int(os.environ.get("HOLDFAST_LEDGER_STORIES", "2"))
STEPS = int(os.environ.get("HOLDFAST_LEDGER_STEPS", "25"))
SEED = int(os.environ.get("HOLDFAST_LEDGER_SEED", "1"))


@pytest.mark.timeout(300 + STEPS * 5)
@pytest.mark.parametrize("seed", range(SEED, SEED + STORIES))
def test_any_story_ends_with_stripes_balance(trade: Trade, other_trade: Trade, standin: StandIn, seed: int) -> None:
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)
    story = Story([trade, other_trade], standin, random.Random(seed), converting=True)
    told = [story.act() for _ in range(STEPS)]
    story.quiet()
    try:
        story.judge()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {told}") from error
