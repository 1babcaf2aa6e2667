"""A shop gets a Stripe account of its own: asked about at Stripe outside any transaction, then recorded (T11)."""

from __future__ import annotations

import re

from django.conf import settings

from commerce.gateway.client import AccountFacts, StripeAccess, is_live, platform_scope, read_account
from commerce.gateway.failures import StripeFailure, Verdict
from tenants.audit import Actor
from tenants.credentials import adopt_account
from tenants.errors import CredentialsRefused
from tenants.models import ShopCredential
from tenants.ownership import StripeScope

SECRET_KEY = re.compile(r"(?:sk|rk)_(?:test|live)_[A-Za-z0-9_]{1,240}\Z")
ACCOUNT_ID = re.compile(r"acct_[A-Za-z0-9_]{1,59}\Z")


def use_own_keys(*, shop_id: str, secret_key: str, reason: str, acting: Actor) -> tuple[ShopCredential, AccountFacts]:
    """The shop sells on the account that `secret_key` opens. Repeating it with a newer key of that account rolls it.

    Raises CredentialsRefused, which quotes no key: not a secret key, of the other mode, refused by Stripe, Stripe out
    of reach, the platform's own account, another shop's account. Asks Stripe; durable; audited.
    """
    if not SECRET_KEY.match(secret_key):
        raise CredentialsRefused("This is no secret key. It begins with sk_live_, rk_live_, sk_test_ or rk_test_.")
    _refuse_other_mode(secret_key)
    facts = _verified(shop_id, secret_key, connected="")
    scope = StripeScope(is_live(secret_key), facts.id)
    return adopt_account(shop_id=shop_id, scope=scope, secret_key=secret_key, reason=reason, acting=acting), facts


def connect_account(*, shop_id: str, account: str, reason: str, acting: Actor) -> tuple[ShopCredential, AccountFacts]:
    """The shop sells on `account` (acct_…), which has allowed the platform to act for it.

    Raises CredentialsRefused as `use_own_keys` does. Asks Stripe; durable; audited.
    """
    if not ACCOUNT_ID.match(account):
        raise CredentialsRefused("This is no account id. It begins with acct_.")
    facts = _verified(shop_id, settings.STRIPE_SECRET_KEY, connected=account)
    scope = StripeScope(platform_scope().livemode, facts.id)
    return adopt_account(shop_id=shop_id, scope=scope, secret_key="", reason=reason, acting=acting), facts


def _refuse_other_mode(secret_key: str) -> None:
    live = platform_scope().livemode
    if is_live(secret_key) and not live:
        raise CredentialsRefused("This is a live key, and this deployment runs in test mode: it would move real money.")
    if live and not is_live(secret_key):
        raise CredentialsRefused("This is a test key, and this deployment runs in live mode: nobody would be charged.")


def _verified(shop_id: str, secret_key: str, *, connected: str) -> AccountFacts:
    scope = StripeScope(is_live(secret_key), connected)
    access = StripeAccess(scope=scope, shop_id=shop_id, secret_key=secret_key, connected=connected)
    try:
        facts = read_account(access)
    except StripeFailure as failure:
        if failure.verdict is Verdict.REFUSED:
            raise CredentialsRefused(f"Stripe refuses: {failure.message}") from None
        raise CredentialsRefused("Stripe could not be asked. Nothing was changed; try again.") from None
    if not ACCOUNT_ID.match(facts.id) or (connected and facts.id != connected):
        raise CredentialsRefused("Stripe answered with another account.")
    if facts.id == settings.STRIPE_ACCOUNT:
        raise CredentialsRefused("This is the platform's own account. Use “Back to the platform's account”.")
    return facts
