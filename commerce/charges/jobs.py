"""The three jobs on rentals' money by their names, and whose turn it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.db.models import Q

from commerce.charges.clearing import charge_late_fees
from commerce.charges.holding import hold_deposits
from commerce.charges.releasing import release_deposits
from commerce.charges.reports import JobReport
from tenants.models import Shop, ShopSettings

JOBS: Final[dict[str, Callable[..., JobReport]]] = {
    "hold_deposits": hold_deposits,
    "charge_late_fees": charge_late_fees,
    "release_deposits": release_deposits,
}


def shops_with_work() -> list[str]:
    """Shops that have a policy, or whose deposits are authorised; of shops that have closed too: their rentals end."""
    wanted = Q(charge_policy__isnull=False) | Q(settings__deposit_mode=ShopSettings.DepositMode.AUTHORISED)
    return list(Shop.objects.filter(wanted, settings__kind="rental").order_by("pk").values_list("pk", flat=True))
