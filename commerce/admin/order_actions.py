"""What staff do to an order's money beside refunds: keep a deposit, book an adjustment, accept Stripe's amounts."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

from django import forms
from django.utils import timezone

from commerce.admin.display import shop_amount
from commerce.ledger.accounts import ACCOUNTS, BY_NAME
from commerce.ledger.adjusting import adjust_journal
from commerce.models import Order
from commerce.money import to_minor
from commerce.orders.amounts import accept_amounts
from commerce.returns.claiming import REFUNDABLE, balance_of
from commerce.returns.deposits import keep_deposit
from tenants.backoffice import Mandate, ReasonAction, ReasonForm, Refused, widgets

TITLES: Final = [(account.name, account.title) for account in ACCOUNTS]


class DepositForm(ReasonForm):
    amount = forms.CharField(
        max_length=24,
        label="Amount to keep",
        widget=widgets.UnfoldAdminTextInputWidget,
        help_text="In the order's currency, such as 12.50.",
    )


class AdjustmentForm(ReasonForm):
    debit = forms.ChoiceField(choices=TITLES, label="Debit", widget=widgets.UnfoldAdminSelectWidget)
    credit = forms.ChoiceField(choices=TITLES, label="Credit", widget=widgets.UnfoldAdminSelectWidget)
    amount = forms.CharField(
        max_length=24, widget=widgets.UnfoldAdminTextInputWidget, help_text="In the order's currency, such as 12.50."
    )


def plan_keep(order: Order) -> str | Refused:
    left = balance_of(order).deposit_left
    if order.status not in REFUNDABLE or not left:
        return Refused("It holds no deposit.")
    shown = shop_amount(order.shop, left, order.currency)
    return f"A part of the deposit becomes the shop's, at most {shown}. It can't be refunded from then on."


def keep(order: Order, mandate: Mandate) -> str:
    amount = to_minor(mandate.fields["amount"], order.currency)
    keep_deposit(
        shop_id=order.shop_id,
        order_id=order.pk,
        amount=amount,
        reason=mandate.reason,
        key=uuid4().hex,  # the page makes a second click harmless
        acting=mandate.acting,
        now=timezone.now(),
    )
    return f"{shop_amount(order.shop, amount, order.currency)} of the deposit are kept."


def plan_adjustment(order: Order) -> str | Refused:
    return "One more entry in the journal, with your reason. Stripe hears nothing of it, and no entry is ever changed."


def adjust(order: Order, mandate: Mandate) -> str:
    amount = to_minor(mandate.fields["amount"], order.currency)
    debit, credit = mandate.fields["debit"], mandate.fields["credit"]
    adjust_journal(
        shop_id=order.shop_id,
        order_id=order.pk,
        debit=debit,
        credit=credit,
        amount=amount,
        reason=mandate.reason,
        key=uuid4().hex,
        acting=mandate.acting,
        now=timezone.now(),
    )
    shown = shop_amount(order.shop, amount, order.currency)
    return f"{shown} booked: debit {BY_NAME[debit].title}, credit {BY_NAME[credit].title}."


def plan_accept(order: Order) -> str | Refused:
    if not order.amount_differs:
        return Refused("Its amounts don't differ.")
    charged = shop_amount(order.shop, order.total_amount, order.currency)
    computed = shop_amount(order.shop, order.expected_total_amount, order.currency)
    return f"{charged} were charged, {computed} had been computed. What was charged stays; the order leaves the list."


def accept(order: Order, mandate: Mandate) -> str:
    accept_amounts(shop_id=order.shop_id, order_id=order.pk, reason=mandate.reason, acting=mandate.acting)
    return "Accepted."


MONEY_ACTIONS: Final = (
    ReasonAction(
        name="accept_amounts",
        label="Accept differing amounts",
        plan=plan_accept,
        verb=accept,
        permission="commerce.resolve_order",
        help="Stripe's amounts count. This says that somebody has understood the difference.",
    ),
    ReasonAction(
        name="keep_deposit",
        label="Keep a deposit",
        plan=plan_keep,
        verb=keep,
        permission="commerce.refund_order",
        form=DepositForm,
        danger=True,
    ),
    ReasonAction(
        name="adjust",
        label="Book an adjustment",
        plan=plan_adjustment,
        verb=adjust,
        permission="commerce.adjust_journal",
        form=AdjustmentForm,
        danger=True,
    ),
)
