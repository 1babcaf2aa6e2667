"""Charges on saved cards: what is held, owed, collected; what is about to lapse; and what staff do about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from commerce.admin import stripe_links
from commerce.admin.asking import NoReasonForm, asked_for
from commerce.admin.card_panel import told_collected
from commerce.admin.display import mono, pairs, panel, shop_amount, shop_moment
from commerce.admin.lists import KeySearch, LastingFilter, as_uuid, saved_view
from commerce.admin.returns import order_key
from commerce.charges.acting import capture_held, let_go, send_payment_link, try_again
from commerce.charges.resolver import advance_charge
from commerce.gateway.client import platform_scope
from commerce.models import Charge, ChargeLink, Collection
from commerce.money import to_minor
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    ReasonAction,
    ReasonForm,
    Refused,
    RelatedDropdownFilter,
    badge,
    link_to,
    widgets,
)
from tenants.display import EMPTY, Tone

Status = Charge.Status
COLLECT = "commerce.collect_charge"
TONES: dict[str, Tone] = {
    Status.SUCCEEDED: "good",
    Status.HELD: "info",
    Status.PROCESSING: "info",
    Status.UNKNOWN: "warn",
    Status.CUSTOMER: "warn",
    Status.DECLINED: "bad",
    Status.EXPIRED: "bad",
}
LINK_TONES: dict[str, Tone] = {ChargeLink.Status.OPEN: "info", ChargeLink.Status.PAID: "good"}
# Readers of the indexes charge_on_desk and charge_lapsing, whose conditions these repeat.
ON_DESK = Q(status__in=[Status.DECLINED, Status.CUSTOMER, Status.UNKNOWN, Status.EXPIRED])
SOON = timedelta(hours=24)


class DeskFilter(LastingFilter):
    title = "desk"
    parameter_name = "desk"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("owed", "Owed or lapsed"), ("lapsing", "About to lapse")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Charge]) -> QuerySet[Charge]:
        if self.value() == "owed":
            return queryset.filter(ON_DESK)
        if self.value() == "lapsing":
            return queryset.filter(status=Status.HELD, release=False, capture_before__lte=timezone.now() + SOON)
        return queryset


class CaptureForm(ReasonForm):
    amount = forms.CharField(
        max_length=24,
        label="Amount to take",
        widget=widgets.UnfoldAdminTextInputWidget,
        help_text="In the charge's currency, such as 12.50. Possible once: the rest goes back to the customer.",
    )


def plan_question(charge: Charge) -> str | Refused:
    if charge.status in Charge.ENDED and charge.balance_transaction_id:
        return Refused("It has ended: there is nothing to ask about.")
    return "It is read from Stripe, and what was decided about it is carried out. Nothing is charged twice."


def ask(charge: Charge, mandate: Mandate) -> str:
    found = asked_for(charge.shop_id, lambda shop: advance_charge(shop=shop, row=charge, now=timezone.now()))
    return f"{found.get_status_display()}."


def plan_again(charge: Charge) -> str | Refused:
    if charge.status not in Charge.OWED:
        return Refused(f"It is {charge.get_status_display().lower()}.")
    if not charge.order.payment_method_id:
        return Refused("No card was kept with the order: send a payment link.")
    amount = shop_amount(charge.shop, charge.amount, charge.currency)
    verb = "held on" if charge.manual else "taken from"
    return f"{amount} are {verb} the customer's saved card, if it lets them through this time."


def again(charge: Charge, mandate: Mandate) -> str:
    found = asked_for(
        charge.shop_id,
        lambda shop: try_again(shop=shop, charge_id=charge.pk, reason=mandate.reason, acting=mandate.acting),
    )
    return f"{found.get_status_display()}."


def plan_link(charge: Charge) -> str | Refused:
    if charge.status not in Charge.OWED:
        return Refused(f"It is {charge.get_status_display().lower()}: nothing is owed.")
    if charge.links.filter(status__in=["sending", "open"]).exists():
        return Refused("The customer has a payment link already.")
    amount = shop_amount(charge.shop, charge.amount, charge.currency)
    whom = charge.order.email or "nobody, as the order has no address: the link stands on this page"
    return f"A page on which {amount} can be paid is open for a day, and mailed to {whom}. The card isn't tried again."


def link(charge: Charge, mandate: Mandate) -> str:
    found = asked_for(
        charge.shop_id,
        lambda shop: send_payment_link(shop=shop, charge_id=charge.pk, reason=mandate.reason, acting=mandate.acting),
    )
    return "Sent." if found and found.url else "It was paid after all, or Stripe hasn't answered: look again."


def plan_capture(charge: Charge) -> str | Refused:
    if charge.status != Status.HELD or charge.capture_amount is not None or charge.release:
        return Refused(f"It is {charge.get_status_display().lower()}, or decided already.")
    amount = shop_amount(charge.shop, charge.amount, charge.currency)
    return f"A part of the {amount} that are held becomes the shop's. The rest goes back at once."


def capture(charge: Charge, mandate: Mandate) -> str:
    amount = to_minor(mandate.fields["amount"], charge.currency)
    found = asked_for(
        charge.shop_id,
        lambda shop: capture_held(
            shop=shop, charge_id=charge.pk, amount=amount, reason=mandate.reason, acting=mandate.acting
        ),
    )
    return f"{shop_amount(charge.shop, amount, charge.currency)}: {found.get_status_display().lower()}."


def plan_release(charge: Charge) -> str | Refused:
    if charge.status not in {Status.HELD, *Charge.OWED} or charge.capture_amount is not None or charge.release:
        return Refused(f"It is {charge.get_status_display().lower()}, or decided already.")
    amount = shop_amount(charge.shop, charge.amount, charge.currency)
    if charge.status == Status.HELD:
        return f"{amount} are the customer's again. They can't be taken any more."
    return f"{amount} are given up: nobody asks the customer for them any more."


def release(charge: Charge, mandate: Mandate) -> str:
    found = asked_for(
        charge.shop_id,
        lambda shop: let_go(shop=shop, charge_id=charge.pk, reason=mandate.reason, acting=mandate.acting),
    )
    return f"{found.get_status_display()}."


class ChargeLinkInline(ReadOnlyInline[ChargeLink, Charge]):
    model = ChargeLink
    fields = ("state", "address", "until", "mailed")
    readonly_fields = fields
    hide_title = True
    verbose_name_plural = "Payment links"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ChargeLink]:
        return super().get_queryset(request).select_related("shop__settings", "charge__order").defer("stripe_params")

    @admin.display(description="Status")
    def state(self, row: ChargeLink) -> str:
        return badge(row.get_status_display(), LINK_TONES.get(row.status, "plain"))

    @admin.display(description="Address")
    def address(self, row: ChargeLink) -> str:
        return mono(row.url) if row.url and row.status == ChargeLink.Status.OPEN else EMPTY

    @admin.display(description="Open until")
    def until(self, row: ChargeLink) -> str:
        return shop_moment(row.shop, row.expires_at)

    @admin.display(description="Mailed")
    def mailed(self, row: ChargeLink) -> str:
        return shop_moment(row.shop, row.mailed_at)


@admin.register(Charge)
class ChargeAdmin(KeySearch[Charge], ReadOnlyAdmin[Charge]):
    shop_path = "shop"
    list_display = ("made", "shop_name", "order_link", "what", "state", "charged", "collected", "until", "why")
    list_filter = (
        DeskFilter,
        ("shop", RelatedDropdownFilter),
        ("status", ChoicesDropdownFilter),
        ("purpose", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("payment_intent_id", "id")
    search_help_text = "pi_…, charge or order id, order number"
    # Ids begin with the time.
    ordering = ("-id",)
    sortable_by = ("made",)
    actions_list = ("owed", "lapsing")
    owed = saved_view("Owed or lapsed", "desk=owed", name="owed")
    lapsing = saved_view("About to lapse", "desk=lapsing", name="lapsing")
    inlines = (ChargeLinkInline,)
    empty_text = "No saved card has been charged yet. Shops that rent out do it for deposits, late fees and damage."
    reason_actions = (
        ReasonAction(
            name="ask",
            label="Ask Stripe",
            plan=plan_question,
            verb=ask,
            permission="view",
            help="Harmless: it is what the background job does, now.",
            form=NoReasonForm,
        ),
        ReasonAction(name="again", label="Try the card again", plan=plan_again, verb=again, permission=COLLECT),
        ReasonAction(name="link", label="Send payment link", plan=plan_link, verb=link, permission=COLLECT),
        ReasonAction(
            name="capture",
            label="Take of it",
            plan=plan_capture,
            verb=capture,
            permission=COLLECT,
            form=CaptureForm,
            danger=True,
        ),
        ReasonAction(name="release", label="Let go", plan=plan_release, verb=release, permission=COLLECT, danger=True),
    )

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Without the buttons that would do nothing to this charge."""
        status = self.get_queryset(request).filter(Q(pk=as_uuid(object_id))).values_list("status", flat=True).first()
        useful = {"again", "link", "release"} if status in Charge.OWED else set()
        useful |= {"capture", "release"} if status == Status.HELD else set()
        gone = tuple(f"_act_{name}" for name in {"again", "link", "capture", "release"} - useful)
        buttons = super().get_actions_detail(request, object_id)
        return [button for button in buttons if not button.action_name.endswith(gone)]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Charge]:
        return super().get_queryset(request).select_related("shop__settings", "order").defer("stripe_params")

    def key(self, term: str) -> Q:
        if term.startswith("pi_"):
            return Q(payment_intent_id=term)
        if (known := as_uuid(term)) is not None:
            return Q(pk=known) | Q(order_id=known)
        return order_key(term)

    def get_fieldsets(self, request: HttpRequest, obj: Charge | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        charge = obj
        fields = ("state", "what", "shop_name", "order_link", "charged", "collected", "until", "why", "reason", "made")
        return [
            (None, {"fields": fields}),
            panel("Decided, and at Stripe", lambda: pairs(self.behind(charge))),
        ]

    def behind(self, charge: Charge) -> list[tuple[str, object]]:
        live, taken = platform_scope().livemode, charge.capture_amount
        decided = "To be let go" if charge.release else EMPTY
        if taken is not None:
            decided = f"To be taken: {shop_amount(charge.shop, taken, charge.currency)}"
        intent = stripe_links.stripe_link(charge.payment_intent_id, account=charge.stripe_account, livemode=live)
        return [
            ("Decided", decided),
            ("By", charge.acting),
            ("Operation", mono(charge.operation_key)),
            ("At Stripe", intent),
            ("Stripe's charge", mono(charge.charge_id) if charge.charge_id else EMPTY),
            ("Account", mono(charge.stripe_account)),
            ("Key", mono(charge.stripe_key)),
            ("Tried", f"{charge.tries} times; this time sent {charge.sends} times, refused {charge.refusals} times"),
            ("Last asked", shop_moment(charge.shop, charge.checked_at)),
        ]

    @admin.display(description="Made", ordering="id")
    def made(self, charge: Charge) -> str:
        return shop_moment(charge.shop, charge.created_at)

    @admin.display(description="For")
    def what(self, charge: Charge) -> str:
        return charge.get_purpose_display()

    @admin.display(description="Status")
    def state(self, charge: Charge) -> str:
        return badge(charge.get_status_display(), TONES.get(charge.status, "plain"))

    @admin.display(description="Amount")
    def charged(self, charge: Charge) -> str:
        return shop_amount(charge.shop, charge.amount, charge.currency)

    @admin.display(description="Collected")
    def collected(self, charge: Charge) -> str:
        return told_collected(charge)

    @admin.display(description="Held until")
    def until(self, charge: Charge) -> str:
        if charge.capture_before is None or charge.status != Status.HELD:
            return EMPTY
        soon = charge.capture_before <= timezone.now() + SOON
        shown = shop_moment(charge.shop, charge.capture_before)
        return badge(shown, "warn") if soon else shown

    @admin.display(description="Why")
    def why(self, charge: Charge) -> str:
        return charge.error_code or EMPTY


@admin.register(Collection)
class CollectionAdmin(KeySearch[Collection], ReadOnlyAdmin[Collection]):
    shop_path = "shop"
    list_display = ("made", "shop_name", "order_link", "what", "total", "deposit", "hold", "card", "charge_link")
    list_filter = (
        ("shop", RelatedDropdownFilter),
        ("purpose", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("id",)
    search_help_text = "Order number, order or collection id"
    ordering = ("-id",)
    sortable_by = ("made",)
    empty_text = "Nothing beyond the price has been owed yet: no late fee, no damage."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Collection]:
        return super().get_queryset(request).select_related("shop__settings", "order", "charge__order")

    def key(self, term: str) -> Q:
        if (known := as_uuid(term)) is not None:
            return Q(pk=known) | Q(order_id=known)
        return order_key(term)

    def get_fieldsets(self, request: HttpRequest, obj: Collection | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        row = obj
        fields = ("order_link", "shop_name", "what", "total", "deposit", "hold", "card", "charge_link", "reason",
                  "acting", "made")  # fmt: skip
        return [(None, {"fields": fields}), panel("How it came about", lambda: pairs(self.basis_of(row)))]

    def basis_of(self, row: Collection) -> list[tuple[str, object]]:
        lines = row.basis.get("lines", []) if isinstance(row.basis, dict) else []
        return [
            (
                str(line["title"]),
                f"{line['units']} × {shop_amount(row.shop, line['perUnit'], row.currency)}: due {line['dueOn']}, back "
                f"{line['returnedOn']}, days that count: {line['days']}",
            )
            for line in lines
        ] or [("Operation", mono(row.operation_key))]

    @admin.display(description="Made", ordering="id")
    def made(self, row: Collection) -> str:
        return shop_moment(row.shop, row.created_at)

    @admin.display(description="For")
    def what(self, row: Collection) -> str:
        return row.get_purpose_display()

    @admin.display(description="Owed")
    def total(self, row: Collection) -> str:
        return shop_amount(row.shop, row.amount, row.currency)

    @admin.display(description="Off the deposit")
    def deposit(self, row: Collection) -> str:
        return shop_amount(row.shop, row.from_deposit or None, row.currency)

    @admin.display(description="Off the hold")
    def hold(self, row: Collection) -> str:
        return shop_amount(row.shop, row.from_hold or None, row.currency)

    @admin.display(description="Off the card")
    def card(self, row: Collection) -> str:
        return shop_amount(row.shop, row.from_card or None, row.currency)

    @admin.display(description="Charge")
    def charge_link(self, row: Collection) -> str:
        return link_to(row.charge, row.charge.get_status_display()) if row.charge else EMPTY
