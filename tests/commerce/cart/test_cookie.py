"""The cart's cookie and its attackers (C3)."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
import time_machine
from django.core.signing import TimestampSigner
from django.http import HttpResponse
from django.test import RequestFactory

from commerce.cart import carts
from commerce.cart.cookie import COOKIE_NAME, read_cart_id, write_cart_cookie
from commerce.models import Cart
from tests.commerce.cart.requests import BAND, send
from tests.commerce.conftest import visitor
from tests.factories.commerce import new_line


def test_the_cookie_is_secure_where_pages_are(shop, band, settings):
    settings.SESSION_COOKIE_SECURE = True
    assert send(visitor(shop), "post", BAND).cookies[COOKIE_NAME]["secure"] is True


def cookies_of_an_attacker(shop_id, other_id, cart_id):
    def signed(salt, value):
        return TimestampSigner(salt=salt).sign(value)

    genuine = signed(f"holdfast.cart:{shop_id}", cart_id.hex)
    return {
        "empty": "",
        "plain id": cart_id.hex,
        "other shop's": signed(f"holdfast.cart:{other_id}", cart_id.hex),
        "other salt": signed("django.core.signing", cart_id.hex),
        "other key": TimestampSigner(key="guessed", salt=f"holdfast.cart:{shop_id}").sign(cart_id.hex),
        "id swapped": genuine.replace(cart_id.hex, uuid4().hex),
        "signature cut": genuine[:-1],
        "signature gone": genuine.rpartition(":")[0],
        "upper case": genuine.upper(),
        "twice": genuine + genuine,
        "not an id": signed(f"holdfast.cart:{shop_id}", "x' OR 1=1 --"),
        "huge": "A" * 100_000,
        "binary": "\x00\xff",
        "quoted": f'"{genuine}"x',
    }


@pytest.mark.parametrize("attack", list(cookies_of_an_attacker("a", "b", UUID(int=1))))
def test_tampered_and_foreign_cookies_get_a_new_cart(shop, band, attack):
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(band))
    value = cookies_of_an_attacker(shop.pk, "other", cart.cart_id)[attack]
    request = RequestFactory().get("/")
    request.COOKIES[COOKIE_NAME] = value
    assert read_cart_id(request, shop.pk) is None
    client = visitor(shop)
    client.cookies[COOKIE_NAME] = value
    if attack not in {"binary", "huge"}:  # a client can't send these as a header
        assert client.get("/api/cart").json()["lines"] == []
        answer = send(client, "post", BAND)
        assert answer.status_code == 200
        assert answer.json()["cartId"] != str(cart.cart_id)
        assert COOKIE_NAME in answer.cookies
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id) == cart


def test_a_cookie_lasts_ninety_days():
    cart_id = uuid4()
    with time_machine.travel("2027-01-01T00:00:00Z", tick=False) as clock:
        response = HttpResponse()
        write_cart_cookie(response, "shop", cart_id)
        request = RequestFactory().get("/")
        request.COOKIES[COOKIE_NAME] = response.cookies[COOKIE_NAME].value
        assert read_cart_id(request, "shop") == cart_id
        assert read_cart_id(request, "shop2") is None
        clock.shift(90 * 86400)
        assert read_cart_id(request, "shop") == cart_id
        clock.shift(1)
        assert read_cart_id(request, "shop") is None


def test_a_cookie_of_a_removed_cart_reads_empty_and_starts_anew(shop, band):
    client = visitor(shop)
    gone = send(client, "post", BAND).json()["cartId"]
    Cart.objects.all().delete()
    assert client.get("/api/cart").json()["cartId"] is None
    assert send(client, "patch", {"lineId": str(uuid4()), "quantity": 1}).status_code == 404
    assert client.delete("/api/cart").status_code == 404
    again = send(client, "post", BAND).json()
    assert again["cartId"] != gone
    assert client.get("/api/cart").json() == again
