from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0015_checkout_pages'),
    ]

    operations = [
        migrations.AddField(
            model_name='shopsettings',
            name='tax_behavior',
            field=models.CharField(choices=[('inclusive', 'Prices contain the tax'), ('exclusive', 'The tax comes on top')], default='inclusive', help_text="Where Stripe computes taxes. The shop's own rates say it each.", max_length=9, verbose_name='prices and taxes'),
        ),
        migrations.AddField(
            model_name='shopsettings',
            name='tax_code',
            field=models.CharField(blank=True, default='', help_text="Stripe's code (txcd_…) for products without one. Empty: as the Stripe account says.", max_length=13),
        ),
        migrations.AddField(
            model_name='shopsettings',
            name='tax_country',
            field=models.CharField(blank=True, default='', help_text="Under the shop's own rates: where it sells from. Its rate applies where no address says otherwise.", max_length=2),
        ),
        migrations.AddField(
            model_name='shopsettings',
            name='tax_mode',
            field=models.CharField(choices=[('none', 'None: prices are charged as they stand'), ('automatic', 'Stripe computes them by address'), ('static', "The shop's own rates")], default='none', max_length=10, verbose_name='taxes'),
        ),
        migrations.AddConstraint(
            model_name='shopsettings',
            constraint=models.CheckConstraint(condition=models.Q(('tax_code__regex', '^(txcd_[0-9]{8})?$')), name='shop_tax_code_plain', violation_error_message='A tax code is txcd_ and eight digits.'),
        ),
        migrations.AddConstraint(
            model_name='shopsettings',
            constraint=models.CheckConstraint(condition=models.Q(('tax_country__regex', '^[A-Z]{2}$'), models.Q(('tax_country', ''), models.Q(('tax_mode', 'static'), _negated=True)), _connector='OR'), name='shop_tax_country_known', violation_error_message="The shop's own rates need the country that it sells from, such as DE."),
        ),
    ]
