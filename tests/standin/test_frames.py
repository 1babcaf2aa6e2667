"""The frames behind the stand-in's stripe.js, as a browser asks for them; the script itself runs in tests/browser."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

import pytest
import stripe

from tests.standin.shop import browse, session_params
from tests.stripe_standin.running import Running

WITHIN = {"success_url": None, "cancel_url": None, "return_url": "http://shop.localhost/thanks?s={CHECKOUT_SESSION_ID}"}
FORM = {"email": "kim@example.com", "card": "4242424242424242"}


def make(client: stripe.StripeClient, ui_mode: str, **more: Any) -> stripe.checkout.Session:
    return client.v1.checkout.sessions.create(session_params(ui_mode=ui_mode, **WITHIN, **more))


def frame(standin: Running, session: stripe.checkout.Session, part: str) -> str:
    return f"{standin.url}/c/frame/{session.client_secret}/{part}"


def ask(url: str, body: dict[str, Any] | None = None) -> tuple[int, Any, Any]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=30) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused), refused.headers


def outcome(html: str) -> tuple[str, str]:
    found = re.search(r'data-outcome="(\w+)" data-url="([^"]*)"', html)
    assert found, html
    return found[1], found[2]


def test_the_script_and_what_it_reads(client: stripe.StripeClient, standin: Running) -> None:
    script = browse(f"{standin.url}/stripe.js")
    assert script.status == 200
    for name in ("createEmbeddedCheckoutPage", "initCheckoutElementsSdk", "loadActions", "createPaymentElement"):
        assert name in script.html
    session = make(client, "elements", customer_email="kim@example.com")
    status, facts, headers = ask(frame(standin, session, "session?key=pk_test_standin"))
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert (facts["uiMode"], facts["email"], facts["total"]["total"]) == (
        "elements", "kim@example.com", {"amount": "€39.98", "minorUnitsAmount": 3998},
    )  # fmt: skip


@pytest.mark.parametrize(
    "query", ["", "key=sk_test_standin", "key=pk_test_other", "key=pk_test_standin&account=acct_x"]
)
def test_a_key_of_another_account_reads_nothing(client: stripe.StripeClient, standin: Running, query: str) -> None:
    status, body, _ = ask(frame(standin, make(client, "elements"), f"session?{query}"))
    assert status == 401 and "total" not in body


def test_a_connected_accounts_session_opens_for_its_platform(standin: Running, client: stripe.StripeClient) -> None:
    params = session_params(ui_mode="elements", **WITHIN)
    session = client.v1.checkout.sessions.create(params, {"stripe_account": "acct_theirs"})
    assert ask(frame(standin, session, "session?key=pk_test_standin&account=acct_theirs"))[0] == 200
    assert ask(frame(standin, session, "session?key=pk_test_standin"))[0] == 401


@pytest.mark.parametrize("part", ["session?key=pk_test_standin", "embedded", "payment", "challenge", "nothing"])
def test_the_sessions_id_opens_no_frame(client: stripe.StripeClient, standin: Running, part: str) -> None:
    session = make(client, "elements")
    assert ask(f"{standin.url}/c/frame/{session.id}/{part}")[0] == 404
    assert ask(f"{standin.url}/c/frame/{session.client_secret}x/{part}")[0] == 404


def test_the_embedded_page_pays_and_tells_the_page_around(client: stripe.StripeClient, standin: Running) -> None:
    session = make(client, "embedded_page", custom_text={"submit": {"message": "From <Berlin>."}})
    page = browse(frame(standin, session, "embedded"))
    assert page.status == 200 and "From &lt;Berlin&gt;." in page.html and "€39.98" in page.html
    declined = browse(frame(standin, session, "embedded"), FORM | {"card": "4000000000000002"})
    assert declined.status == 402 and 'role="alert"' in declined.html
    paid = browse(frame(standin, session, "embedded"), FORM)
    assert outcome(paid.html) == ("complete", f"http://shop.localhost/thanks?s={session.id}")
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
    assert outcome(browse(frame(standin, session, "embedded"), FORM).html)[0] == "complete"
    assert ask(frame(standin, session, "session?key=pk_test_standin"))[0] == 400


@pytest.mark.parametrize("ui_mode", ["embedded_page", "elements"])
def test_three_d_secure_inside(client: stripe.StripeClient, standin: Running, ui_mode: str) -> None:
    session = make(client, ui_mode)
    challenged = FORM | {"card": "4000002760003184"}
    for answer in ("fail", "approve"):
        if ui_mode == "elements":
            assert ask(frame(standin, session, "confirm"), challenged)[1]["state"] == "challenge"
        else:
            assert "Is this payment yours?" in browse(frame(standin, session, "embedded"), challenged).html
        page = browse(frame(standin, session, "challenge"), {"outcome": answer})
        if answer == "fail":
            failed = outcome(page.html)[0] == "failed" if ui_mode == "elements" else page.status == 402
            assert failed, page.html
    assert outcome(page.html)[0] == "complete"


@pytest.mark.parametrize(
    ("asked", "given", "message"),
    [
        ({"shipping_address_collection": {"allowed_countries": ["DE"]}}, {}, "Enter a shipping address."),
        ({"billing_address_collection": "required"}, {"shipping": {"line1": "x"}}, "Enter a billing address."),
        ({}, {"email": ""}, "Enter your e-mail address."),
    ],
)
def test_elements_refuse_what_is_incomplete(
    client: stripe.StripeClient, standin: Running, asked: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    session = make(client, "elements", **asked)
    status, body, _ = ask(frame(standin, session, "confirm"), FORM | given)
    assert (status, body) == (200, {"state": "invalid", "message": message, "url": None})
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"


def test_an_expired_session_takes_nothing(client: stripe.StripeClient, standin: Running) -> None:
    session = make(client, "elements")
    client.v1.checkout.sessions.expire(session.id)
    assert ask(frame(standin, session, "confirm"), FORM)[1]["state"] == "expired"
    assert browse(frame(standin, session, "embedded")).status == 410


def test_a_required_billing_address_is_asked_for_on_the_page(client: stripe.StripeClient, standin: Running) -> None:
    session = client.v1.checkout.sessions.create(session_params(billing_address_collection="required"))
    assert session.url
    assert browse(session.url, FORM).status == 422
    address = {"billing_line1": "Am Markt 1", "billing_city": "Wien", "billing_postal_code": "1010"}
    assert browse(session.url, FORM | address | {"billing_country": "AT"}).status == 303
    details = client.v1.checkout.sessions.retrieve(session.id).customer_details
    assert details and details.address and (details.address.line1, details.address.country) == ("Am Markt 1", "AT")


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"custom_text": {"submit": {"message": "x" * 1201}}}, "custom_text[submit][message]"),
        ({"custom_text": {"submit": {"message": "x"}}, "ui_mode": "elements", **WITHIN}, "custom_text"),
    ],
)
def test_custom_text_has_its_limits(client: stripe.StripeClient, params: dict[str, Any], param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.checkout.sessions.create(session_params(**params))
    assert refused.value.param == param
