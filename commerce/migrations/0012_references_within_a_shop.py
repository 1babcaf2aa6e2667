"""Rows of a shop refer to rows of the same shop: (shop_id, id) is what they name, whoever writes.

Deferred to the commit, as Django's own keys are. A reference that may be null is checked when it isn't: shop_id never
is, so no half of the pair can be missing.
"""

from django.db import migrations

# Table, column, name of the key, table that is named.
CATALOG_AND_ORDERS = (
    ("commerce_cartline", "cart_id", "cart_line_of_its_shop", "commerce_cart"),
    ("commerce_producttext", "product_id", "product_text_of_its_shop", "commerce_product"),
    ("commerce_variant", "product_id", "variant_of_its_shop", "commerce_product"),
    ("commerce_order", "hold_id", "order_hold_of_its_shop", "inventory_hold"),
    ("commerce_orderline", "order_id", "order_line_of_its_shop", "commerce_order"),
    ("commerce_couponredemption", "coupon_id", "coupon_redemption_coupon_of_its_shop", "commerce_coupon"),
    ("commerce_couponredemption", "order_id", "coupon_redemption_order_of_its_shop", "commerce_order"),
    ("commerce_stripetaxrate", "rate_id", "stripe_tax_rate_of_its_shop", "commerce_taxrate"),
)
RENTALS = (
    ("commerce_rental", "order_id", "rental_order_of_its_shop", "commerce_order"),
    ("commerce_rentalline", "rental_id", "rental_line_of_its_shop", "commerce_rental"),
    ("commerce_rentalline", "order_line_id", "rental_line_order_line_of_its_shop", "commerce_orderline"),
    ("commerce_rentalunits", "line_id", "rental_units_of_its_shop", "commerce_rentalline"),
    ("commerce_rentalunits", "hold_id", "rental_units_hold_of_its_shop", "inventory_hold"),
    ("commerce_rentalevent", "rental_id", "rental_event_of_its_shop", "commerce_rental"),
    ("commerce_charge", "order_id", "charge_order_of_its_shop", "commerce_order"),
    ("commerce_chargelink", "charge_id", "charge_link_of_its_shop", "commerce_charge"),
    ("commerce_collection", "order_id", "collection_order_of_its_shop", "commerce_order"),
    ("commerce_collection", "charge_id", "collection_charge_of_its_shop", "commerce_charge"),
    ("commerce_rentalclearing", "rental_id", "clearing_rental_of_its_shop", "commerce_rental"),
)
SUBSCRIPTIONS = (
    ("commerce_planversion", "plan_id", "plan_version_of_its_shop", "commerce_plan"),
    ("commerce_stripeplanprice", "version_id", "stripe_plan_price_of_its_shop", "commerce_planversion"),
    ("commerce_subscription", "version_id", "subscription_plan_of_its_shop", "commerce_planversion"),
    (
        "commerce_subscriptionoperation",
        "subscription_id",
        "subscription_operation_of_its_shop",
        "commerce_subscription",
    ),
    (
        "commerce_subscriptionnote",
        "subscription_id",
        "subscription_note_subscription_of_its_shop",
        "commerce_subscription",
    ),
    ("commerce_subscriptionnote", "invoice_id", "subscription_note_invoice_of_its_shop", "commerce_invoice"),
)
MONEY = (
    ("commerce_journalentry", "order_id", "journal_entry_order_of_its_shop", "commerce_order"),
    ("commerce_journalline", "entry_id", "journal_line_of_its_shop", "commerce_journalentry"),
    ("commerce_journalentry", "invoice_id", "journal_entry_invoice_of_its_shop", "commerce_invoice"),
    ("commerce_return", "order_id", "return_order_of_its_shop", "commerce_order"),
    ("commerce_returnline", "returned_id", "return_line_of_its_shop", "commerce_return"),
    ("commerce_returnline", "order_line_id", "return_line_order_line_of_its_shop", "commerce_orderline"),
    ("commerce_refund", "order_id", "refund_order_of_its_shop", "commerce_order"),
    ("commerce_refund", "returned_id", "refund_return_of_its_shop", "commerce_return"),
    ("commerce_dispute", "order_id", "dispute_order_of_its_shop", "commerce_order"),
    ("commerce_reconciliationrecord", "order_id", "reconciliation_order_of_its_shop", "commerce_order"),
)


def within_a_shop(table: str, column: str, name: str, named: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (shop_id, {column})"
        f" REFERENCES {named} (shop_id, id) DEFERRABLE INITIALLY DEFERRED",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


class Migration(migrations.Migration):
    replaces = [("commerce", "0005_references_within_a_shop")]
    dependencies = [("commerce", "0011_taxes_of_lines")]

    operations = [within_a_shop(*key) for key in (*CATALOG_AND_ORDERS, *RENTALS, *SUBSCRIPTIONS, *MONEY)]
