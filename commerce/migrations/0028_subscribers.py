import django.db.models.deletion
from django.db import migrations, models

SAME_SHOP = """
ALTER TABLE commerce_subscription ADD CONSTRAINT subscription_plan_of_its_shop
    FOREIGN KEY (shop_id, version_id) REFERENCES commerce_planversion (shop_id, id) DEFERRABLE INITIALLY DEFERRED
"""


class Migration(migrations.Migration):

    dependencies = [
        ('commerce', '0027_tax_of_lines'),
        ('tenants', '0016_taxes'),
    ]

    operations = [
        migrations.AddField(
            model_name='subscription',
            name='email',
            field=models.CharField(blank=True, default='', help_text='Who subscribed here, in lower case.', max_length=254),
        ),
        migrations.AddField(
            model_name='subscription',
            name='version',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='commerce.planversion'),
        ),
        migrations.AlterField(
            model_name='subscription',
            name='items',
            field=models.JSONField(default=list, help_text='Id, price and quantity of each item.'),
        ),
        migrations.AddIndex(
            model_name='subscription',
            index=models.Index(fields=['email'], name='subscription_by_email'),
        ),
        migrations.AddIndex(
            model_name='subscription',
            index=models.Index(fields=['shop', 'version'], name='subscription_by_version'),
        ),
        migrations.RunSQL(SAME_SHOP, "ALTER TABLE commerce_subscription DROP CONSTRAINT subscription_plan_of_its_shop"),
    ]
