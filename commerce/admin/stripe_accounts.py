"""Whose Stripe account each shop sells on. Keys go in, never out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from commerce.admin.display import mono, panel, shop_moment, table, whole
from commerce.admin.webhook_secrets import SecretForm, last_used, mode_of, standing, write_only
from commerce.gateway.client import AccountFacts, platform_scope
from commerce.gateway.onboarding import connect_account, use_own_keys
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    ReadOnlyAdmin,
    ReasonAction,
    ReasonForm,
    Refused,
    RelatedDropdownFilter,
    badge,
    link_to,
    widgets,
)
from tenants.credentials import forget_account, return_to_platform, set_publishable_key
from tenants.display import EMPTY, Tone
from tenants.models import ShopCredential, ShopPayments
from tenants.webhook_secrets import add_shop_secret

CHANGE_ACCOUNT = "tenants.change_shopcredential"
STATUS_TONES: dict[str, Tone] = {ShopCredential.Status.ACTIVE: "good", ShopCredential.Status.RETIRED: "warn"}


class KeysForm(ReasonForm):
    secret_key = write_only("Secret key", "sk_… or a restricted rk_…; never shown again.")


class PublishableKeyForm(ReasonForm):
    publishable_key = forms.CharField(
        label="Publishable key",
        max_length=255,
        required=False,
        widget=widgets.UnfoldAdminTextInputWidget(),
        help_text="pk_… of the same account, for payments within the shop's pages. Empty: none.",
    )


class AccountForm(ReasonForm):
    account = forms.CharField(label="Account", max_length=64, widget=widgets.UnfoldAdminTextInputWidget())


# ---------------------------------------------------------------- a shop's account
def active(shop: ShopPayments) -> ShopCredential | None:
    return next((row for row in shop.credentials.all() if row.status == ShopCredential.Status.ACTIVE), None)


def plan_change(shop: ShopPayments) -> str:
    own = active(shop)
    now = f"It sells on {own.account}" if own else "It sells on the platform's account"
    return f"{now}. New checkouts go to the account you name; what is in flight is settled where it was begun."


def plan_platform(shop: ShopPayments) -> str | Refused:
    own = active(shop)
    if own is None:
        return Refused("It sells on the platform's account already.")
    return f"New checkouts go to the platform's account; what is in flight is settled on {own.account}."


def plan_secret(shop: ShopPayments) -> str | Refused:
    own = active(shop)
    if own is None:
        return Refused("It sells on the platform's account, whose events arrive on the hooks host.")
    return f"Events that it signs count as events of {own.account}, on the shop's hosts alone."


def plan_publishable(shop: ShopPayments) -> str | Refused:
    own = active(shop)
    if own is None or own.kind != ShopCredential.Kind.OWN_KEYS:
        return Refused("Its pages use the platform's publishable key.")
    return "Payment pages within the shop use it from their next request on; they show it to everybody."


def set_publishable(shop: ShopPayments, mandate: Mandate) -> str:
    key = str(mandate.fields["publishable_key"]).strip()
    row = set_publishable_key(shop_id=shop.pk, key=key, reason=mandate.reason, acting=mandate.acting)
    return f"Pages pay to {row.account} with {key}." if key else "Nothing can be paid within the shop's pages now."


def set_keys(shop: ShopPayments, mandate: Mandate) -> str:
    row, facts = use_own_keys(
        shop_id=shop.pk,
        secret_key=str(mandate.fields["secret_key"]).strip(),
        reason=mandate.reason,
        acting=mandate.acting,
    )
    return f"Sells on {row.account} by its own key …{row.last_four}.{_caution(facts)}"


def connect(shop: ShopPayments, mandate: Mandate) -> str:
    row, facts = connect_account(
        shop_id=shop.pk, account=str(mandate.fields["account"]).strip(), reason=mandate.reason, acting=mandate.acting
    )
    return f"Sells on the connected account {row.account}.{_caution(facts)}"


def _caution(facts: AccountFacts) -> str:
    return "" if facts.charges_enabled else " Stripe doesn't let it charge yet: its owner has to finish there."


def back_to_platform(shop: ShopPayments, mandate: Mandate) -> str:
    return_to_platform(shop_id=shop.pk, reason=mandate.reason, acting=mandate.acting)
    return "Sells on the platform's account."


def add_secret(shop: ShopPayments, mandate: Mandate) -> str:
    row = add_shop_secret(
        shop_id=shop.pk, secret=str(mandate.fields["secret"]).strip(), reason=mandate.reason, acting=mandate.acting
    )
    return f"{row} verifies events of {row.account} from now on."


@admin.register(ShopPayments)
class ShopPaymentsAdmin(ReadOnlyAdmin[ShopPayments]):
    shop_path = "pk"
    list_display = ("name", "id", "how", "account", "mode", "key", "verified")
    fields_of_one = ("name", "how", "account", "mode", "key", "publishable", "verified")
    search_fields = ("id", "name")
    empty_text = "No shop yet."
    reason_actions = (
        ReasonAction(
            name="set-keys", label="Set keys", plan=plan_change, verb=set_keys, permission=CHANGE_ACCOUNT,
            form=KeysForm, help="Stripe is asked whose key it is. A newer key of the same account takes its place.",
        ),
        ReasonAction(
            name="publishable", label="Set publishable key", plan=plan_publishable, verb=set_publishable,
            permission=CHANGE_ACCOUNT, form=PublishableKeyForm,
        ),
        ReasonAction(
            name="connect", label="Connect account", plan=plan_change, verb=connect, permission=CHANGE_ACCOUNT,
            form=AccountForm, help="An account that has allowed the platform to act for it; Stripe is asked.",
        ),
        ReasonAction(
            name="platform", label="Back to the platform's account", plan=plan_platform, verb=back_to_platform,
            permission=CHANGE_ACCOUNT, danger=True,
        ),
        ReasonAction(
            name="add-secret", label="Add webhook secret", plan=plan_secret, verb=add_secret,
            permission="tenants.add_webhooksecret", form=SecretForm,
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[ShopPayments]:
        return (
            super().get_queryset(request).select_related("settings").prefetch_related("credentials", "webhook_secrets")
        )

    def get_fieldsets(self, request: HttpRequest, obj: ShopPayments | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        shop = obj
        return [
            (None, {"fields": self.fields_of_one}),
            panel("Accounts, former ones included", lambda: self.accounts(shop)),
            panel("Webhook secrets", lambda: self.secrets(shop)),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: ShopPayments | None = None) -> tuple[str, ...]:
        return self.fields_of_one

    def accounts(self, shop: ShopPayments) -> str:
        return table(
            ("Account", "How", "Mode", "Key", "Status", "Verified", "By"),
            [
                (link_to(row), row.get_kind_display(), mode_of(row), key_of(row), status_of(row),
                 shop_moment(shop, row.verified_at), row.verified_by or EMPTY)
                for row in shop.credentials.all()
            ],
            whole=(3, 5),
            empty="None yet: it has sold on the platform's account alone.",
        )  # fmt: skip

    def secrets(self, shop: ShopPayments) -> str:
        return table(
            ("Secret", "Account", "Status", "Last used", "Added by"),
            [
                (link_to(row), row.account, standing(row), last_used(row), row.added_by)
                for row in shop.webhook_secrets.all()
            ],
            empty="None. Events of the platform's account arrive on the hooks host; an own account's need one here.",
        )

    @admin.display(description="Sells by")
    def how(self, shop: ShopPayments) -> str:
        own = active(shop)
        return badge(own.get_kind_display() if own else "The platform's account", "info" if own else "plain")

    @admin.display(description="Account")
    def account(self, shop: ShopPayments) -> str:
        own = active(shop)
        return mono(own.account if own else platform_scope().account)

    @admin.display(description="Mode")
    def mode(self, shop: ShopPayments) -> str:
        return mode_of(active(shop))

    @admin.display(description="Key")
    def key(self, shop: ShopPayments) -> str:
        return key_of(active(shop))

    @admin.display(description="Publishable key")
    def publishable(self, shop: ShopPayments) -> str:
        own = active(shop)
        if own is not None and own.kind == ShopCredential.Kind.OWN_KEYS:
            return mono(own.publishable_key) if own.publishable_key else "None: only the hosted page can be used"
        return mono(settings.STRIPE_PUBLISHABLE_KEY) if settings.STRIPE_PUBLISHABLE_KEY else "None on this platform"

    @admin.display(description="Verified")
    def verified(self, shop: ShopPayments) -> str:
        own = active(shop)
        if own is None or own.verified_at is None:
            return EMPTY
        return f"{shop_moment(shop, own.verified_at)} by {own.verified_by}"


def key_of(row: ShopCredential | None) -> str:
    return whole(f"…{row.last_four}") if row and row.last_four else EMPTY


def status_of(row: ShopCredential) -> str:
    return badge(row.get_status_display(), STATUS_TONES.get(row.status, "plain"))


# ---------------------------------------------------------------- accounts, one by one
def plan_forget(row: ShopCredential) -> str | Refused:
    if row.status != ShopCredential.Status.RETIRED:
        return Refused("Only a former account can be forgotten.")
    return f"Its key and webhook secrets are wiped. Payments in flight on {row.account} can't be settled any more."


def forget(row: ShopCredential, mandate: Mandate) -> str:
    forget_account(credential_id=row.pk, scope=mandate.scope, reason=mandate.reason, acting=mandate.acting)
    return "Forgotten; another shop may use the account."


@admin.register(ShopCredential)
class ShopCredentialAdmin(ReadOnlyAdmin[ShopCredential]):
    shop_path = "shop"
    list_display = ("account", "shop", "kind", "state", "key", "verified", "verified_by")
    list_filter = (("shop", RelatedDropdownFilter), ("kind", ChoicesDropdownFilter), ("status", ChoicesDropdownFilter))
    search_fields = ("account__exact",)
    search_help_text = "A whole account id: acct_…"
    list_select_related = ("shop__settings",)
    fields = readonly_fields = (
        "account", "shop", "kind", "state", "key", "mode", "verified", "verified_by", "created", "retired",
    )  # fmt: skip
    empty_text = "No account but the platform's. A shop's own is set on its page under “Shops' Stripe accounts”."
    reason_actions = (
        ReasonAction(
            name="forget", label="Forget", plan=plan_forget, verb=forget, permission=CHANGE_ACCOUNT, danger=True
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ShopCredential]:
        return super().get_queryset(request).defer("sealed")

    @admin.display(description="Status", ordering="status")
    def state(self, row: ShopCredential) -> str:
        return status_of(row)

    @admin.display(description="Verified", ordering="verified_at")
    def verified(self, row: ShopCredential) -> str:
        return whole(shop_moment(row.shop, row.verified_at))

    @admin.display(description="Created")
    def created(self, row: ShopCredential) -> str:
        return shop_moment(row.shop, row.created_at)

    @admin.display(description="Retired")
    def retired(self, row: ShopCredential) -> str:
        return shop_moment(row.shop, row.retired_at)

    @admin.display(description="Key")
    def key(self, row: ShopCredential) -> str:
        return key_of(row)

    @admin.display(description="Mode")
    def mode(self, row: ShopCredential) -> str:
        return mode_of(row)
