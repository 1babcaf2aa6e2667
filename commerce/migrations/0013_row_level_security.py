"""A shop's requests see its own rows alone. What staff write they read; of the rest they write what their work needs,
which for histories is adding to them.
"""

from django.db import migrations

from tenants.database import WEB_ROLE
from tenants.policies import rows_of_a_shop, web_may_update


class Migration(migrations.Migration):
    replaces = [("commerce", "0006_row_level_security")]
    dependencies = [("commerce", "0012_references_within_a_shop"), ("tenants", "0005_row_level_security")]

    operations = [
        rows_of_a_shop("commerce_product", web="read"),
        rows_of_a_shop("commerce_producttext", web="read"),
        rows_of_a_shop("commerce_variant", web="read"),
        rows_of_a_shop("commerce_shippingoption", web="read"),
        rows_of_a_shop("commerce_cart"),
        rows_of_a_shop("commerce_cartline"),
        rows_of_a_shop("commerce_order"),
        rows_of_a_shop("commerce_orderline"),
        # An order's number is drawn by its row's default, with the right of whoever writes the row.
        migrations.RunSQL(
            f"GRANT USAGE ON SEQUENCE commerce_order_number TO {WEB_ROLE}",
            f"REVOKE USAGE ON SEQUENCE commerce_order_number FROM {WEB_ROLE}",
        ),
        # Staff write coupons; a shop's own requests count them and nothing else.
        rows_of_a_shop("commerce_coupon", web="read"),
        web_may_update("commerce_coupon", "used"),
        rows_of_a_shop("commerce_couponredemption", web="append"),
        web_may_update("commerce_couponredemption", "state", "beyond_limit", "ended_at"),
        # Staff write rates; a checkout names one at Stripe when it first needs it there.
        rows_of_a_shop("commerce_taxrate", web="read"),
        rows_of_a_shop("commerce_stripetaxrate", web="append"),
        web_may_update("commerce_stripetaxrate", "stripe_key", "keyed_at", "stripe_id"),
        rows_of_a_shop("commerce_rental"),
        rows_of_a_shop("commerce_rentalline"),
        rows_of_a_shop("commerce_rentalunits"),
        rows_of_a_shop("commerce_rentalevent", web="append"),
        rows_of_a_shop("commerce_rentalclearing"),
        rows_of_a_shop("commerce_charge"),
        rows_of_a_shop("commerce_chargelink"),
        rows_of_a_shop("commerce_collection"),
        rows_of_a_shop("commerce_chargepolicy", web="read"),
        # Staff write plans; a subscription names one at Stripe when it is first needed there.
        rows_of_a_shop("commerce_plan", web="read"),
        rows_of_a_shop("commerce_planversion", web="read"),
        rows_of_a_shop("commerce_stripeplanprice", web="append"),
        web_may_update("commerce_stripeplanprice", "stripe_key", "price_id"),
        rows_of_a_shop("commerce_subscription"),
        rows_of_a_shop("commerce_invoice"),
        # A history: nothing is taken out of it.
        rows_of_a_shop("commerce_subscriptionoperation", web="append"),
        migrations.RunSQL(
            f"GRANT UPDATE ON commerce_subscriptionoperation TO {WEB_ROLE}",
            f"REVOKE UPDATE ON commerce_subscriptionoperation FROM {WEB_ROLE}",
        ),
        # Whoever reads an invoice notes what is to be told; the worker sends.
        rows_of_a_shop("commerce_subscriptionnote", web="append"),
        rows_of_a_shop("commerce_journalentry", web="append"),
        rows_of_a_shop("commerce_journalline", web="append"),
        rows_of_a_shop("commerce_return"),
        rows_of_a_shop("commerce_returnline"),
        rows_of_a_shop("commerce_refund"),
        rows_of_a_shop("commerce_dispute"),
        rows_of_a_shop("commerce_reconciliationrecord"),
    ]
