"""Keys, accounts and the edges of the API."""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe

from tests.standin.conftest import client_of
from tests.standin.shop import session_params
from tests.stripe_standin.running import Running


@pytest.mark.parametrize(("key", "account"), [("sk_test_standin", "acct_standin"), ("sk_test_veil", "acct_veil")])
def test_a_key_is_an_account(standin: Running, key: str, account: str) -> None:
    found = client_of(standin.url, key).v1.accounts.retrieve_current()
    assert (found.id, found.charges_enabled) == (account, True)


@pytest.mark.parametrize("key", ["sk_live_standin", "rk_live_x", "pk_test_x", "nonsense", "sk_test_"])
def test_other_keys_are_unknown(standin: Running, key: str) -> None:
    with pytest.raises(stripe.AuthenticationError) as caught:
        client_of(standin.url, key).v1.checkout.sessions.create(session_params(), {"idempotency_key": "k"})
    assert caught.value.http_status == 401
    assert key not in str(caught.value) or len(key) < 9, "the key isn't repeated"
    assert client_of(standin.url).v1.checkout.sessions.create(session_params(), {"idempotency_key": "k"}).id


def test_accounts_do_not_see_each_other(client: stripe.StripeClient, standin: Running) -> None:
    connected: Any = {"stripe_account": "acct_veil"}
    session = client.v1.checkout.sessions.create(session_params(), connected)
    for method in (client.v1.checkout.sessions.retrieve, client.v1.checkout.sessions.expire):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            method(session.id)
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
    assert client.v1.checkout.sessions.list().data == []
    own = client_of(standin.url, "sk_test_veil")
    assert own.v1.checkout.sessions.retrieve(session.id).id == session.id, "its own key sees it"

    answer = standin.control("POST", f"sessions/{session.id}/pay", {})
    intent: Any = answer["paymentIntent"]["id"]
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"payment_intent": intent})
    assert client.v1.refunds.create({"payment_intent": intent}, connected).status == "succeeded"
    assert client.v1.balance_transactions.list().data == []
    assert standin.control("GET", "balance")["accounts"].keys() == {"acct_veil"}


def test_an_account_that_is_none(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.PermissionError):
        client.v1.customers.list(options={"stripe_account": "shop"})


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/nothing"), ("PUT", "/v1/customers"), ("DELETE", "/v1/checkout/sessions/x"), ("POST", "/v1/invoices")],
)
def test_unknown_paths(standin: Running, method: str, path: str) -> None:
    status, headers, body = raw(standin, method, path)
    assert (status, headers["content-type"]) == (404, "application/json")
    assert headers["request-id"].startswith("req_")
    assert b'"invalid_request_error"' in body


def raw(
    standin: Running, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(standin.url).netloc, timeout=10)
    sent = {"Authorization": "Bearer sk_test_standin", **{name.replace("_", "-"): v for name, v in headers.items()}}
    connection.request(method, path, body=body, headers=sent)
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"name": "Kim"}', {"Content_Type": "application/json"}, 400),
        (b"name=%ff", {"Content_Type": FORM}, 400),
        (b"name=Kim", {"Content_Type": FORM, "Stripe_Version": "2020-08-27"}, 400),
        (b"x" * (1024 * 1024 + 1), {"Content_Type": FORM}, 413),
        (b"name=Kim", {"Content_Type": FORM, "Authorization": "Basic c2tfdGVzdF9zdGFuZGluOg=="}, 200),
        (b"name=Kim", {"Content_Type": FORM, "Authorization": "Basic !!!"}, 401),
        (b"name=Kim", {"Content_Type": FORM, "Authorization": ""}, 401),
    ],
)
def test_bodies_and_headers(standin: Running, body: bytes, headers: Any, status: int) -> None:
    assert raw(standin, "POST", "/v1/customers", body, **headers)[0] == status


def test_answers_name_their_request_and_version(client: stripe.StripeClient) -> None:
    answer: Any = client.v1.customers.create({"name": "Kim"}, {"idempotency_key": "k"}).last_response
    assert answer.request_id.startswith("req_")
    assert answer.headers["Stripe-Version"] == "2026-10-28.endive"
    assert answer.headers["Idempotency-Key"] == "k"


def test_customers(client: stripe.StripeClient) -> None:
    made = client.v1.customers.create({"email": "kim@example.com", "address": {"city": "Ulm"}, "metadata": {"a": "1"}})
    changed = client.v1.customers.update(made.id, {"email": "", "metadata": {"b": "2"}})
    assert (changed.email, changed.metadata.to_dict()) == (None, {"a": "1", "b": "2"})  # type: ignore[union-attr]
    assert client.v1.customers.retrieve(made.id).address.city == "Ulm"  # type: ignore[union-attr]
    assert client.v1.customers.list({"email": "kim@example.com"}).data == []
    assert client.v1.customers.delete(made.id).deleted is True
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.retrieve(made.id)


def test_many_connections_at_once(standin: Running) -> None:
    """Fifty clients, each with a connection of its own that it keeps."""

    def buy(number: int) -> str:
        return client_of(standin.url).v1.checkout.sessions.create(session_params(locale="de")).id

    with ThreadPoolExecutor(50) as pool:
        made = set(pool.map(buy, range(100)))
    assert len(made) == 100
