"""Django's registry of this app's models; each is defined in the folder of its noun."""

from commerce.cart.models import Cart, CartLine
from commerce.catalog.models import Product, ProductText, Variant
from commerce.charges.models import Charge, ChargeLink, ChargePolicy, Collection, RentalClearing
from commerce.coupons.models import Coupon, CouponRedemption
from commerce.disputes.models import Dispute
from commerce.ledger.models import JournalEntry, JournalLine
from commerce.orders.models import Order, OrderLine
from commerce.plans.models import Plan, PlanVersion, StripePlanPrice
from commerce.reconciliation.models import ReconciliationRecord
from commerce.rentals.models import Rental, RentalEvent, RentalLine, RentalUnits
from commerce.returns.models import Refund, Return, ReturnLine
from commerce.shipping.models import ShippingOption
from commerce.subscriptions.models import Invoice, Subscription
from commerce.subscriptions.note_models import SubscriptionNote
from commerce.subscriptions.operation_models import SubscriptionOperation
from commerce.taxes.models import StripeTaxRate, TaxRate

__all__ = [
    "Cart",
    "CartLine",
    "Charge",
    "ChargeLink",
    "ChargePolicy",
    "Collection",
    "Coupon",
    "CouponRedemption",
    "Dispute",
    "Invoice",
    "JournalEntry",
    "JournalLine",
    "Order",
    "OrderLine",
    "Plan",
    "PlanVersion",
    "Product",
    "ProductText",
    "ReconciliationRecord",
    "Refund",
    "Rental",
    "RentalClearing",
    "RentalEvent",
    "RentalLine",
    "RentalUnits",
    "Return",
    "ReturnLine",
    "ShippingOption",
    "StripePlanPrice",
    "StripeTaxRate",
    "Subscription",
    "SubscriptionNote",
    "SubscriptionOperation",
    "TaxRate",
    "Variant",
]
