"""The payment page as a browser without script sees it."""

from __future__ import annotations

import re
import threading
import time

import pytest
import stripe

from tests.standin.receiver import Receiver
from tests.standin.shop import browse, line, session_params
from tests.stripe_standin.running import Running

FORM = {"email": "kim@example.com", "name": "Kim", "card": "4242 4242 4242 4242"}


@pytest.fixture
def session(client: stripe.StripeClient) -> stripe.checkout.Session:
    return client.v1.checkout.sessions.create(session_params())


def address(session: stripe.checkout.Session) -> str:
    assert session.url
    return session.url


def test_it_shows_what_is_bought(client: stripe.StripeClient) -> None:
    rate = {"display_name": "Post", "fixed_amount": {"amount": 490, "currency": "eur"}}
    named = {"currency": "eur", "unit_amount": 123_456, "product_data": {"name": "<Veil> & more"}}
    shown = client.v1.checkout.sessions.create(
        session_params(
            line_items=[{"quantity": 1, "price_data": named}],
            shipping_options=[{"shipping_rate_data": rate}],
            customer_email="kim@example.com",
        )
    )
    page = browse(address(shown))
    assert page.status == 200
    for text in ("&lt;Veil&gt; &amp; more", "€1,234.56", "€1,239.46", "Post (€4.90)", 'value="kim@example.com"',
                 'href="http://shop.localhost/cart"', "Pay €1,239.46"):  # fmt: skip
        assert text in page.html
    assert "<Veil>" not in page.html
    assert "<script" not in page.html
    assert re.findall(r'(?:src|href)="(http[^"]*)"', page.html) == ["http://shop.localhost/cart"]


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [("jpy", 500, "¥500"), ("usd", 500, "$5.00"), ("kwd", 5000, "5.000 KWD"), ("isk", 50_000, "500.00 ISK")],
)
def test_amounts_have_their_currencys_decimals(
    client: stripe.StripeClient, currency: str, amount: int, shown: str
) -> None:
    params = session_params(line_items=[line(amount, currency=currency)])
    assert f"Pay {shown}" in browse(address(client.v1.checkout.sessions.create(params))).html


def test_paying_leads_to_the_success_url(client: stripe.StripeClient, session: stripe.checkout.Session) -> None:
    page = browse(address(session), FORM)
    assert (page.status, page.location) == (303, f"http://shop.localhost/thanks?session_id={session.id}")
    found = client.v1.checkout.sessions.retrieve(session.id)
    assert found.customer_details is not None
    assert (found.payment_status, found.customer_details.email) == ("paid", "kim@example.com")


def test_a_second_click_only_redirects_again(client: stripe.StripeClient, session: stripe.checkout.Session) -> None:
    first, second = browse(address(session), FORM), browse(address(session), FORM)
    assert first.location == second.location
    assert browse(address(session)).location == first.location, "and so does the back button"
    assert len(client.v1.charges.list().data) == 1


def test_a_decline_is_shown_and_can_be_corrected(client: stripe.StripeClient, session: stripe.checkout.Session) -> None:
    page = browse(address(session), FORM | {"card": "4000 0000 0000 9995"})
    assert page.status == 402
    assert "insufficient funds" in page.html
    assert 'value="kim@example.com"' in page.html
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert browse(address(session), FORM).status == 303


@pytest.mark.parametrize(("email", "said"), [(" ", "Enter your e-mail"), ("kim", "not an e-mail address")])
def test_the_email_is_asked_for(session: stripe.checkout.Session, email: str, said: str) -> None:
    page = browse(address(session), FORM | {"email": email})
    assert page.status == 422
    assert said in page.html


def test_three_d_secure_approved(
    client: stripe.StripeClient, standin: Running, session: stripe.checkout.Session
) -> None:
    asked = browse(address(session), FORM | {"card": "4000002760003184"})
    assert asked.status == 303
    bank = f"{standin.url}{asked.location}"
    assert "€39.98" in browse(bank).html
    done = browse(bank, {"outcome": "approve"})
    assert done.location == f"http://shop.localhost/thanks?session_id={session.id}"
    assert browse(bank, {"outcome": "approve"}).location == done.location, "a second click"
    assert len(client.v1.charges.list().data) == 1


def test_three_d_secure_failed(standin: Running, session: stripe.checkout.Session) -> None:
    asked = browse(address(session), FORM | {"card": "4000002760003184"})
    back = browse(f"{standin.url}{asked.location}", {"outcome": "fail"})
    assert back.location == f"/c/pay/{session.id}"
    assert "could not authenticate" in browse(address(session)).html


def test_three_d_secure_after_the_expiry(
    client: stripe.StripeClient, standin: Running, session: stripe.checkout.Session
) -> None:
    asked = browse(address(session), FORM | {"card": "4000002760003184"})
    client.v1.checkout.sessions.expire(session.id)
    page = browse(f"{standin.url}{asked.location}", {"outcome": "approve"})
    assert page.status == 410
    assert "expired" in page.html


