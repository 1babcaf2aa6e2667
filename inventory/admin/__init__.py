"""Stock, holds and history for staff. Nothing is edited here: actions call the verbs that everybody calls."""

from inventory.admin import alerts, history, holds, stock

__all__ = ["alerts", "history", "holds", "stock"]
