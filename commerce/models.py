"""Django's registry of this app's models; each is defined in the folder of its noun."""

from commerce.cart.models import Cart, CartLine
from commerce.catalog.models import Product, ProductText, Variant
from commerce.ledger.models import JournalEntry, JournalLine
from commerce.orders.models import Order, OrderLine
from commerce.shipping.models import ShippingOption

__all__ = [
    "Cart",
    "CartLine",
    "JournalEntry",
    "JournalLine",
    "Order",
    "OrderLine",
    "Product",
    "ProductText",
    "ShippingOption",
    "Variant",
]
