"""A host proves that its domain is its owner's. Those served so far go on; each gets a token of its own."""

import secrets
from django.db import migrations, models


EXISTING = """
UPDATE tenants_host
   SET verification_token = replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''),
       verified_at = now(), verified_by = 'earlier'
"""


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0006_stripe_credentials'),
    ]

    operations = [
        migrations.AddField(
            model_name='host',
            name='checked_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='host',
            name='checks',
            field=models.JSONField(default=list, editable=False, help_text='What the last look at the domain found.'),
        ),
        migrations.AddField(
            model_name='host',
            name='locale',
            field=models.CharField(blank=True, default='', help_text="Pages without a locale get this one. Empty: the browser's choice, else the shop's default.", max_length=12),
        ),
        migrations.AddField(
            model_name='host',
            name='verification_token',
            field=models.CharField(default=secrets.token_urlsafe, editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='host',
            name='verified_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='host',
            name='verified_by',
            field=models.CharField(blank=True, choices=[('', 'None'), ('dns', 'TXT record'), ('file', 'File on the domain'), ('earlier', 'Served before proofs were asked for')], default='', editable=False, max_length=8),
        ),
        migrations.RunSQL(EXISTING, migrations.RunSQL.noop),
    ]
