"""Giving money back from an order's page, in two steps (two_steps.py)."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse

from commerce.admin.display import shop_amount
from commerce.admin.two_steps import (
    Labels,
    carry_out,
    choice_confirmed,
    leads_to,
    row_to_change,
    signed_choice,
    two_step_page,
)
from commerce.models import Order, OrderLine, Return
from commerce.money import MoneyError, to_minor
from commerce.returns.claiming import LineReturned, Plan, ReturnCommand, balance_of, line_worths, plan_return
from commerce.returns.refunding import return_order
from tenants.backoffice import ReasonForm, staff_actor, widgets
from tenants.errors import HoldfastError

PERMISSION: Final = "commerce.refund_order"
SALT: Final = "commerce.refund_page"
LINES, AMOUNT, DEPOSIT, REST = "lines", "amount", "deposit", "rest"


class RefundForm(ReasonForm):
    """What goes back. The fields of the order's lines are made for each order."""

    what = forms.ChoiceField(
        choices=[
            (LINES, "Articles, by line"),
            (AMOUNT, "An amount"),
            (DEPOSIT, "The deposit"),
            (REST, "Everything that is left"),
        ],
        widget=widgets.UnfoldAdminRadioSelectWidget,
        initial=LINES,
    )
    amount = forms.CharField(
        required=False,
        max_length=24,
        widget=widgets.UnfoldAdminTextInputWidget,
        help_text="For an amount, or for a part of the deposit: such as 12.50. A deposit without one goes back whole.",
    )
    with_deposits = forms.BooleanField(
        required=False, label="With these articles' deposits", widget=widgets.UnfoldBooleanWidget
    )

    def __init__(self, order: Order, lines: list[OrderLine], *args: Any, **kwargs: Any) -> None:
        self.order, self.lines = order, lines
        super().__init__(*args, **kwargs)
        worths = line_worths(order, lines)
        for line in lines:
            left = line.quantity - line.returned_quantity
            if not left:
                continue
            worth = shop_amount(order.shop, worths[line.pk].paid, order.currency)
            self.fields[f"quantity_{line.pk}"] = forms.IntegerField(
                label=f"{line.title} ({line.variant_key})",
                required=False,
                min_value=0,
                max_value=left,
                widget=widgets.UnfoldAdminIntegerFieldWidget,
                help_text=f"Up to {left}. {worth} were paid for {line.quantity}.",
            )
            self.fields[f"restock_{line.pk}"] = forms.BooleanField(
                label="They go on sale again", required=False, widget=widgets.UnfoldBooleanWidget
            )
        own = [name for name in self.fields if name.startswith(("quantity_", "restock_"))]
        self.order_fields(["what", *own, "with_deposits", "amount", "reason"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        given, what = (cleaned.get("amount") or "").strip(), cleaned.get("what")
        cleaned["minor"] = None
        if what == AMOUNT and not given:
            self.add_error("amount", "How much?")
        elif given and what in {AMOUNT, DEPOSIT}:
            try:
                cleaned["minor"] = to_minor(given, self.order.currency)
            except MoneyError as error:
                self.add_error("amount", error.detail)
        if what == LINES and not self._chosen(cleaned):
            self.add_error("what", "Say how many of which article.")
        return cleaned

    def command(self, key: str) -> ReturnCommand:
        """The valid form as the verb takes it."""
        data = self.cleaned_data
        return ReturnCommand(
            order_id=self.order.pk,
            reason=data["reason"],
            key=key,
            lines=self._chosen(data) if data["what"] == LINES else (),
            amount=data["minor"],
            deposit=data["what"] == DEPOSIT or (data["what"] == LINES and data["with_deposits"]),
        )

    def _chosen(self, data: dict[str, Any]) -> tuple[LineReturned, ...]:
        return tuple(
            LineReturned(line.pk, quantity, bool(data.get(f"restock_{line.pk}")))
            for line in self.lines
            if (quantity := data.get(f"quantity_{line.pk}") or 0)
        )


def refund_page(desk: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """The button on an order's page. `desk` is the order's model admin, whose scope and templates it uses."""
    order: Order = row_to_change(desk, request, object_id, PERMISSION)
    lines = list(order.lines.all())
    form = RefundForm(order, lines, request.POST if request.method == "POST" else None)
    plan, token = None, ""
    if request.method == "POST" and form.is_valid():
        digest = form.command("").digest()
        try:
            plan = plan_return(order=order, lines=lines, command=form.command(""))
            told = choice_confirmed(request, salt=SALT)
            if told is not None and told["digest"] == digest:
                return _give_back(request, order, form.command(told["key"]))
            token = signed_choice(request, salt=SALT, digest=digest)
        except HoldfastError as error:
            plan = None
            form.add_error(None, error.detail)
    return two_step_page(
        desk,
        request,
        row=order,
        title=f"Give money back: order {order.number}",
        intro=_left_of(order),
        form=form,
        token=token,
        plan=told_plan(order, plan) if plan else None,
        labels=Labels(confirm="Give the money back", danger=True),
    )


def _give_back(request: HttpRequest, order: Order, command: ReturnCommand) -> HttpResponse:
    """Leads to the return, whatever became of it: its page says so."""
    acting = staff_actor(request)
    carry_out(
        request,
        shop_id=order.shop_id,
        verb=lambda shop: return_order(shop=shop, command=command, acting=acting),
        said=lambda _: "The refund is on its way.",
    )
    return leads_to(Return.objects.for_shop(order.shop_id).filter(idempotency_key=command.key).first() or order)


def _left_of(order: Order) -> str:
    balance = balance_of(order)
    left = f"Left to give back: {shop_amount(order.shop, balance.goods_left, order.currency)}"
    if not balance.deposit_left:
        return f"{left}."
    return f"{left}, and {shop_amount(order.shop, balance.deposit_left, order.currency)} of the deposit."


def told_plan(order: Order, plan: Plan) -> list[str]:
    """What will happen, a sentence each."""

    def amount(minor: int) -> str:
        return shop_amount(order.shop, minor, order.currency)

    told = []
    how = "by your own hand, as it was paid elsewhere" if order.is_external else "through Stripe"
    if plan.goods:
        told.append(f"{amount(plan.goods)} go back to the customer {how}.")
    if plan.deposit:
        told.append(f"{amount(plan.deposit)} of the deposit go back to the customer {how}.")
    for wanted, line, worth, tax in plan.chosen:
        then = "They go on sale again." if wanted.restock else "They stay off the shelf."
        said = f"{amount(worth)}, of which tax {amount(tax)}" if tax else amount(worth)
        told.append(f"{wanted.quantity} × {line.title} ({line.variant_key}) count as returned: {said}. {then}")
    return told
