"""Random interleavings of everybody who touches an attempt, with crashes, faults and jumps of the clock (K3, K4, W6).

A short, seeded run by default; HOLDFAST_TURMOIL_WORLDS, HOLDFAST_TURMOIL_STEPS and HOLDFAST_TURMOIL_SEED make it longer
and different.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.checkout.turmoil.play import play
from tests.fixtures.standin import StandIn

WORLDS = int(os.environ.get("HOLDFAST_TURMOIL_WORLDS", "1"))
STEPS = int(os.environ.get("HOLDFAST_TURMOIL_STEPS", "150"))
SEED = int(os.environ.get("HOLDFAST_TURMOIL_SEED", "1"))
# Far more than a world takes; a run that hangs ends.
SECONDS_PER_STEP = 1


@pytest.mark.slow
@pytest.mark.timeout(120 + WORLDS * STEPS * SECONDS_PER_STEP)
@pytest.mark.django_db(transaction=True)
def test_whatever_happens_nothing_is_sold_twice_and_nothing_is_lost(
    standin: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEED, SEED + WORLDS):
        seen += play(seed, STEPS, standin).seen
    with capsys.disabled():
        print(f"\n{WORLDS} worlds of {STEPS} steps, seeds {SEED} to {SEED + WORLDS - 1}: {dict(sorted(seen.items()))}")
