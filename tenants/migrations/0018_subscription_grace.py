import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0017_deposit_terms'),
    ]

    operations = [
        migrations.AddField(
            model_name='shopsettings',
            name='subscription_grace_days',
            field=models.PositiveSmallIntegerField(default=7, help_text="How long a subscriber whose renewal isn't paid keeps what they have.", validators=[django.core.validators.MaxValueValidator(90)], verbose_name='days of grace'),
        ),
    ]
