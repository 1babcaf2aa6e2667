"""The cart's verbs: generations, bounds, and what settlement does to a cart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from uuid import uuid4

import pytest
from django.db import connection, transaction

from commerce.cart import carts
from commerce.cart.lines import BoughtLine
from commerce.models import Cart, CartLine
from tenants.errors import InvalidRequest, NotFound
from tests.factories.commerce import ProductFactory, VariantFactory, new_line
from tests.factories.tenants import ShopFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]


@pytest.fixture
def shop():
    return ShopFactory()


@pytest.fixture
def variants(shop):
    return [VariantFactory(product__shop=shop) for _ in range(3)]


def quantities(shop, cart_id):
    return {line.variant_key: line.quantity for line in carts.cart_snapshot(shop_id=shop.pk, cart_id=cart_id).lines}


def test_the_first_line_makes_the_cart(shop, variants):
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(variants[0], quantity=2))
    assert cart.generation == 1
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id) == cart
    [line] = cart.lines
    assert (line.sku, line.quantity, line.shown_amount, line.shown_currency) == (variants[0].sku, 2, 1250, "EUR")


def test_equal_lines_are_summed_and_others_stand_beside(shop, variants):
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(variants[0]))
    carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(variants[0], quantity=4))
    carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(variants[1]))
    cart = carts.add_line(
        shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(variants[0], options={"engraving": "Mia"})
    )
    assert [(line.variant_key, line.quantity, line.options) for line in cart.lines] == [
        (variants[0].variant_key, 5, {}),
        (variants[1].variant_key, 1, {}),
        (variants[0].variant_key, 1, {"engraving": "Mia"}),
    ]
    assert cart.generation == 4
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id) == cart


def test_periods_make_lines_of_their_own(shop, variants):
    june = {"rental_start": date(2027, 6, 1), "rental_end": date(2027, 6, 3)}
    july = {"rental_start": date(2027, 7, 1), "rental_end": date(2027, 7, 3)}
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(variants[0], **june))
    carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(variants[0], **july))
    cart = carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(variants[0], **june))
    assert [(line.rental_start, line.quantity) for line in cart.lines] == [(date(2027, 6, 1), 2), (date(2027, 7, 1), 1)]


@pytest.mark.parametrize("quantity", [0, -1, 1000, 10**9])
def test_quantities_out_of_bounds_change_nothing(shop, variants, quantity):
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(variants[0]))
    with pytest.raises(InvalidRequest):
        carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(variants[1], quantity=quantity))
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id) == cart


def test_the_sum_of_a_line_is_bounded_too(shop, variants):
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(variants[0], quantity=999))
    with pytest.raises(InvalidRequest) as caught:
        carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(variants[0]))
    assert caught.value.fields == {"quantity": ["The line would hold 1000 units."]}
    with pytest.raises(InvalidRequest):
        carts.replace_lines(shop_id=shop.pk, cart_id=cart.cart_id, lines=[new_line(variants[0], quantity=500)] * 2)
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id) == cart


def test_a_cart_has_at_most_a_hundred_lines(shop, variants):
    lines = [new_line(variants[0], options={"n": str(number)}) for number in range(100)]
    cart = carts.replace_lines(shop_id=shop.pk, cart_id=None, lines=lines)
    with pytest.raises(InvalidRequest):
        carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(variants[1]))
    with pytest.raises(InvalidRequest):
        carts.replace_lines(shop_id=shop.pk, cart_id=cart.cart_id, lines=[*lines, new_line(variants[1])])
    assert len(carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id).lines) == 100


def test_setting_and_removing(shop, variants):
    cart = carts.replace_lines(shop_id=shop.pk, cart_id=None, lines=[new_line(variant) for variant in variants])
    first, second, third = cart.lines
    cart = carts.set_quantity(shop_id=shop.pk, cart_id=cart.cart_id, line_id=first.line_id, quantity=7)
    cart = carts.set_quantity(shop_id=shop.pk, cart_id=cart.cart_id, line_id=second.line_id, quantity=0)
    cart = carts.remove_line(shop_id=shop.pk, cart_id=cart.cart_id, line_id=third.line_id)
    assert [(line.line_id, line.quantity) for line in cart.lines] == [(first.line_id, 7)]
    assert cart.generation == 4
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id) == cart
    for quantity in (1000, -1):
        with pytest.raises(InvalidRequest):
            carts.set_quantity(shop_id=shop.pk, cart_id=cart.cart_id, line_id=first.line_id, quantity=quantity)
    with pytest.raises(NotFound):
        carts.remove_line(shop_id=shop.pk, cart_id=cart.cart_id, line_id=second.line_id)


def test_replacing_merges_and_emptying_is_repeatable(shop, variants):
    cart = carts.replace_lines(
        shop_id=shop.pk, cart_id=None, lines=[new_line(variants[0]), new_line(variants[1]), new_line(variants[0])]
    )
    assert [line.quantity for line in cart.lines] == [2, 1]
    cart = carts.empty_cart(shop_id=shop.pk, cart_id=cart.cart_id)
    assert (cart.lines, cart.generation) == ((), 2)
    assert carts.empty_cart(shop_id=shop.pk, cart_id=cart.cart_id).generation == 2
    assert carts.replace_lines(shop_id=shop.pk, cart_id=cart.cart_id, lines=[]).lines == ()


def test_another_shops_cart_is_no_cart(shop, variants):
    other = ShopFactory()
    theirs = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(variants[0]))
    assert carts.cart_snapshot(shop_id=other.pk, cart_id=theirs.cart_id).lines == ()
    mine = carts.add_line(shop_id=other.pk, cart_id=theirs.cart_id, line=new_line(VariantFactory(product__shop=other)))
    assert mine.cart_id != theirs.cart_id
    line_id = theirs.lines[0].line_id
    for call in (
        lambda: carts.set_quantity(shop_id=other.pk, cart_id=theirs.cart_id, line_id=line_id, quantity=5),
        lambda: carts.set_quantity(shop_id=other.pk, cart_id=mine.cart_id, line_id=line_id, quantity=5),
        lambda: carts.empty_cart(shop_id=other.pk, cart_id=theirs.cart_id),
    ):
        with pytest.raises(NotFound):
            call()
    with transaction.atomic():
        assert not carts.empty_bought_within(shop_id=other.pk, cart_id=theirs.cart_id, generation=1, bought=[])
        assert not carts.restore_lines_within(shop_id=other.pk, cart_id=theirs.cart_id, bought=[])
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=theirs.cart_id) == theirs


def test_an_unknown_cart_is_empty(shop):
    cart_id = uuid4()
    cart = carts.cart_snapshot(shop_id=shop.pk, cart_id=cart_id)
    assert (cart.cart_id, cart.generation, cart.lines) == (cart_id, 0, ())


def bought(*lines):
    return [BoughtLine(variant.variant_key, quantity, {}, None, None) for variant, quantity in lines]


def test_settlement_empties_the_generation_that_was_bought(shop, variants):
    cart = carts.replace_lines(shop_id=shop.pk, cart_id=None, lines=[new_line(variant) for variant in variants])
    with transaction.atomic():
        assert carts.empty_bought_within(
            shop_id=shop.pk, cart_id=cart.cart_id, generation=cart.generation, bought=bought((variants[0], 1))
        )
    after = carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id)
    assert (after.lines, after.generation) == ((), cart.generation + 1)


def test_settlement_subtracts_from_a_cart_that_has_changed(shop, variants, storage):
    one, two, three = variants
    cart = carts.replace_lines(shop_id=shop.pk, cart_id=None, lines=[new_line(one, quantity=2), new_line(two)])
    carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(one, quantity=3))
    changed = carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(three))
    with transaction.atomic():
        # Plain tuples are as good as BoughtLine; equal lines count together.
        lines = [(one.variant_key, 1, {}, None, None)] * 2 + [(two.variant_key, 1, {}, None, None)]
        assert not carts.empty_bought_within(
            shop_id=shop.pk, cart_id=cart.cart_id, generation=cart.generation, bought=lines
        )
    assert quantities(shop, cart.cart_id) == {one.variant_key: 3, three.variant_key: 1}
    after = carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id).generation
    assert after == changed.generation + 1
    # Nothing is left to take. What is in Redis can't be looked at in a transaction, and may have changed.
    with transaction.atomic():
        carts.empty_bought_within(
            shop_id=shop.pk, cart_id=cart.cart_id, generation=cart.generation, bought=bought((two, 1))
        )
    unseen = 1 if storage == "redis" else 0
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id).generation == after + unseen


def test_options_and_period_count_when_subtracting(shop, variants):
    period = {"rental_start": date(2027, 6, 1), "rental_end": date(2027, 6, 3)}
    cart = carts.replace_lines(
        shop_id=shop.pk,
        cart_id=None,
        lines=[
            new_line(variants[0]),
            new_line(variants[0], options={"a": "1", "b": "2"}),
            new_line(variants[0], **period),
        ],
    )
    with transaction.atomic():
        carts.empty_bought_within(
            shop_id=shop.pk,
            cart_id=cart.cart_id,
            generation=0,
            bought=[BoughtLine(variants[0].variant_key, 1, {"b": "2", "a": "1"}, None, None)],
        )
    left = carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id).lines
    assert [(line.options, line.rental_start) for line in left] == [({}, None), ({}, date(2027, 6, 1))]


def test_a_failed_delayed_payment_puts_the_lines_back(shop):
    variant = VariantFactory(product=ProductFactory(shop=shop, sku="BAND"), attributes={"size": "M", "color": "black"})
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(variant, quantity=998))
    carts.empty_cart(shop_id=shop.pk, cart_id=cart.cart_id)
    with transaction.atomic():
        assert carts.restore_lines_within(shop_id=shop.pk, cart_id=cart.cart_id, bought=bought((variant, 998)))
    back = carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id)
    assert back.generation == 3
    [line] = back.lines
    assert (line.sku, line.variant_key, line.quantity) == ("BAND", "BAND#color:black|size:M", 998)
    assert (line.shown_amount, line.shown_currency) == (None, "")
    with transaction.atomic():
        carts.restore_lines_within(shop_id=shop.pk, cart_id=cart.cart_id, bought=bought((variant, 998)))
    assert quantities(shop, cart.cart_id) == {variant.variant_key: 999}


def test_remembering_prices_is_no_change(shop, variants):
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(variants[0]))
    line_id = cart.lines[0].line_id
    carts.remember_shown(shop_id=shop.pk, cart_id=cart.cart_id, shown={line_id: (999, "EUR"), uuid4(): (1, "EUR")})
    after = carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id)
    assert (after.generation, after.lines[0].shown_amount) == (1, 999)
    carts.remember_shown(shop_id=ShopFactory().pk, cart_id=cart.cart_id, shown={line_id: (5, "EUR")})
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id) == after


@pytest.mark.parametrize("count", [1, 3])
def test_queries(shop, variants, count, storage, django_assert_num_queries):
    cart = carts.replace_lines(shop_id=shop.pk, cart_id=None, lines=[new_line(v) for v in variants[:count]])
    with django_assert_num_queries(1):
        carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id)
    # In rows: savepoint, lock, lines, update, generation, release; in Redis: cart, savepoint, generation, release.
    changing = 6 if storage == "postgres" else 4
    with django_assert_num_queries(changing):
        carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(variants[0]))
    with django_assert_num_queries(changing):
        carts.set_quantity(shop_id=shop.pk, cart_id=cart.cart_id, line_id=cart.lines[0].line_id, quantity=5)


@pytest.mark.django_db(transaction=True)
def test_concurrent_changes_are_all_kept(storage):
    shop = ShopFactory()
    variant = VariantFactory(product__shop=shop)
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(variant))

    def add(_):
        try:
            return carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(variant)).generation
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        generations = list(pool.map(add, range(12)))
    assert sorted(generations) == list(range(2, 14))
    assert quantities(shop, cart.cart_id) == {variant.variant_key: 13}
    assert (Cart.objects.count(), CartLine.objects.count()) == (1, 1 if storage == "postgres" else 0)
