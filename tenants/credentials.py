"""Which Stripe account a shop's money goes through: its own keys, a connected account, or else the platform's (T11).

Whoever calls these verbs has verified the account at Stripe; commerce/gateway/onboarding.py does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from tenants.audit import Actor, record_audit
from tenants.errors import CredentialsRefused, CredentialsUnusable, NotFound
from tenants.models import Shop, ShopCredential, WebhookSecret
from tenants.ownership import StripeScope
from tenants.sealing import Sealed, SealError, seal, unseal
from tenants.staff import StaffScope

log = structlog.get_logger(__name__)
PUBLISHABLE_KEY = re.compile(r"pk_(?:test|live)_[A-Za-z0-9_]{1,240}\Z")
Kind, Status = ShopCredential.Kind, ShopCredential.Status


@dataclass(frozen=True, slots=True)
class Credential:
    """An account as the gateway uses it. `secret_key` is empty for a connected account: the platform's key acts."""

    kind: str
    scope: StripeScope
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublicAccount:
    """What a browser may know of a shop's own account. With `own_keys` its own key acts, else the platform's."""

    account: str
    own_keys: bool
    publishable_key: str


def public_account(*, shop_id: str) -> PublicAccount | None:
    """The shop's own account, as a payment page names it; None where it sells on the platform's. One query."""
    rows = ShopCredential.objects.for_shop(shop_id).filter(status=Status.ACTIVE)
    row = rows.only("account", "kind", "publishable_key").first()
    return None if row is None else PublicAccount(row.account, row.kind == Kind.OWN_KEYS, row.publishable_key)


def active_credential(*, shop_id: str) -> Credential | None:
    """The shop's own account; None where it sells on the platform's. One query.

    Raises CredentialsUnusable when its key can't be opened: money never falls back to somebody else's account.
    """
    return _opened(ShopCredential.objects.for_shop(shop_id).filter(status=Status.ACTIVE).first())


def credential_for(*, shop_id: str, scope: StripeScope) -> Credential | None:
    """The shop's access to an account it uses or used, for what is in flight there; None when it isn't the shop's.

    Raises CredentialsUnusable. One query.
    """
    rows = ShopCredential.objects.for_shop(shop_id).filter(livemode=scope.livemode, account=scope.account)
    return _opened(rows.exclude(status=Status.FORGOTTEN).first())


def shop_of_account(scope: StripeScope) -> str | None:
    """The one shop whose account this is or was; None for an account that nobody told us about. One query."""
    rows = ShopCredential.objects.filter(livemode=scope.livemode, account=scope.account)
    return rows.exclude(status=Status.FORGOTTEN).values_list("shop_id", flat=True).first()


def _opened(row: ShopCredential | None) -> Credential | None:
    if row is None:
        return None
    try:
        secret = unseal(row.sealed, about=row.about) if row.kind == Kind.OWN_KEYS else ""
    except SealError as error:
        log.error("credentials_unusable", account=row.account, reason=str(error))
        raise CredentialsUnusable("This shop can't take payments at the moment.") from None
    return Credential(row.kind, StripeScope(row.livemode, row.account), secret)


# ---------------------------------------------------------------- verbs
@transaction.atomic(durable=True)
def adopt_account(*, shop_id: str, scope: StripeScope, secret_key: str, reason: str, acting: Actor) -> ShopCredential:
    """Makes a verified account the shop's: with `secret_key` by its own keys, without one as a connected account.

    The shop's former account stays for what is in flight. Repeating it with a new key of the same account replaces the
    key. Raises CredentialsRefused when the account is another shop's, NotFound for an unknown shop. Audited.
    """
    was = _lock(shop_id)
    now = timezone.now()
    mine = ShopCredential.objects.for_shop(shop_id).filter(livemode=scope.livemode, account=scope.account)
    row = mine.exclude(status=Status.FORGOTTEN).first() or ShopCredential(
        shop_id=shop_id, livemode=scope.livemode, account=scope.account
    )
    row.kind = Kind.OWN_KEYS if secret_key else Kind.CONNECTED
    row.status, row.retired_at = Status.ACTIVE, None
    row.verified_at, row.verified_by = now, acting.name
    row.sealed, row.sealed_by, row.last_four = "", "", secret_key[-4:]
    if secret_key:
        sealed = _sealed(secret_key, row.about)
        row.sealed, row.sealed_by = sealed.text, sealed.by
    if was is not None and was.pk != row.pk:
        ShopCredential.objects.filter(pk=was.pk).update(status=Status.RETIRED, retired_at=now)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        if "credential_account_one_shop" not in str(error):
            raise
        raise CredentialsRefused(f"{scope.account} belongs to another shop.") from None
    _audit(shop_id, f"credentials.{row.kind}", row.account, was, reason, acting)
    return row


