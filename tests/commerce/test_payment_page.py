"""The checkout's page where the payment is a part of it: Stripe's script, a public key, a policy for exactly that."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.gateway.browser import STRIPE_JS, content_sources
from commerce.gateway.onboarding import connect_account, use_own_keys
from tenants.audit import Actor
from tenants.credentials import set_publishable_key
from tenants.errors import CredentialsRefused
from tests.commerce.conftest import visitor
from tests.config.test_headers import directives

pytestmark = pytest.mark.django_db

STRIPE = "https://api.stripe.com"
WHY: dict[str, Any] = {"reason": "Contract", "acting": Actor("staff", "olga")}


@pytest.fixture
def within(open_shop, settings):
    """A shop that takes payments in its own page, on Stripe itself."""
    settings.STRIPE_API_BASE, settings.STRIPE_PUBLISHABLE_KEY = STRIPE, "pk_test_platform"

    def make(ui="elements", **more):
        return open_shop(settings__checkout_ui=ui, **more)

    return make


def checkout_page(shop):
    answer = visitor(shop).get("/en/checkout")
    assert answer.status_code == 200
    return answer.content.decode(), directives(answer["Content-Security-Policy"])


def test_elements_may_use_what_stripes_guide_names_and_nothing_else(within):
    text, policy = checkout_page(within())
    assert f'<script src="{STRIPE_JS}" defer></script>' in text
    assert policy["script-src"] == {"'self'", "https://js.stripe.com", "https://*.js.stripe.com"}
    assert policy["frame-src"] == {
        "'self'", "https://js.stripe.com", "https://*.js.stripe.com", "https://hooks.stripe.com",
    }  # fmt: skip
    assert policy["connect-src"] == {"'self'", "https://api.stripe.com"}
    assert policy["style-src"] == {"'self'"}
    assert policy["frame-ancestors"] == {"'none'"}
    assert not {"'unsafe-inline'", "'unsafe-eval'"} & set().union(*policy.values())


def test_the_embedded_page_may_be_stripes_checkout_too(within):
    _, policy = checkout_page(within("embedded_page"))
    for directive in ("script-src", "frame-src", "connect-src"):
        assert "https://checkout.stripe.com" in policy[directive]
    assert policy["img-src"] == {"'self'", "data:", "https://*.stripe.com"}


@pytest.mark.parametrize("ui", ["elements", "embedded_page"])
def test_in_development_it_is_the_stand_ins_and_stripes_is_out(within, settings, ui):
    settings.STRIPE_API_BASE = "http://127.0.0.1:9001"
    text, policy = checkout_page(within(ui))
    assert '<script src="http://127.0.0.1:9001/stripe.js" defer></script>' in text
    for directive in ("script-src", "frame-src", "connect-src"):
        assert policy[directive] == {"'self'", "http://127.0.0.1:9001"}
    assert "stripe.com" not in str([policy["img-src"], policy["script-src"]])


def test_only_the_checkouts_page_and_only_where_it_pays(within):
    shop = within()
    hosted = within("hosted_page")
    for answer in (visitor(shop).get("/en/cart"), visitor(hosted).get("/en/checkout")):
        assert directives(answer["Content-Security-Policy"])["script-src"] == {"'self'"}
        assert "stripe.com" not in answer.content.decode()
    assert content_sources("hosted_page") == {}


def test_the_platforms_key_serves_shops_without_an_account(within):
    assert 'data-key="pk_test_platform" data-account=""' in checkout_page(within())[0]


@pytest.mark.django_db(transaction=True)
def test_a_shop_with_its_own_keys_shows_its_own_and_never_the_platforms(within, standin):
    shop = within()
    with pytest.raises(CredentialsRefused):
        set_publishable_key(shop_id=shop.pk, key="pk_test_own", **WHY)
    use_own_keys(shop_id=shop.pk, secret_key="sk_test_own", **WHY)
    assert 'data-key="" data-account=""' in checkout_page(shop)[0]
    set_publishable_key(shop_id=shop.pk, key="pk_test_own", **WHY)
    text, _ = checkout_page(shop)
    assert 'data-key="pk_test_own" data-account=""' in text
    assert "sk_test" not in text and "pk_test_platform" not in text


@pytest.mark.django_db(transaction=True)
def test_a_connected_account_is_named_beside_the_platforms_key(within, standin):
    shop = within()
    connect_account(shop_id=shop.pk, account="acct_theirs", **WHY)
    assert 'data-key="pk_test_platform" data-account="acct_theirs"' in checkout_page(shop)[0]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", ["sk_test_own", "pk_live_own", "pk_test_", "pk_test_a b", "pk_test_x\n", "nonsense"])
def test_what_is_no_key_of_this_mode_is_refused(within, standin, key):
    shop = within()
    use_own_keys(shop_id=shop.pk, secret_key="sk_test_own", **WHY)
    with pytest.raises(CredentialsRefused):
        set_publishable_key(shop_id=shop.pk, key=key, **WHY)
    assert 'data-key=""' in checkout_page(shop)[0]


def test_one_query_more_than_a_hosted_checkout(within, settings, django_assert_num_queries):
    settings.HOST_MAP_SECONDS = 60
    client = visitor(within())
    client.get("/en/checkout")
    with django_assert_num_queries(1):
        client.get("/en/checkout")
