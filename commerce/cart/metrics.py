"""Counters of carts."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

LINES_LOST: Final = Counter("cart_lines_lost_total", "Carts whose lines Redis had lost, told once each.", ["shop_id"])
LINES_DROPPED: Final = Counter(
    "cart_older_lines_dropped_total", "Lines of older carts that the catalog doesn't know.", ["shop_id"]
)
CARTS_MIGRATED: Final = Counter("cart_older_migrated_total", "Carts taken over from the older format.", ["shop_id"])
ABANDONED: Final = Counter(
    "cart_abandoned_total", "Carts that nobody came back to: emptied, or removed.", ["shop_id", "step"]
)
