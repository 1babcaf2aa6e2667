"""The event store, how far it was caught up, and what the nightly comparison found."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenants', '0001_initial'),
    ]

    replaces = [
        ('webhooks', '0003_events_looked_at_again'),
        ('webhooks', '0004_event_cursor'),
        ('webhooks', '0005_findings'),
        ('webhooks', '0006_journal_differs'),
    ]

    operations = [
        migrations.CreateModel(
            name='StripeEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('livemode', models.BooleanField()),
                ('account', models.CharField(db_collation='C', help_text='The account of the secret that verified it.', max_length=64)),
                ('event_id', models.CharField(db_collation='C', max_length=255)),
                ('type', models.CharField(db_collation='C', max_length=80)),
                ('api_version', models.CharField(blank=True, default='', max_length=40)),
                ('object_id', models.CharField(blank=True, db_collation='C', default='', max_length=255)),
                ('payload', models.JSONField()),
                ('status', models.CharField(choices=[('received', 'Received'), ('processing', 'Processing'), ('processed', 'Processed'), ('ignored', 'Ignored'), ('failed', 'Failed, will be retried'), ('dead', 'Dead letter')], default='received', max_length=10)),
                ('shop', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('resolved_by', models.CharField(blank=True, default='', max_length=24)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('error', models.TextField(blank=True, default='')),
                ('created_at', models.DateTimeField(help_text='When Stripe says it happened.')),
                ('received_at', models.DateTimeField()),
                ('processed_at', models.DateTimeField(blank=True, null=True)),
                ('next_attempt_at', models.DateTimeField(blank=True, null=True)),
                ('request_id', models.CharField(blank=True, default='', max_length=64)),
                ('other_version', models.BooleanField(db_default=False, default=False, help_text='Rendered in another API version than this product reads.')),
            ],
            options={
                'ordering': ('-received_at',),
                'indexes': [models.Index(condition=models.Q(('next_attempt_at__isnull', False)), fields=['next_attempt_at'], name='event_next_attempt'), models.Index(condition=models.Q(('other_version', True)), fields=['-received_at'], name='event_other_version'), models.Index(fields=['object_id'], name='event_by_object'), models.Index(fields=['-received_at'], name='event_by_time'), models.Index(fields=['status', '-received_at'], name='event_by_status')],
                'constraints': [models.UniqueConstraint(fields=('livemode', 'account', 'event_id'), name='event_once'), models.CheckConstraint(condition=models.Q(('status__in', ['received', 'processing', 'processed', 'ignored', 'failed', 'dead'])), name='event_status_known')],
            },
        ),
        migrations.CreateModel(
            name='EventDelivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='webhooks.stripeevent')),
                ('host', models.CharField(max_length=253)),
                ('host_shop', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('outcome', models.CharField(max_length=24)),
                ('request_id', models.CharField(blank=True, default='', max_length=64)),
                ('received_at', models.DateTimeField()),
            ],
            options={
                'verbose_name_plural': 'event deliveries',
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='EventCursor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('livemode', models.BooleanField()),
                ('account', models.CharField(db_collation='C', max_length=64)),
                ('read_until', models.DateTimeField(help_text='What Stripe made before this has been seen.')),
                ('reading_until', models.DateTimeField(blank=True, null=True)),
                ('page_after', models.CharField(blank=True, db_collation='C', default='', max_length=255)),
                ('missed', models.PositiveBigIntegerField(default=0, help_text='Events that were listed and had never arrived.')),
                ('checked_at', models.DateTimeField(blank=True, null=True)),
                ('error', models.CharField(blank=True, default='', help_text='Why the last look failed.', max_length=500)),
            ],
            options={
                'verbose_name': 'event catch-up',
                'verbose_name_plural': 'event catch-up',
                'ordering': ('account',),
                'constraints': [models.UniqueConstraint(fields=('livemode', 'account'), name='cursor_once')],
            },
        ),
        migrations.CreateModel(
            name='Finding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('livemode', models.BooleanField()),
                ('account', models.CharField(db_collation='C', max_length=64)),
                ('kind', models.CharField(choices=[('money_without_order', 'Money without order'), ('order_without_money', 'Order without money'), ('refund_unknown', "Refund that isn't booked"), ('journal_differs', "Journal differs from Stripe's balance")], max_length=24)),
                ('object_id', models.CharField(db_collation='C', help_text="Stripe's session, charge, refund or dispute.", max_length=255)),
                ('shop', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('order_number', models.CharField(blank=True, db_collation='C', default='', max_length=24)),
                ('currency', models.CharField(max_length=3)),
                ('amount', models.BigIntegerField(help_text='Minor units.')),
                ('detail', models.CharField(max_length=300)),
                ('state', models.CharField(choices=[('open', 'Open'), ('fixed', 'Fixed'), ('dismissed', 'Dismissed'), ('gone', 'Gone by itself')], default='open', max_length=12)),
                ('found_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField(help_text='When a look found it last.')),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('closed_by', models.CharField(blank=True, default='', max_length=150)),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(fields=['shop', '-id'], name='finding_by_shop'), models.Index(condition=models.Q(('state', 'open')), fields=['found_at'], name='finding_open')],
                'constraints': [models.UniqueConstraint(fields=('livemode', 'account', 'kind', 'object_id'), name='finding_once'), models.CheckConstraint(condition=models.Q(('state__in', ['open', 'fixed', 'dismissed', 'gone'])), name='finding_state_known')],
            },
        ),
    ]
