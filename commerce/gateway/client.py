"""The way to Stripe: one account's credentials, bounded timeouts, our own idempotency keys, never inside a transaction.

The only folder that imports `stripe`. Retries are off: the count of sends behind an idempotency key is ours to keep.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast
from urllib.parse import quote_plus

import stripe
import structlog
from django.conf import settings
from django.db import transaction

from commerce.gateway.failures import StripeFailure, classify
from commerce.gateway.sessions import SessionFacts, session_facts, session_line
from commerce.gateway.transport import StraightClient
from commerce.metrics import STRIPE_ERRORS
from tenants.context import ShopContext
from tenants.credentials import Credential, active_credential, credential_for
from tenants.errors import CredentialsUnusable
from tenants.ownership import StripeScope
from tenants.storable import storable

log = structlog.get_logger(__name__)
T = TypeVar("T")

# Latencies would be sent to Stripe and an id written into the home directory.
stripe.enable_telemetry = False


@dataclass(frozen=True, slots=True)
class StripeAccess:
    """Credentials of one shop's Stripe account. `connected` is the account to act for, empty for the key's own."""

    scope: StripeScope
    shop_id: str
    secret_key: str = field(repr=False)
    connected: str


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What Stripe says about an account. `charges_enabled` is false while its owner hasn't finished with Stripe."""

    id: str
    charges_enabled: bool


def platform_scope() -> StripeScope:
    """The platform's own account. The mode of its key is the mode of the whole deployment."""
    return StripeScope(livemode=is_live(settings.STRIPE_SECRET_KEY), account=settings.STRIPE_ACCOUNT)


def access_of(shop: ShopContext) -> StripeAccess:
    """The account that the shop's money goes through from now on: its own, a connected one, else the platform's.

    Raises CredentialsUnusable when that account can't be used from here. One query.
    """
    return _access(shop, active_credential(shop_id=shop.shop_id))


def access_for_account(shop: ShopContext, account: str) -> StripeAccess:
    """The way to an account that money of the shop went through: where something was begun, there it is settled.

    Raises CredentialsUnusable when the account is neither the platform's nor one of the shop's, former ones included.
    """
    platform = platform_scope()
    if account == platform.account:
        return _access(shop, None)
    found = credential_for(shop_id=shop.shop_id, scope=StripeScope(platform.livemode, account))
    if found is None:
        raise CredentialsUnusable(f"The Stripe account {account} is not the shop's.")
    return _access(shop, found)


class AccessOnce:
    """The shop's ways to Stripe for one short piece of work: what it sells on is read when it is first asked for, once.

    For no longer than that: a key that was replaced or an account that was left counts from the next request on.
    """

    def __init__(self, shop: ShopContext) -> None:
        self._shop = shop
        self._selling: StripeAccess | None = None

    def selling(self) -> StripeAccess:
        """As `access_of`."""
        if self._selling is None:
            self._selling = access_of(self._shop)
        return self._selling

    def to(self, account: str) -> StripeAccess:
        """As `access_for_account`, without a query where it is the account that was read."""
        if self._selling is not None and self._selling.scope.account == account:
            return self._selling
        return access_for_account(self._shop, account)


def _access(shop: ShopContext, own: Credential | None) -> StripeAccess:
    scope = platform_scope()
    if own is None:
        return StripeAccess(scope=scope, shop_id=shop.shop_id, secret_key=settings.STRIPE_SECRET_KEY, connected="")
    if own.scope.livemode != scope.livemode:
        log.error("credentials_of_another_mode", account=own.scope.account, livemode=own.scope.livemode)
        raise CredentialsUnusable("This shop can't take payments at the moment.")
    return StripeAccess(
        scope=own.scope,
        shop_id=shop.shop_id,
        secret_key=own.secret_key or settings.STRIPE_SECRET_KEY,
        connected="" if own.secret_key else own.scope.account,
    )


def is_live(secret_key: str) -> bool:
    """Whether a secret or restricted key moves real money."""
    return secret_key.startswith(("sk_live_", "rk_live_"))


_patience: ContextVar[float | None] = ContextVar("holdfast_stripe_patience", default=None)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Calls in this block wait for an answer no longer than so many seconds: somebody is waiting for a side matter."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


