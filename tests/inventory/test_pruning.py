"""Days that are over are removed in batches; those that count, and the proof of them, stay."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from inventory.models import StockDay
from inventory.pruning import prune_days
from inventory.tasks import prune_days as prune_days_task
from inventory.verify import verify_stock
from tests.factories.inventory import StockRowFactory


def test_days_that_are_over_go_and_others_stay(db: None) -> None:
    row = StockRowFactory(on_hand=2)
    now = timezone.now()
    for ago in (30, 10, 9, 8, 7, 1):
        day = now.date() - timedelta(days=ago)
        StockDay.objects.create(owner=row.owner, stock_row=row, day=day, booked=1 if ago > 1 else 0, capacity=2)
    assert prune_days(now=now, batch=2) == 3
    left = StockDay.objects.order_by("day").values_list("day", flat=True)
    assert [(now.date() - day).days for day in left] == [8, 7, 1]
    prune_days_task()
    assert StockDay.objects.count() == 3 and verify_stock().clean
