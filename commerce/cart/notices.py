"""What a cart tells once: lines that the customer will miss, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Notice:
    """`code` is stable, `message` is for a person. `sku` and `quantity` name a line where one is meant."""

    code: str
    message: str
    sku: str = ""
    quantity: int = 0

    def as_json(self) -> dict[str, Any]:
        line = {"sku": self.sku, "quantity": self.quantity} if self.sku else {}
        return {"code": self.code, "message": self.message, **line}


LINES_LOST: Final = Notice("lines_lost", "What was in this cart could not be kept. Please choose again.")
OLDER_UNREADABLE: Final = Notice("older_cart_unreadable", "An earlier cart could not be read. Please choose again.")


def line_dropped(sku: str, quantity: int) -> Notice:
    return Notice("line_dropped", "This is not sold here any more.", sku, quantity)