class _Clients:
    """One client per key and patience, each with its connections; the `most` used last, by a digest of the key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._clients: OrderedDict[str, stripe.StripeClient] = OrderedDict()
        self._changing = threading.Lock()

    def __call__(self, secret_key: str, read_timeout: float) -> stripe.StripeClient:
        digest = f"{hashlib.sha256(secret_key.encode()).hexdigest()}:{read_timeout}"
        with self._changing:
            client = self._clients.pop(digest, None) or _new_client(secret_key, read_timeout)
            self._clients[digest] = client
            while len(self._clients) > self._most:
                self._clients.popitem(last=False)
        return client

    def __len__(self) -> int:
        return len(self._clients)

    def cache_clear(self) -> None:
        with self._changing:
            self._clients.clear()


def _new_client(secret_key: str, read_timeout: float) -> stripe.StripeClient:
    return stripe.StripeClient(
        secret_key,
        stripe_version=settings.STRIPE_API_VERSION,
        base_addresses={"api": settings.STRIPE_API_BASE},
        max_network_retries=0,
        http_client=StraightClient(timeout=(min(settings.STRIPE_CONNECT_TIMEOUT, read_timeout), read_timeout)),
    )


_client = _Clients(most=64)


def _call(access: StripeAccess, operation: str, send: Callable[[stripe.StripeClient], T]) -> T:
    """Runs one request. Raises StripeFailure, RuntimeError inside a transaction: locks would wait for the network."""
    with transaction.atomic(durable=True):
        pass
    try:
        return send(_client(access.secret_key, _patience.get() or settings.STRIPE_READ_TIMEOUT))
    except Exception as error:
        failure = classify(error)
        STRIPE_ERRORS.labels(shop_id=access.shop_id, verdict=failure.verdict.value).inc()
        log.warning(
            "stripe_call_failed",
            operation=operation,
            verdict=failure.verdict.value,
            kind=failure.kind,
            http_status=failure.http_status,
            stripe_code=failure.code,
            param=failure.param,
        )
        raise failure from error


def _options(access: StripeAccess, key: str | None = None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if access.connected:
        options["stripe_account"] = access.connected
    if key is not None:
        options["idempotency_key"] = key
    return options


def _facts(found: dict[str, Any], **asked: object) -> SessionFacts:
    """Raises ValueError for an answer about another object than `asked` for: a success that says nothing."""
    asked["object"] = "checkout.session"
    if wrong := [name for name, value in asked.items() if found.get(name) != value]:
        raise ValueError(f"An answer about another object: {', '.join(wrong)}.")
    return session_facts(storable(found))


def create_session(access: StripeAccess, *, params: Mapping[str, Any], key: str) -> SessionFacts:
    """Sends stored parameters under their stored key. Raises StripeFailure.

    The answer may be a saved one: a session that was paid or has expired since still reads `open` in it.
    """
    return _call(
        access,
        "checkout.sessions.create",
        lambda client: _facts(
            client.v1.checkout.sessions.create(cast("Any", dict(params)), cast("Any", _options(access, key))).to_dict(
                for_json=True
            ),
            client_reference_id=params.get("client_reference_id"),
        ),
    )


def create_coupon(access: StripeAccess, *, params: Mapping[str, Any], key: str) -> None:
    """Makes the coupon that `params` name by their own `id`, or finds it made, whatever an earlier answer said.

    Stripe keeps failed answers under a key for a day, 5xx included; the coupon's id tells what really happened. Raises
    StripeFailure of the creation when no such coupon is there, or that can't be learnt.
    """
    try:
        _call(
            access,
            "coupons.create",
            lambda client: client.v1.coupons.create(cast("Any", dict(params)), cast("Any", _options(access, key))),
        )
    except StripeFailure as failure:
        answered = failure.http_status is not None and failure.http_status >= 500
        if not (answered or failure.code == "resource_already_exists"):
            raise
        if not _has_coupon(access, params):
            raise


def _has_coupon(access: StripeAccess, params: Mapping[str, Any]) -> bool:
    """Whether the account has this coupon, with this amount. Unreadable is no."""

    def send(client: stripe.StripeClient) -> bool:
        coupon = client.v1.coupons.retrieve(str(params["id"]), None, cast("Any", _options(access)))
        return (coupon.amount_off, coupon.currency) == (params["amount_off"], params["currency"])

    try:
        return _call(access, "coupons.retrieve", send)
    except StripeFailure:
        return False


def read_session(access: StripeAccess, session_id: str) -> SessionFacts:
    """The session now, with its payment intent, and where it is taxed with all its line items.

    Raises StripeFailure (`not_found` for another account's).
    """
    facts = _call(
        access,
        "checkout.sessions.retrieve",
        lambda client: _facts(
            # As the package sends it, without the objects that it makes of an answer, which take longer than the rest.
            cast("Any", client.raw_request)(
                "get",
                f"/v1/checkout/sessions/{quote_plus(session_id)}",
                expand=["payment_intent", "line_items"],
                **_options(access),
            ).data,
            id=session_id,
        ),
    )
    if not (facts.tax and facts.more_lines):
        return facts
    # What is expanded is the beginning; a session has no more lines than a page of their own list.
    lines = _call(
        access,
        "checkout.sessions.line_items.list",
        lambda client: client.v1.checkout.sessions.line_items.list(
            session_id, {"limit": 100}, cast("Any", _options(access))
        ),
    )
    found = storable(lines.to_dict(for_json=True))
    return replace(facts, lines=tuple(map(session_line, found["data"])), more_lines=bool(found["has_more"]))


def expire_session(access: StripeAccess, session_id: str) -> bool:
    """Makes an open session unpayable. False when it was not open any more: then read it, the customer may have won.

    Raises StripeFailure when neither is known. Source: Stripe, "Expire a Checkout Session".
    """
    try:
        _call(
            access,
            "checkout.sessions.expire",
            lambda client: client.v1.checkout.sessions.expire(session_id, None, cast("Any", _options(access))),
        )
    except StripeFailure as failure:
        if failure.http_status == 400:
            return False
        raise
    return True


def read_account(access: StripeAccess) -> AccountFacts:
    """The account that `access` acts for: proof that its key works and whose it is. Raises StripeFailure."""

    def send(client: stripe.StripeClient) -> AccountFacts:
        account = client.v1.accounts.retrieve_current(None, cast("Any", _options(access)))
        return AccountFacts(id=str(account.id), charges_enabled=bool(account.charges_enabled))

    return _call(access, "account.retrieve", send)