@transaction.atomic(durable=True)
def set_publishable_key(*, shop_id: str, key: str, reason: str, acting: Actor) -> ShopCredential:
    """The public key of the shop's own account, for payment pages within the shop. Empty takes it away. Audited.

    Nobody can be asked whether it belongs to the account: Stripe.js refuses a session of another one. Raises
    CredentialsRefused for what is no public key, one of the other mode, or an account that has no key of its own.
    """
    row = _lock(shop_id)
    if row is None or row.kind != Kind.OWN_KEYS:
        raise CredentialsRefused("Only an account with keys of its own has a publishable key here.")
    mode = "live" if row.livemode else "test"
    if key and not PUBLISHABLE_KEY.match(key):
        raise CredentialsRefused("This is no publishable key. It begins with pk_live_ or pk_test_.")
    if key and not key.startswith(f"pk_{mode}_"):
        raise CredentialsRefused(f"This deployment runs in {mode} mode: the key begins with pk_{mode}_.")
    row.publishable_key = key
    row.save(update_fields=["publishable_key"])
    _audit(shop_id, "credentials.publishable_key", row.account, row, reason, acting)
    return row


@transaction.atomic(durable=True)
def return_to_platform(*, shop_id: str, reason: str, acting: Actor) -> None:
    """The shop sells on the platform's account from now on; what is in flight is settled where it is. Audited.

    Raises CredentialsRefused when it does already, NotFound for an unknown shop.
    """
    was = _lock(shop_id)
    if was is None:
        raise CredentialsRefused("The shop sells on the platform's account already.")
    ShopCredential.objects.filter(pk=was.pk).update(status=Status.RETIRED, retired_at=timezone.now())
    _audit(shop_id, "credentials.platform", was.account, was, reason, acting)


@transaction.atomic(durable=True)
def forget_account(*, credential_id: int, scope: StaffScope, reason: str, acting: Actor) -> ShopCredential:
    """Wipes a former account's key and its webhook secrets, and frees the account for another shop. Audited.

    What is still in flight there can't be settled any more. Raises CredentialsRefused unless it is retired, NotFound
    also outside the caller's `scope`.
    """
    row = scope.rows(ShopCredential.objects.select_for_update(), "shop").filter(pk=credential_id).first()
    if row is None:
        raise NotFound("There is no such account.")
    if row.status != Status.RETIRED:
        raise CredentialsRefused("Only a former account can be forgotten.")
    now = timezone.now()
    row.status, row.sealed, row.sealed_by, row.last_four = Status.FORGOTTEN, "", "", ""
    row.publishable_key = ""
    row.save(update_fields=["status", "sealed", "sealed_by", "last_four", "publishable_key"])
    WebhookSecret.objects.for_shop(row.shop_id).filter(livemode=row.livemode, account=row.account).exclude(
        sealed=""
    ).update(sealed="", sealed_by="", active_until=now)
    _audit(row.shop_id, "credentials.forgotten", row.account, row, reason, acting)
    return row


def _lock(shop_id: str) -> ShopCredential | None:
    """Locks the shop, so that two changes follow each other, and answers its active account."""
    if not Shop.objects.select_for_update(no_key=True).filter(pk=shop_id).exists():
        raise NotFound("There is no such shop.")
    return ShopCredential.objects.for_shop(shop_id).filter(status=Status.ACTIVE).first()


def _sealed(secret: str, about: str) -> Sealed:
    try:
        return seal(secret, about=about)
    except SealError as error:
        raise CredentialsRefused(f"{error} Without it no secret can be kept.") from None


def _audit(shop_id: str, action: str, account: str, was: ShopCredential | None, reason: str, acting: Actor) -> None:
    record_audit(
        shop_id=shop_id,
        acting=acting,
        action=action,
        object_type="stripe_account",
        object_id=account,
        reason=reason,
        data={"was": {"kind": was.kind, "account": was.account} if was else {"kind": "platform"}},
    )
