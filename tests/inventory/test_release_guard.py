"""The guard is proved at boot: without it, inventory could give back what somebody is paying for."""

from __future__ import annotations

import pytest

from inventory.checks import check_release_guard
from inventory.release_guard import GuardReport, ReleaseGuard, release_guard


class Incomplete:
    def refuse_finish(self, *, shop_id, hold_id, held_for):
        pass


@pytest.mark.parametrize(
    "name",
    ["checkout.nowhere.Guard", "inventory.release_guard.Missing", "tests.inventory.test_release_guard.Incomplete", "x"],
)
def test_a_guard_that_is_none_stops_the_boot(settings, name):
    settings.INVENTORY_RELEASE_GUARD = name
    release_guard.cache_clear()
    (error,) = check_release_guard()
    assert (error.id, error.is_serious()) == ("inventory.E001", True)
    assert name in error.msg


def test_the_guard_in_force_passes(guard):
    assert check_release_guard() == []
    assert release_guard() is guard


def test_the_products_guard_keeps_the_protocol(settings):
    settings.INVENTORY_RELEASE_GUARD = "checkout.release_guard.CheckoutReleaseGuard"
    release_guard.cache_clear()
    assert isinstance(release_guard(), ReleaseGuard)
    assert check_release_guard() == []


def test_reports_add_up():
    one = GuardReport(found=1, expired=2, committed=3, kept=4, failed=5)
    assert one + one == GuardReport(found=2, expired=4, committed=6, kept=8, failed=10)
