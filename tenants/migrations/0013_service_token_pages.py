import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0012_service_token'),
    ]

    operations = [
        migrations.AddField(
            model_name='servicetoken',
            name='secret_at',
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='servicetoken',
            name='secret_by',
            field=models.CharField(default='', editable=False, max_length=160),
            preserve_default=False,
        ),
        # As exactly as is known: tokens that have been rotated say so in the audit trail.
        migrations.RunSQL(
            'UPDATE tenants_servicetoken SET secret_at = created_at, secret_by = created_by',
            migrations.RunSQL.noop,
        ),
        migrations.AlterField(
            model_name='servicetoken',
            name='shop',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='service_tokens', to='tenants.shop'),
        ),
        migrations.AddIndex(
            model_name='servicetoken',
            index=models.Index(fields=['-created_at', '-id'], name='service_token_newest'),
        ),
        migrations.AddIndex(
            model_name='servicetoken',
            index=models.Index(fields=['shop', '-created_at', '-id'], name='service_token_by_shop'),
        ),
    ]
