"""Which account a shop's calls reach, how it gets one, and that no key is ever told to anybody."""

from __future__ import annotations

import base64
import logging
import os
import re
from typing import Any

import pytest
import structlog

from commerce.gateway import client
from commerce.gateway.client import StripeAccess, access_for_account, access_of, read_account
from commerce.gateway.failures import StripeFailure
from commerce.gateway.onboarding import connect_account, use_own_keys
from tenants import credentials
from tenants.audit import Actor
from tenants.context import ShopContext, load_shop
from tenants.errors import CredentialsRefused, CredentialsUnusable
from tenants.models import AuditEntry, ShopCredential
from tenants.ownership import StripeScope
from tests.factories.tenants import ShopFactory
from tests.fixtures.lines import Lines
from tests.fixtures.standin import StandIn

pytestmark = pytest.mark.django_db(transaction=True)

OLGA = Actor("staff", "olga")
KEY = "sk_test_own_1234567890abcd"
ACCOUNT = KEY.replace("sk_test_", "acct_")
WHY = {"reason": "Contract", "acting": OLGA}


@pytest.fixture
def shop() -> ShopContext:
    ShopFactory(id="acme")
    return load_shop("acme")


def reached(access: StripeAccess) -> str:
    return read_account(access).id


class TestAccess:
    def test_the_platforms_until_the_shop_has_its_own(self, shop: ShopContext, standin: StandIn):
        access = access_of(shop)
        assert (access.scope, access.connected) == (StripeScope(False, "acct_standin"), "")
        assert reached(access) == "acct_standin"

    def test_its_own_keys(self, shop: ShopContext, standin: StandIn):
        row, facts = use_own_keys(shop_id="acme", secret_key=KEY, **WHY)
        assert (row.account, facts.id, facts.charges_enabled) == (ACCOUNT, ACCOUNT, True)
        access = access_of(shop)
        assert (access.scope, access.secret_key, access.connected) == (StripeScope(False, ACCOUNT), KEY, "")
        assert reached(access) == ACCOUNT

    def test_a_connected_account_by_the_platforms_key(self, shop: ShopContext, standin: StandIn):
        connect_account(shop_id="acme", account="acct_conn", **WHY)
        access = access_of(shop)
        assert (access.scope.account, access.connected, access.secret_key) == (
            "acct_conn",
            "acct_conn",
            "sk_test_standin",
        )
        assert reached(access) == "acct_conn"
        call = standin.requests("/v1/account", "GET")[-1]
        assert call["account"] == "acct_conn"

    def test_money_in_flight_goes_where_it_was_begun(self, shop: ShopContext, standin: StandIn):
        use_own_keys(shop_id="acme", secret_key=KEY, **WHY)
        connect_account(shop_id="acme", account="acct_conn", **WHY)
        for account in (ACCOUNT, "acct_conn", "acct_standin"):
            assert reached(access_for_account(shop, account)) == account
        assert access_of(shop).scope.account == "acct_conn"

    def test_another_shops_account_is_out_of_reach(self, shop: ShopContext, standin: StandIn):
        ShopFactory(id="other")
        use_own_keys(shop_id="other", secret_key=KEY, **WHY)
        for account in (ACCOUNT, "acct_unknown", ""):
            with pytest.raises(CredentialsUnusable):
                access_for_account(shop, account)

    def test_the_other_mode_never_falls_back(self, shop: ShopContext, standin: StandIn, settings: Any):
        use_own_keys(shop_id="acme", secret_key=KEY, **WHY)
        settings.STRIPE_SECRET_KEY = "sk_live_platform"
        with pytest.raises(CredentialsUnusable):
            access_of(shop)

    def test_one_client_per_key_and_not_without_end(self, settings: Any):
        clients = client._Clients(most=2)
        first = clients("sk_test_1", 20)
        assert clients("sk_test_1", 20) is first
        assert clients("sk_test_1", 2) is not first
        clients("sk_test_3", 20)
        assert len(clients) == 2
        assert clients("sk_test_1", 20) is not first, "the one unused for longest made room"
        assert "sk_test" not in str(list(clients._clients))


