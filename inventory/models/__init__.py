from inventory.models.hold import Hold, HoldItem
from inventory.models.stock import StockMovement, StockOwner, StockRow

__all__ = ["Hold", "HoldItem", "StockMovement", "StockOwner", "StockRow"]
