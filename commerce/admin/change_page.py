"""Changing a subscription from its page, in two steps (two_steps.py). What the second one confirms is what the first
one showed, down to the second that it is prorated for.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from commerce.admin.asking import asked_for
from commerce.admin.display import shop_amount, shop_moment
from commerce.admin.two_steps import (
    Labels,
    carry_out,
    choice_confirmed,
    leads_to,
    row_to_change,
    signed_choice,
    two_step_page,
)
from commerce.models import Subscription
from commerce.plans.offers import Terms, offered_plans
from commerce.subscriptions.commands import Kind, Wish
from commerce.subscriptions.operating import Outcome, operate, plan_code_of, preview_change
from tenants.backoffice import ReasonForm, staff_actor, widgets
from tenants.errors import HoldfastError

PERMISSION: Final = "commerce.operate_subscription"
SALT: Final = "commerce.change_page"


class ChangeForm(ReasonForm):
    """Where the subscription goes, and what becomes of the days that are paid."""

    plan = forms.ChoiceField(widget=widgets.UnfoldAdminSelectWidget)
    quantity = forms.IntegerField(min_value=1, max_value=999, widget=widgets.UnfoldAdminIntegerFieldWidget)
    prorate = forms.ChoiceField(
        label="What is paid already",
        choices=[
            ("create", "is made up for with the next invoice"),
            ("invoice_now", "is made up for now"),
            ("none", "stays as it is: the new price counts from the next period on"),
        ],
        widget=widgets.UnfoldAdminRadioSelectWidget,
        initial="create",
    )

    def __init__(self, row: Subscription, plans: list[Terms], *args: Any, **kwargs: Any) -> None:
        self.row = row
        super().__init__(*args, **kwargs)
        locale = row.shop.settings.default_locale
        self.fields["plan"].choices = [  # type: ignore[attr-defined]
            (plan.code, f"{plan.name(locale)}, {shop_amount(row.shop, plan.amount, plan.currency)}") for plan in plans
        ]
        self.fields["plan"].initial = plan_code_of(row)
        self.fields["quantity"].initial = row.items[0]["quantity"] if row.items else 1

    def wish(self, key: str, at: datetime) -> Wish:
        """The valid form as the verb takes it."""
        data = self.cleaned_data
        return Wish(
            subscription_id=self.row.subscription_id,
            kind=Kind.CHANGE,
            key=key,
            reason=data["reason"],
            plan_code=data["plan"],
            quantity=data["quantity"],
            prorate=data["prorate"],
            at=at,
        )


def change_page(desk: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """The button on a subscription's page. `desk` is its model admin, whose scope and templates it uses."""
    row: Subscription = row_to_change(desk, request, object_id, PERMISSION)
    plans = offered_plans(shop_id=row.shop_id, currency=row.currency)
    form = ChangeForm(row, plans, request.POST if request.method == "POST" else None)
    plan, token = None, ""
    if request.method == "POST" and form.is_valid():
        confirmed = _confirmed(request, form)
        if confirmed is not None:
            return _change(request, row, confirmed)
        now = timezone.now().replace(microsecond=0)
        wish = form.wish("", now)
        try:
            outcome = asked_for(row.shop_id, lambda shop: preview_change(shop=shop, wish=wish))
            plan = told_preview(row, outcome, wish.prorate)
            token = signed_choice(request, salt=SALT, digest=wish.digest(), at=int(now.timestamp()))
        except HoldfastError as error:
            form.add_error(None, error.detail)
    return two_step_page(
        desk,
        request,
        row=row,
        title=f"Change subscription {row.subscription_id}",
        intro=f"Now: {told_now(row)}",
        form=form,
        token=token,
        plan=plan,
        labels=Labels(check="Show what it costs", confirm="Change it"),
    )


def _confirmed(request: HttpRequest, form: ChangeForm) -> Wish | None:
    """The wish, prorated for the second that was shown."""
    told = choice_confirmed(request, salt=SALT)
    if told is None:
        return None
    wish = form.wish(told["key"], datetime.fromtimestamp(told["at"], UTC))
    return wish if wish.digest() == told["digest"] else None


def _change(request: HttpRequest, row: Subscription, wish: Wish) -> HttpResponse:
    """Leads back to the subscription, whatever became of it: its page lists the operation."""
    acting = staff_actor(request)
    carry_out(
        request,
        shop_id=row.shop_id,
        verb=lambda shop: operate(shop=shop, wish=wish, acting=acting),
        said=lambda _: "The subscription is changed.",
    )
    return leads_to(row)


def told_now(row: Subscription) -> str:
    quantity = row.items[0]["quantity"] if row.items else "?"
    end = shop_moment(row.shop, row.current_period_end)
    return f"{quantity} × {plan_code_of(row) or 'a price of others’ making'}, paid until {end}."


def told_preview(row: Subscription, outcome: Outcome, prorate: str) -> list[str]:
    """What will happen, a sentence each, with Stripe's own sums."""
    preview = outcome.preview
    if preview is None:
        return []

    def amount(minor: int) -> str:
        return shop_amount(row.shop, minor, preview.currency)

    told = [f"{line.description}: {amount(line.amount)}." for line in preview.lines if line.proration]
    if prorate == "none":
        return [*told, "Nothing is charged or given back for the period that is paid."]
    when = "is charged now" if prorate == "invoice_now" else "comes with the next invoice"
    if preview.prorated < 0:
        when = "is taken off the next invoice"
    return [*told, f"{amount(abs(preview.prorated))} {when}."]