def test_an_expired_session_cannot_be_paid(client: stripe.StripeClient, session: stripe.checkout.Session) -> None:
    client.v1.checkout.sessions.expire(session.id)
    for page in (browse(address(session)), browse(address(session), FORM)):
        assert page.status == 410
        assert "http://shop.localhost/cart" in page.html
    assert client.v1.charges.list().data == []


def test_a_bank_debit(client: stripe.StripeClient, session: stripe.checkout.Session) -> None:
    page = browse(address(session), FORM | {"method": "bank_debit"})
    assert page.status == 303
    found = client.v1.checkout.sessions.retrieve(session.id)
    assert (found.status, found.payment_status) == ("complete", "unpaid")


def test_the_shipping_choice(client: stripe.StripeClient) -> None:
    options = [
        {"shipping_rate_data": {"display_name": name, "fixed_amount": {"amount": amount, "currency": "eur"}}}
        for name, amount in (("Post", 490), ("Courier", 1490))
    ]
    made = client.v1.checkout.sessions.create(session_params(shipping_options=options))
    courier = str(made.shipping_options[1].shipping_rate)
    assert browse(address(made), FORM | {"shipping_rate": "shr_unknown"}).status == 422
    updated = browse(address(made), FORM | {"shipping_rate": courier, "update": "1"})
    assert updated.status == 200
    assert "€54.88" in updated.html
    assert client.v1.checkout.sessions.retrieve(made.id).status == "open"
    browse(address(made), FORM | {"shipping_rate": courier})
    assert client.v1.checkout.sessions.retrieve(made.id).amount_total == 3998 + 1490


def test_goods_go_to_the_countries_asked_for(client: stripe.StripeClient) -> None:
    params = session_params(shipping_address_collection={"allowed_countries": ["DE", "AT"]})
    made = client.v1.checkout.sessions.create(params)
    assert browse(address(made), FORM | {"country": "FR"}).status == 422
    assert browse(address(made), FORM | {"country": "AT", "line1": "Ring 1"}).status == 303
    details = client.v1.checkout.sessions.retrieve(made.id).collected_information
    assert details is not None
    assert details.shipping_details is not None
    assert (details.shipping_details.address.country, details.shipping_details.address.line1) == ("AT", "Ring 1")


def test_other_ui_modes_return_to_the_return_url(client: stripe.StripeClient, standin: Running) -> None:
    params = session_params(
        ui_mode="elements", success_url=None, cancel_url=None,
        return_url="http://shop.localhost/back?s={CHECKOUT_SESSION_ID}",
    )  # fmt: skip
    made = client.v1.checkout.sessions.create(params)
    page = browse(f"{standin.url}/c/pay/{made.client_secret}", FORM)
    assert page.location == f"http://shop.localhost/back?s={made.id}"


def test_addresses_beyond_ascii_are_escaped(client: stripe.StripeClient) -> None:
    made = client.v1.checkout.sessions.create(session_params(success_url="http://shop.localhost/größe?a=%20&s=ü"))
    assert browse(address(made), FORM).location == "http://shop.localhost/gr%C3%B6%C3%9Fe?a=%20&s=%C3%BC"


def test_it_waits_for_the_shops_answer(receiver: Receiver, session: stripe.checkout.Session) -> None:
    receiver.delay = 0.7
    started = time.monotonic()
    browse(address(session), FORM)
    assert time.monotonic() - started >= 0.7
    assert "checkout.session.completed" in receiver.types()


def test_it_does_not_wait_longer_than_it_is_told(
    standin: Running, receiver: Receiver, session: stripe.checkout.Session
) -> None:
    standin.control("POST", "options", {"pageWaitSeconds": 0.2})
    receiver.delay = 2.0
    started = time.monotonic()
    browse(address(session), FORM)
    assert time.monotonic() - started < 1.5


def test_it_does_not_wait_for_held_deliveries(
    standin: Running, receiver: Receiver, session: stripe.checkout.Session
) -> None:
    standin.control("POST", "deliveries", {"mode": "hold"})
    started = time.monotonic()
    assert browse(address(session), FORM).status == 303
    assert time.monotonic() - started < 2
    assert receiver.types() == []


def test_many_clicks_at_once_charge_once(client: stripe.StripeClient, session: stripe.checkout.Session) -> None:
    threads = [threading.Thread(target=browse, args=(address(session), FORM)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [charge.status for charge in client.v1.charges.list().data] == ["succeeded"]


@pytest.mark.parametrize("path", ["/c/pay/cs_test_none", "/c/3ds/pi_none", "/c/nothing", "/nothing"])
def test_unknown_pages(standin: Running, path: str) -> None:
    assert browse(f"{standin.url}{path}").status == 404


def test_the_style_is_its_own(standin: Running) -> None:
    page = browse(f"{standin.url}/c/assets/page.css")
    assert page.status == 200
    assert "url(" not in page.html
    assert "@import" not in page.html
