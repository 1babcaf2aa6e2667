import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('commerce', '0010_disputes_and_subscriptions'),
        ('tenants', '0014_rental_terms'),
    ]

    operations = [
        migrations.AddField(
            model_name='orderline',
            name='rental_days',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='orderline',
            name='rental_rates',
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name='product',
            name='rental_horizon_days',
            field=models.PositiveSmallIntegerField(blank=True, help_text="Days from the order; empty: the shop's.", null=True, validators=[django.core.validators.MaxValueValidator(730)], verbose_name='latest pick-up'),
        ),
        migrations.AddField(
            model_name='product',
            name='rental_lead_days',
            field=models.PositiveSmallIntegerField(blank=True, help_text="Days from the order; empty: the shop's.", null=True, validators=[django.core.validators.MaxValueValidator(730)], verbose_name='notice before pick-up'),
        ),
        migrations.AddField(
            model_name='product',
            name='rental_max_days',
            field=models.PositiveSmallIntegerField(blank=True, help_text="Days; empty: the shop's.", null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(366)], verbose_name='longest rental'),
        ),
        migrations.AddField(
            model_name='product',
            name='rental_min_days',
            field=models.PositiveSmallIntegerField(blank=True, help_text="Days; empty: the shop's.", null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(366)], verbose_name='shortest rental'),
        ),
        migrations.AddField(
            model_name='variant',
            name='month_amount',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='variant',
            name='week_amount',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='variant',
            name='weekend_amount',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddConstraint(
            model_name='orderline',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('deposit_amount', 0), ('rental_days__isnull', True), ('rental_end__isnull', True), ('rental_start__isnull', True)), models.Q(('rental_days', models.Func(models.F('rental_end'), models.F('rental_start'), arg_joiner=' - ', output_field=models.IntegerField(), template='(%(expressions)s + 1)')), ('rental_days__isnull', False), ('rental_end__gte', models.F('rental_start')), ('rental_end__isnull', False), ('rental_start__isnull', False)), _connector='OR'), name='order_line_rental_whole'),
        ),
        migrations.AddConstraint(
            model_name='product',
            constraint=models.CheckConstraint(condition=models.Q(('rental_min_days__lte', models.F('rental_max_days')), ('rental_min_days__isnull', True), ('rental_max_days__isnull', True), _connector='OR'), name='product_rental_days_in_order', violation_error_message='The shortest rental is longer than the longest.'),
        ),
    ]
