import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0013_service_token_pages'),
    ]

    operations = [
        migrations.AddField(
            model_name='shopsettings',
            name='rental_horizon_days',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Days from the order to the latest pick-up.', null=True, validators=[django.core.validators.MaxValueValidator(730)], verbose_name='latest pick-up'),
        ),
        migrations.AddField(
            model_name='shopsettings',
            name='rental_lead_days',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Days from the order to the earliest pick-up; 0: the same day.', null=True, validators=[django.core.validators.MaxValueValidator(730)], verbose_name='notice before pick-up'),
        ),
        migrations.AddField(
            model_name='shopsettings',
            name='rental_max_days',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Days, those of pick-up and return included.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(366)], verbose_name='longest rental'),
        ),
        migrations.AddField(
            model_name='shopsettings',
            name='rental_min_days',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Days, those of pick-up and return included. Empty, here and below: as the platform says.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(366)], verbose_name='shortest rental'),
        ),
        migrations.AddConstraint(
            model_name='shopsettings',
            constraint=models.CheckConstraint(condition=models.Q(('rental_min_days__lte', models.F('rental_max_days')), ('rental_min_days__isnull', True), ('rental_max_days__isnull', True), _connector='OR'), name='shop_rental_days_in_order', violation_error_message='The shortest rental is longer than the longest.'),
        ),
    ]
