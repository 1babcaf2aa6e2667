"""What an order's page says of the card that its customer left."""

from __future__ import annotations

from django.utils.safestring import SafeString

from commerce.admin.display import User, reader_link, shop_amount, shop_moment, table
from commerce.models import Charge, Order


def told_collected(charge: Charge) -> str:
    """What was collected, and what of it was given back at Stripe."""
    taken = shop_amount(charge.shop, charge.captured_amount or None, charge.currency)
    if not charge.refunded_amount:
        return taken
    return f"{taken}, of which {shop_amount(charge.shop, charge.refunded_amount, charge.currency)} went back"


def off_the_card(order: Order, reader: User) -> SafeString:
    """Every charge, what for and what became of it."""
    rows = [
        (
            shop_moment(order.shop, charge.created_at),
            reader_link(reader, charge, charge.get_purpose_display()),
            charge.get_status_display(),
            charge.reason,
            shop_amount(order.shop, charge.amount, charge.currency),
            told_collected(charge),
        )
        for charge in order.charges.select_related("shop__settings").defer("stripe_params").order_by("id")
    ]
    return table(["When", "For", "State", "Why", "Amount", "Collected"], rows, right={4, 5}, whole={0})
