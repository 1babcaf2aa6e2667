from inventory.models.hold import Hold, HoldItem
from inventory.models.run import InventoryRun
from inventory.models.stock import StockMovement, StockOwner, StockRow

__all__ = ["Hold", "HoldItem", "InventoryRun", "StockMovement", "StockOwner", "StockRow"]
