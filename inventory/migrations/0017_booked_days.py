import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inventory', '0016_pool_imports'),
        ('tenants', '0014_rental_terms'),
    ]

    operations = [
        migrations.AddField(
            model_name='stockrow',
            name='buffer_days',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, help_text="Days after each rental on which its units are cleaned and can't go out."),
        ),
        migrations.CreateModel(
            name='HoldPeriod',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('starts', models.DateField()),
                ('ends', models.DateField()),
                ('blocked_until', models.DateField()),
                ('quantity', models.PositiveIntegerField()),
                ('hold', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='periods', to='inventory.hold')),
                ('shop', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('stock_row', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='hold_periods', to='inventory.stockrow')),
            ],
            options={
                'indexes': [models.Index(fields=['stock_row', 'blocked_until'], name='hold_period_by_row')],
                'constraints': [models.UniqueConstraint(fields=('hold', 'stock_row', 'starts', 'ends'), name='hold_period_once'), models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='hold_period_positive'), models.CheckConstraint(condition=models.Q(('ends__gte', models.F('starts'))), name='hold_period_in_order')],
            },
        ),
        migrations.CreateModel(
            name='StockDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('booked', models.IntegerField()),
                ('capacity', models.IntegerField()),
                ('owner', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner')),
                ('stock_row', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='days', to='inventory.stockrow')),
            ],
            options={
                'ordering': ('stock_row', 'day'),
                'constraints': [models.CheckConstraint(condition=models.Q(('booked__gte', 0), ('booked__lte', models.F('capacity'))), name='booked_within_capacity'), models.UniqueConstraint(fields=('owner', 'stock_row', 'day'), name='stock_day_once')],
            },
        ),
    ]
