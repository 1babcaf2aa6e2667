from django.apps import AppConfig
from django.core.checks import register


class InventoryConfig(AppConfig):
    name = "inventory"
    verbose_name = "Inventory"

    def ready(self) -> None:
        # Late: they import models, which exist only now.
        from inventory.checks import check_catalog, check_release_guard
        from inventory.metrics import InventoryGauges
        from tenants.metrics import register_collector

        register(check_release_guard)
        register(check_catalog)
        register_collector(InventoryGauges())
