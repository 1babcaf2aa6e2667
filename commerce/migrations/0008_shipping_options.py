import django.contrib.postgres.fields
import django.db.models.deletion
import uuid_utils.compat
from django.db import migrations, models

from tenants.policies import rows_of_a_shop


class Migration(migrations.Migration):

    dependencies = [
        ('commerce', '0007_cart_lines_elsewhere'),
        ('tenants', '0010_emergency_bypass'),
    ]

    operations = [
        migrations.AddField(
            model_name='order',
            name='shipping_name',
            field=models.CharField(blank=True, default='', max_length=100),
        ),
        migrations.CreateModel(
            name='ShippingOption',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('names', models.JSONField(help_text='What customers read, by locale.')),
                ('currency', models.CharField(max_length=3)),
                ('amount', models.PositiveBigIntegerField(help_text='Minor units.')),
                ('free_from_amount', models.PositiveBigIntegerField(blank=True, help_text='Merchandise in minor units from which this way is free.', null=True)),
                ('countries', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=2), blank=True, default=list, help_text='Countries it goes to. Without any, no address is asked for: a pick-up, or nothing to send.', size=None)),
                ('days_min', models.PositiveSmallIntegerField(blank=True, help_text='Working days, at least.', null=True)),
                ('days_max', models.PositiveSmallIntegerField(blank=True, help_text='Working days, at most.', null=True)),
                ('active', models.BooleanField(default=True)),
                ('position', models.PositiveIntegerField(default=0)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
            ],
            options={
                'ordering': ('position', 'id'),
                'indexes': [models.Index(condition=models.Q(('active', True)), fields=['shop', 'position', 'id'], name='shipping_offered')],
                'constraints': [models.UniqueConstraint(fields=('shop', 'id'), name='shipping_option_shop_and_id'), models.CheckConstraint(condition=models.Q(('currency__regex', '^[A-Z]{3}$')), name='shipping_currency_upper'), models.CheckConstraint(condition=models.Q(('names', {}), _negated=True), name='shipping_has_name'), models.CheckConstraint(condition=models.Q(models.Q(('days_max__isnull', True), ('days_min__isnull', True)), models.Q(('days_max__isnull', False), ('days_min__isnull', False), ('days_min__lte', models.F('days_max'))), _connector='OR'), name='shipping_days_in_order')],
            },
        ),
        rows_of_a_shop("commerce_shippingoption", web="read"),
    ]
