"""Stock, holds, history and imports for staff. Nothing is edited here: actions call the verbs that everybody calls."""

from inventory.admin import alerts, history, holds, import_rows, imports, pools, routes, stock

__all__ = ["alerts", "history", "holds", "import_rows", "imports", "pools", "routes", "stock"]
