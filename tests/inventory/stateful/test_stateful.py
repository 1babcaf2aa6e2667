"""Random interleavings of every verb, with crashes and a clock that jumps, against the model (I1, I3, I6, I9, I13).

A short, seeded run by default; HOLDFAST_STATEFUL_STEPS and HOLDFAST_STATEFUL_SEED make it longer and different, and
HOLDFAST_STATEFUL_SHRINK=1 looks for the shortest way to a failure.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from inventory.release_guard import release_guard
from inventory.verify import verify_stock
from tests.inventory.stateful.machine import Inventory

STEPS = int(os.environ.get("HOLDFAST_STATEFUL_STEPS", "500"))
SEED = int(os.environ.get("HOLDFAST_STATEFUL_SEED", "1"))
STEPS_PER_WORLD = 60
SECONDS_PER_STEP = 1
"""Far more than a step takes; a run that hangs ends."""


@pytest.mark.slow
@pytest.mark.timeout(120 + STEPS * SECONDS_PER_STEP)
@pytest.mark.django_db(transaction=True)
def test_the_database_is_what_the_model_says(settings_of_guard, capsys):
    profile = settings(
        max_examples=12,
        stateful_step_count=STEPS_PER_WORLD,
        deadline=None,
        database=None,
        # Shrinking a failure takes minutes: asked for by the one who looks into it.
        phases=[Phase.generate, *([Phase.shrink] if os.environ.get("HOLDFAST_STATEFUL_SHRINK") else [])],
        suppress_health_check=list(HealthCheck),
    )
    Inventory.seen.clear()
    turn = SEED
    while (steps := Inventory.seen.total() - Inventory.seen["opened"]) < STEPS:
        run_state_machine_as_test(seed(turn)(Inventory), settings=profile)
        turn += 1
    # Opening a world's rows is counted apart: worlds shorter than that would be cheap steps.
    assert verify_stock().clean
    with capsys.disabled():
        print(f"\n{steps} steps, seeds {SEED} to {turn - 1}: {dict(sorted(Inventory.seen.items()))}")


@pytest.fixture
def settings_of_guard(request):
    """Django's settings under another name: `settings` is Hypothesis's here."""
    django_settings = request.getfixturevalue("settings")
    django_settings.INVENTORY_RELEASE_GUARD = "tests.inventory.stateful.checkouts.SessionGuard"
    # Only there may central inventory be enforced, which the machine switches as it likes.
    django_settings.ENVIRONMENT, django_settings.ENFORCE_CENTRAL_INVENTORY = "production", False
    release_guard.cache_clear()
    yield
    release_guard.cache_clear()
