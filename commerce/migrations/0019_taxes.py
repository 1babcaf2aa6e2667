import django.core.validators
import django.db.models.deletion
import uuid_utils.compat
from decimal import Decimal
from django.db import migrations, models

from tenants.database import WEB_ROLE
from tenants.policies import rows_of_a_shop

SAME_SHOP = """
ALTER TABLE commerce_stripetaxrate ADD CONSTRAINT stripe_tax_rate_of_its_shop
    FOREIGN KEY (shop_id, rate_id) REFERENCES commerce_taxrate (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
SAME_SHOP_REVERSE = "ALTER TABLE commerce_stripetaxrate DROP CONSTRAINT stripe_tax_rate_of_its_shop;"


class Migration(migrations.Migration):

    dependencies = [
        ('commerce', '0018_reconciliation'),
        ('tenants', '0016_taxes'),
    ]

    operations = [
        migrations.CreateModel(
            name='StripeTaxRate',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('stripe_account', models.CharField(db_collation='C', max_length=64)),
                ('livemode', models.BooleanField()),
                ('stripe_key', models.CharField(db_collation='C', max_length=255)),
                ('keyed_at', models.DateTimeField(help_text='Since when this key is used: Stripe forgets keys after a day.')),
                ('stripe_id', models.CharField(blank=True, db_collation='C', max_length=255, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='TaxRate',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('country', models.CharField(blank=True, db_collation='C', default='', max_length=2, validators=[django.core.validators.RegexValidator('^[A-Z]{2}\\Z', 'A two-letter code, such as DE.')])),
                ('name', models.CharField(help_text='What customers read on receipt and invoice, such as VAT.', max_length=50)),
                ('percentage', models.DecimalField(decimal_places=4, max_digits=7, validators=[django.core.validators.MinValueValidator(Decimal('0')), django.core.validators.MaxValueValidator(Decimal('100'))])),
                ('inclusive', models.BooleanField(default=True, help_text="Whether the catalog's prices contain it.")),
                ('valid_from', models.DateField(help_text="The first day, in the shop's time zone.")),
                ('active', models.BooleanField(default=True, help_text='Off: a mistake. It counts for no checkout any more.')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ('shop_id', 'country', '-valid_from', '-id'),
            },
        ),
        migrations.AddField(
            model_name='order',
            name='tax_inclusive',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='order',
            name='tax_mode',
            field=models.CharField(choices=[('none', 'None'), ('automatic', 'Computed by Stripe'), ('static', "The shop's own rate")], default='none', max_length=10),
        ),
        migrations.AddField(
            model_name='product',
            name='tax_code',
            field=models.CharField(blank=True, default='', help_text="Stripe's tax code, txcd_…. Empty: the shop's.", max_length=13),
        ),
        migrations.AddConstraint(
            model_name='product',
            constraint=models.CheckConstraint(condition=models.Q(('tax_code__regex', '^(txcd_[0-9]{8})?$')), name='product_tax_code_plain', violation_error_message='A tax code is txcd_ and eight digits.'),
        ),
        migrations.AddField(
            model_name='stripetaxrate',
            name='shop',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AddField(
            model_name='taxrate',
            name='shop',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AddField(
            model_name='stripetaxrate',
            name='rate',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='at_stripe', to='commerce.taxrate'),
        ),
        migrations.AddConstraint(
            model_name='taxrate',
            constraint=models.UniqueConstraint(fields=('shop', 'id'), name='tax_rate_shop_and_id'),
        ),
        migrations.AddConstraint(
            model_name='taxrate',
            constraint=models.UniqueConstraint(condition=models.Q(('active', True)), fields=('shop', 'country', 'valid_from'), name='tax_rate_one_per_day', violation_error_message='There is a rate for this country from this day on. Switch that one off first.'),
        ),
        migrations.AddConstraint(
            model_name='taxrate',
            constraint=models.CheckConstraint(condition=models.Q(('percentage__gte', 0), ('percentage__lte', 100)), name='tax_rate_within_bounds'),
        ),
        migrations.AddConstraint(
            model_name='taxrate',
            constraint=models.CheckConstraint(condition=models.Q(('country__regex', '^([A-Z]{2})?$')), name='tax_rate_country_plain'),
        ),
        migrations.AddConstraint(
            model_name='stripetaxrate',
            constraint=models.UniqueConstraint(fields=('shop', 'rate', 'stripe_account', 'livemode'), name='stripe_tax_rate_once'),
        ),
        migrations.RunSQL(SAME_SHOP, SAME_SHOP_REVERSE),
        rows_of_a_shop("commerce_taxrate", web="read"),
        # A checkout names a rate at Stripe when it first needs it there; staff write the rates.
        rows_of_a_shop("commerce_stripetaxrate", web="append"),
        migrations.RunSQL(
            f"GRANT UPDATE (stripe_key, keyed_at, stripe_id) ON commerce_stripetaxrate TO {WEB_ROLE}",
            f"REVOKE UPDATE (stripe_key, keyed_at, stripe_id) ON commerce_stripetaxrate FROM {WEB_ROLE}",
        ),
    ]
