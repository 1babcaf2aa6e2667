"""The desk for orders that were paid without stock: take the stock after all, send something else, or refund."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from checkout.models import Shortage
from checkout.shortages import STANDING, refund_shortage, retake_stock, substitute_stock, tell_again
from commerce.admin.asking import asked_for
from commerce.admin.display import User, pairs, panel, reader_link, shop_amount, shop_moment, table
from commerce.admin.lists import NOTHING, KeySearch, as_uuid, saved_view
from commerce.models import Order
from inventory.availability import available_by_key, available_for_skus
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    ReasonAction,
    ReasonForm,
    Refused,
    RelatedDropdownFilter,
    badge,
    time_left,
    widgets,
)
from tenants.display import EMPTY, Tone
from tenants.errors import InvalidRequest, WrongState

State = Shortage.State
TONES: dict[str, Tone] = {State.OPEN: "bad", State.RETAKEN: "good", State.SUBSTITUTED: "good", State.REFUNDED: "warn"}
TELLS = {
    "retake": "The order is confirmed and the customer is told.",
    "refund": "All that is left of the payment goes back, the order is refunded, and the customer is told.",
}


class SubstituteForm(ReasonForm):
    """One variant per line, `ordered = sent instead`. The order's other variants stay as they are."""

    instead = forms.CharField(
        label="Send instead",
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "BAND#size:M = BAND#size:L"}),
        help_text="One per line: what was ordered = what is sent in its place, at the price that was paid.",
    )


def read_substitutes(typed: str) -> dict[str, str]:
    """`ordered = sent instead`, one per line. Raises InvalidRequest."""
    instead: dict[str, str] = {}
    for line in filter(str.strip, typed.splitlines()):
        was, separator, now = (part.strip() for part in line.partition(" = "))
        if not separator or not was or not now or was in instead or was == now:
            raise InvalidRequest("Write each variant once, as in “BAND#size:M = BAND#size:L”.")
        instead[was] = now
    return instead


def plan_retake(case: Shortage) -> str | Refused:
    return _closed(case) or f"{_needs(case)} All of it is taken, or nothing. {TELLS['retake']}"


def plan_substitution(case: Shortage) -> str | Refused:
    return _closed(case) or f"{_needs(case)} In stock of the same products: {_sisters(case)}. {TELLS['retake']}"


def plan_refund(case: Shortage) -> str | Refused:
    order = case.order
    left = shop_amount(case.shop, order.total_amount - order.refunded_amount, order.currency)
    return _closed(case) or f"{left}. {TELLS['refund']}"


def plan_telling(case: Shortage) -> str | Refused:
    if case.note or not case.order.email:
        return Refused("A mail is on its way already." if case.note else "The order has no e-mail address.")
    return f"{STANDING[State(case.state)].label}: the customer is mailed so once more, within a minute."


def _closed(case: Shortage) -> Refused | None:
    return None if case.state == State.OPEN else Refused(f"It is closed: {case.get_state_display().lower()}.")


def _needs(case: Shortage) -> str:
    lines = list(case.order.lines.all())
    found = available_by_key(shop_id=case.shop_id, variant_keys=[line.variant_key for line in lines])
    told = [f"{line.quantity} × {line.variant_key} ({found.get(line.variant_key, 0)} available)" for line in lines]
    return f"Needed: {', '.join(told)}."


def _sisters(case: Shortage) -> str:
    skus = sorted({line.sku for line in case.order.lines.all()})
    found = available_for_skus(shop_id=case.shop_id, skus=skus)
    return ", ".join(f"{one.variant_key} ({one.available})" for one in found if one.available > 0) or "nothing"


def retake(case: Shortage, mandate: Mandate) -> str:
    retake_stock(shop_id=case.shop_id, order_id=case.order_id, reason=mandate.reason, acting=mandate.acting)
    return "Taken. The order is confirmed."


def substitute(case: Shortage, mandate: Mandate) -> str:
    substitute_stock(
        shop_id=case.shop_id,
        order_id=case.order_id,
        instead=read_substitutes(mandate.fields["instead"]),
        reason=mandate.reason,
        acting=mandate.acting,
    )
    return "Taken instead. The order is confirmed."


def refund(case: Shortage, mandate: Mandate) -> str:
    asked_for(
        case.shop_id,
        lambda shop: refund_shortage(shop=shop, order_id=case.order_id, reason=mandate.reason, acting=mandate.acting),
    )
    return "The refund is under way."


def tell(case: Shortage, mandate: Mandate) -> str:
    tell_again(shop_id=case.shop_id, order_id=case.order_id, reason=mandate.reason, acting=mandate.acting)
    return "The mail goes out within a minute."


def plan_mail(order: Order) -> str | Refused:
    case = getattr(order, "shortage", None)
    return plan_telling(case) if case else Refused("No mail has gone to its customer.")


