"""Errors of charges on saved cards."""

from __future__ import annotations

from tenants.errors import HoldfastError


class PaymentOfNobody(HoldfastError):
    """A payment that names a charge which this shop hasn't got."""

    code = "wrong_state"
