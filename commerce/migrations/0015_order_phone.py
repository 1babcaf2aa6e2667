from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('commerce', '0014_coupons'),
    ]

    operations = [
        migrations.AddField(
            model_name='order',
            name='phone',
            field=models.CharField(blank=True, default='', max_length=40),
        ),
    ]
