"""Explores one configuration and prints what was found: shortest traces first to last step."""

from __future__ import annotations

import argparse
import os
import sys
import time

import django


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
    django.setup()
    # Late, because the model speaks the words of Django's models.
    from tests.checkout.attempt_model.explore import explore
    from tests.checkout.attempt_model.protocol import BREAKS
    from tests.checkout.attempt_model.world import Bounds

    parser = argparse.ArgumentParser(prog="python -m tests.checkout.attempt_model", description=__doc__)
    for name, default in (("tabs", 2), ("workers", 1), ("attempts", 2), ("on-hand", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--cart-changes", type=int, default=1)
    parser.add_argument("--staff-cancels", type=int, default=1)
    parser.add_argument("--without-other-buyer", action="store_true")
    parser.add_argument("--late-pay", action="store_true", help="payments may land after an expiry")
    parser.add_argument("--limit", type=int, default=5_000_000, help="states at most")
    parser.add_argument("--break", dest="breaks", action="append", default=[], choices=sorted(BREAKS))
    parser.add_argument("--brief", action="store_true", help="no traces")
    wish = parser.parse_args()
    bounds = Bounds(
        tabs=wish.tabs,
        workers=wish.workers,
        attempts=wish.attempts,
        on_hand=wish.on_hand,
        cart_changes=wish.cart_changes,
        staff_cancels=wish.staff_cancels,
        other_buyer=not wish.without_other_buyer,
        late_pay=wish.late_pay,
    )
    began = time.monotonic()
    found = explore(bounds, wish.breaks, limit=wish.limit)
    how = "complete" if found.complete else "CUT OFF"
    print(f"{found.states:,} states ({how}), {found.at_rest:,} at rest, {time.monotonic() - began:.0f} s")
    for violated, trace in found.violated.items():
        print(f"VIOLATED: {violated}, {len(trace)} steps")
        if not wish.brief:
            print("\n".join(f"  {number}. {step}" for number, step in enumerate(trace, 1)))
    return 1 if found.violated else 0


if __name__ == "__main__":
    sys.exit(main())