class TestOnboarding:
    def refused(self, key: str) -> str:
        with pytest.raises(CredentialsRefused) as told:
            use_own_keys(shop_id="acme", secret_key=key, **WHY)
        assert len(key) < 10 or key not in told.value.detail
        return told.value.detail

    @pytest.mark.parametrize(
        "key", ["", "pk_test_abc", "whsec_abc", "sk_test_", "sk_test_a b", "sk_test_a\n", "x" * 500]
    )
    def test_what_is_no_secret_key(self, shop: ShopContext, standin: StandIn, key: str):
        assert "no secret key" in self.refused(key)
        assert standin.requests("/v1/account", "GET") == []

    def test_a_live_key_on_a_test_deployment(self, shop: ShopContext, standin: StandIn):
        assert "This is a live key, and this deployment runs in test mode" in self.refused("sk_live_abc")

    @pytest.mark.parametrize("key", [KEY, "rk_test_abc"])
    def test_a_test_key_on_a_live_deployment(self, shop: ShopContext, standin: StandIn, settings: Any, key: str):
        settings.STRIPE_SECRET_KEY = "rk_live_platform"
        assert "This is a test key, and this deployment runs in live mode" in self.refused(key)
        assert standin.requests("/v1/account", "GET") == [], "no key goes anywhere"

    def test_a_key_that_stripe_refuses(self, shop: ShopContext, standin: StandIn):
        assert self.refused("rk_test_unknown_0123456789").startswith("Stripe refuses: Invalid API Key")

    @pytest.mark.parametrize("kind", ["drop_before", "html", "rate_limit"])
    def test_stripe_out_of_reach(self, shop: ShopContext, standin: StandIn, kind: str):
        standin.fault(path="/v1/account", method="GET", kind=kind)
        assert "Nothing was changed" in self.refused(KEY)
        assert not ShopCredential.objects.exists() and not AuditEntry.objects.exists()

    def test_the_platforms_own_account(self, shop: ShopContext, standin: StandIn):
        assert "platform's own account" in self.refused("sk_test_standin")
        with pytest.raises(CredentialsRefused, match="platform's own"):
            connect_account(shop_id="acme", account="acct_standin", **WHY)

    def test_another_shops_account_by_either_way(self, shop: ShopContext, standin: StandIn):
        ShopFactory(id="other")
        use_own_keys(shop_id="other", secret_key=KEY, **WHY)
        assert "belongs to another shop" in self.refused(KEY)
        with pytest.raises(CredentialsRefused, match="belongs to another shop"):
            connect_account(shop_id="acme", account=ACCOUNT, **WHY)

    @pytest.mark.parametrize("account", ["", "acct_", "acct_a/b", "cus_1", "acct_" + "x" * 80, "acct_a\n"])
    def test_what_is_no_account(self, shop: ShopContext, standin: StandIn, account: str):
        with pytest.raises(CredentialsRefused, match="no account id"):
            connect_account(shop_id="acme", account=account, **WHY)


SECRETS = re.compile(r"(?:sk|rk)_(?:test|live)_\w+|whsec_\w+")


def test_no_line_no_error_and_no_record_holds_a_key(
    shop: ShopContext, standin: StandIn, log_lines: Lines, settings: Any
):
    settings.CREDENTIAL_KEYS = (base64.urlsafe_b64encode(os.urandom(32)).decode(),)
    row, _ = use_own_keys(shop_id="acme", secret_key=KEY, **WHY)
    access = access_of(shop)
    shown = [repr(access), str(access), repr(row), str(credentials.active_credential(shop_id="acme"))]
    for kind in ("drop_before", "status", "html"):
        more = {"status": 401, "message": f"Invalid API Key provided: {KEY}"} if kind == "status" else {}
        standin.fault(path="/v1/account", method="GET", kind=kind, **more)
        with pytest.raises(StripeFailure) as told:
            read_account(access)
        shown += [str(told.value), repr(told.value)]
        # As the inbox does: the whole chain of causes goes into the log.
        structlog.get_logger("test").warning("event_failed", exc_info=told.value)
    logging.getLogger("somebody.else").warning("using %s and whsec_1234567890", KEY)
    settings.CREDENTIAL_KEYS = (base64.urlsafe_b64encode(os.urandom(32)).decode(),)
    with pytest.raises(CredentialsUnusable):
        access_of(shop)
    lines = log_lines()
    assert {"stripe_call_failed", "event_failed", "credentials_unusable"} <= {line["event"] for line in lines}
    assert "using ••• and •••" in {line["event"] for line in lines}
    everything = "\n".join([*shown, str(lines), str(list(AuditEntry.objects.values()))])
    assert SECRETS.findall(everything) == []
