from inventory.models.alert import AlertDelivery, StockAlert
from inventory.models.booking import HoldPeriod, StockDay
from inventory.models.hold import Hold, HoldItem
from inventory.models.pool import Pool, PoolRoute
from inventory.models.run import InventoryRun
from inventory.models.stock import StockMovement, StockOwner, StockRow
from inventory.models.stock_import import StockImport, StockImportPart, StockImportRow

__all__ = [
    "AlertDelivery",
    "Hold",
    "HoldItem",
    "HoldPeriod",
    "InventoryRun",
    "Pool",
    "PoolRoute",
    "StockAlert",
    "StockDay",
    "StockImport",
    "StockImportPart",
    "StockImportRow",
    "StockMovement",
    "StockOwner",
    "StockRow",
]
