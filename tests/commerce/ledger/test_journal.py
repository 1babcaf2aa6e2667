"""The journal by itself: what the database refuses whoever writes, and what posts once."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from psycopg.errors import CheckViolation, RestrictViolation

from commerce.ledger import accounts
from commerce.ledger.journal import Posting, post_within
from commerce.models import JournalEntry, JournalLine
from tests.factories.tenants import ShopFactory
from tests.fixtures.trade import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


def posting(**more: Any) -> Posting:
    values = {
        "shop_id": "acme", "kind": "adjustment", "reference": "r-1", "currency": "EUR",
        "amounts": {accounts.CLEARING: 500, accounts.REVENUE: -500},
    }  # fmt: skip
    return Posting(**values | more)  # type: ignore[arg-type]


def post(**more: Any) -> bool:
    with transaction.atomic():
        return post_within(posting(**more), now=timezone.now())


@pytest.fixture
def acme() -> Any:
    return ShopFactory(id="acme")


def sql(statement: str, *values: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_an_entry_posts_once_per_shop_kind_and_reference(acme: Any) -> None:
    ShopFactory(id="other")
    assert [post(), post(), post(reference="r-2"), post(shop_id="other"), post(kind="fee")] == [
        True, False, True, True, True,
    ]  # fmt: skip
    assert JournalEntry.objects.count() == 4
    assert JournalLine.objects.count() == 8


def test_twins_at_the_same_moment_post_once(acme: Any) -> None:
    assert sorted(in_threads([post for _ in range(8)])) == [False] * 7 + [True]
    assert (JournalEntry.objects.count(), JournalLine.objects.count()) == (1, 2)


def test_zero_lines_are_left_out_and_nothing_is_no_entry(acme: Any) -> None:
    assert post(amounts={accounts.CLEARING: 5, accounts.REVENUE: -5, accounts.TAX: 0})
    assert not post(reference="r-2", amounts={accounts.CLEARING: 0, accounts.REVENUE: 0})
    assert not post(reference="r-3", amounts={})
    assert sorted(JournalLine.objects.values_list("account", "amount")) == [("revenue", -5), ("stripe_clearing", 5)]


@pytest.mark.parametrize("amounts", [{"stripe_clearing": 5}, {"stripe_clearing": 5, "till": -5}])
def test_what_does_not_balance_or_has_no_such_account_is_a_defect(acme: Any, amounts: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        post(amounts=amounts)
    assert not JournalEntry.objects.exists()


def test_the_database_refuses_what_does_not_balance(acme: Any) -> None:
    assert post()
    entry = JournalEntry.objects.get()
    with pytest.raises(IntegrityError) as caught:
        sql(
            "INSERT INTO commerce_journalline (shop_id, entry_id, account, amount) VALUES ('acme', %s, 'revenue', 1)",
            entry.pk,
        )
    assert isinstance(caught.value.__cause__, CheckViolation)
    assert JournalLine.objects.count() == 2


def test_the_database_refuses_an_entry_without_lines(acme: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        JournalEntry.objects.create(
            shop=acme, kind="adjustment", reference="empty", currency="EUR", posted_at=timezone.now()
        )
    assert not JournalEntry.objects.exists()


def test_the_database_refuses_an_entry_of_two_shops(acme: Any) -> None:
    other = ShopFactory(id="other")
    with pytest.raises(IntegrityError), transaction.atomic():
        entry = JournalEntry.objects.create(
            shop=acme, kind="adjustment", reference="two", currency="EUR", posted_at=timezone.now()
        )
        JournalLine.objects.create(shop=acme, entry=entry, account="revenue", amount=5)
        JournalLine.objects.create(shop=other, entry=entry, account="stripe_clearing", amount=-5)
    assert not JournalEntry.objects.exists()


def test_an_entry_has_one_currency() -> None:
    """By its shape: the currency is the entry's, and a line has none."""
    assert "currency" in {field.name for field in JournalEntry._meta.get_fields()}
    assert "currency" not in {field.name for field in JournalLine._meta.get_fields()}


@pytest.mark.parametrize("table", ["commerce_journalentry", "commerce_journalline"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET shop_id = shop_id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_journal_is_append_only(acme: Any, table: str, statement: str) -> None:
    assert post()
    with pytest.raises(IntegrityError) as caught:
        sql(statement.format(table))
    assert isinstance(caught.value.__cause__, RestrictViolation)
    assert (JournalEntry.objects.count(), JournalLine.objects.count()) == (1, 2)