def mail_again(order: Order, mandate: Mandate) -> str:
    case = getattr(order, "shortage", None)
    if case is None:
        raise WrongState("No mail has gone to its customer.")
    return tell(case, mandate)


# On the order's own page.
MAIL_AGAIN: ReasonAction[Order] = ReasonAction(
    name="mail_again",
    label="Mail the customer again",
    plan=plan_mail,
    verb=mail_again,
    permission="checkout.change_shortage",
)


@admin.register(Shortage)
class ShortageAdmin(KeySearch[Shortage], ReadOnlyAdmin[Shortage]):
    shop_path = "shop"
    list_display = ("order_link", "shop_name", "state_badge", "total", "age", "told", "policy")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("shop", RelatedDropdownFilter),
        ("opened_at", RangeDateTimeFilter),
    )
    search_fields = ("order__number",)
    search_help_text = "Order number or id"
    ordering = ("-id",)
    ordering_of_one_shop = ("-opened_at", "-id")
    sortable_by = ("age",)
    actions_list = ("open_ones",)
    open_ones = saved_view("Open", "state__exact=open", name="open")
    empty_text = "No order has been paid without stock."
    reason_actions = (
        ReasonAction(
            name="retake",
            label="Take the stock again",
            plan=plan_retake,
            verb=retake,
            permission="checkout.change_shortage",
            help="For units that have come in, or were given back, since.",
        ),
        ReasonAction(
            name="substitute",
            label="Send something else",
            plan=plan_substitution,
            verb=substitute,
            permission="checkout.change_shortage",
            help="The amounts stay as they were paid. Ask the customer first.",
            form=SubstituteForm,
        ),
        ReasonAction(
            name="refund",
            label="Refund",
            plan=plan_refund,
            verb=refund,
            permission="checkout.change_shortage",
            help="Money that is on its way back can't be called back.",
            danger=True,
        ),
        ReasonAction(
            name="tell",
            label="Mail the customer again",
            plan=plan_telling,
            verb=tell,
            permission="checkout.change_shortage",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Shortage]:
        return super().get_queryset(request).select_related("shop__settings", "order")

    def key(self, term: str) -> Q:
        if (known := as_uuid(term)) is not None:
            return Q(order_id=known)
        number = term.removeprefix("#")
        if not (number.isascii() and number.isdecimal()):
            return NOTHING
        return Q(order_id__in=Order.objects.filter(number=number).values("pk"))

    def get_fieldsets(self, request: HttpRequest, obj: Shortage | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        case = obj
        return [
            (None, {"fields": ("state_badge", "order_link", "shop_name", "total", "reason")}),
            panel("Ordered", lambda: ordered(case)),
            panel("What was done", lambda: pairs(done(case, request.user))),
        ]

    @admin.display(description="State")
    def state_badge(self, case: Shortage) -> str:
        return badge(case.get_state_display(), TONES.get(case.state, "plain"))

    @admin.display(description="Paid")
    def total(self, case: Shortage) -> str:
        return shop_amount(case.shop, case.order.total_amount, case.order.currency)

    @admin.display(description="Age", ordering="id")
    def age(self, case: Shortage) -> str:
        return time_left(case.opened_at)

    @admin.display(description="Customer")
    def told(self, case: Shortage) -> str:
        if case.note_error:
            return badge(case.note_error, "warn")
        if case.note:
            return "To be told"
        return f"Told {shop_moment(case.shop, case.note_sent_at)}" if case.note_sent_at else EMPTY


def ordered(case: Shortage) -> str:
    lines = list(case.order.lines.all())
    found = available_by_key(shop_id=case.shop_id, variant_keys=[line.variant_key for line in lines])
    return table(
        ("Article", "Variant", "Instead of", "Quantity", "Available now"),
        [
            (line.title, line.variant_key, line.substituted_for or EMPTY, line.quantity, found.get(line.variant_key, 0))
            for line in lines
        ],
        right=(3, 4),
    )


def done(case: Shortage, reader: User) -> list[tuple[str, object]]:
    return [
        ("Opened", shop_moment(case.shop, case.opened_at)),
        ("The shop's policy then", "Refund at once" if case.policy == "refund" else "Put the order on the desk"),
        ("Staff told", shop_moment(case.shop, case.staff_told_at)),
        ("Customer to be told", case.get_note_display()),
        ("Customer last told", shop_moment(case.shop, case.note_sent_at)),
        ("Trouble telling", case.note_error or EMPTY),
        ("Refund last tried", shop_moment(case.shop, case.refund_tried_at)),
        ("Closed", shop_moment(case.shop, case.closed_at)),
        ("Closed by", case.closed_by or EMPTY),
        ("Order", reader_link(reader, case.order)),
    ]
