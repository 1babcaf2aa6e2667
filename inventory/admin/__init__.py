"""Stock, holds and history for staff. Nothing is edited here: actions call the verbs that everybody calls."""

from inventory.admin import history, holds, stock

__all__ = ["history", "holds", "stock"]
