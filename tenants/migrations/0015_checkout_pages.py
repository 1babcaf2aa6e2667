from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0014_rental_terms'),
    ]

    operations = [
        migrations.AddField(
            model_name='shopcredential',
            name='publishable_key',
            field=models.CharField(blank=True, db_collation='C', default='', max_length=255),
        ),
        migrations.AddField(
            model_name='shopsettings',
            name='asks_phone',
            field=models.BooleanField(default=False, verbose_name='ask for a phone number'),
        ),
        migrations.AddField(
            model_name='shopsettings',
            name='billing_address',
            field=models.CharField(choices=[('auto', 'Where the payment needs it'), ('required', 'Always')], default='auto', help_text='When a payment form asks for it.', max_length=8),
        ),
        migrations.AddField(
            model_name='shopsettings',
            name='payment_note',
            field=models.CharField(blank=True, default='', help_text="Shown beside the payment button. Custom elements have a page of their own and don't show it.", max_length=1200),
        ),
    ]
