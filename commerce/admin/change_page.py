"""Changing a subscription from its page: chosen, then said in words and sums, then confirmed with a reason.

Two steps on one address, as giving money back: what the second step confirms is what the first one showed, down to the
second that it is prorated for, and a second click is the same change.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone

from commerce.admin.asking import asked_for
from commerce.admin.display import shop_amount, shop_moment
from commerce.models import Subscription
from commerce.plans.offers import Terms, offered_plans
from commerce.subscriptions.commands import Kind, Wish
from commerce.subscriptions.operating import Outcome, operate, plan_code_of, preview_change
from tenants.backoffice import ReasonForm, staff_actor, widgets
from tenants.display import change_url
from tenants.errors import HoldfastError

PERMISSION: Final = "commerce.operate_subscription"
SALT: Final = "commerce.change_page"
PAGE_SECONDS: Final = 3_600


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
    row: Subscription | None = desk.get_object(request, object_id)
    if row is None:
        raise Http404
    if not request.user.has_perm(PERMISSION) or not desk.in_scope(request, row):
        raise PermissionDenied
    plans = offered_plans(shop_id=row.shop_id, currency=row.currency)
    form = ChangeForm(row, plans, request.POST if request.method == "POST" else None)
    outcome, token = None, ""
    if request.method == "POST" and form.is_valid():
        now = timezone.now().replace(microsecond=0)
        try:
            confirmed = _confirmed(request, form)
            if confirmed is not None:
                return _carry_out(request, row, confirmed)
            wish = form.wish("", now)
            outcome = asked_for(row.shop_id, lambda shop: preview_change(shop=shop, wish=wish))
            token = _token(request, wish, now)
        except HoldfastError as error:
            form.add_error(None, error.detail)
    return _page(desk, request, row, form, outcome, token)


def _token(request: HttpRequest, wish: Wish, now: datetime) -> str:
    told = {
        "user": str(request.user.pk),
        "digest": wish.digest(),
        "nonce": uuid4().hex,
        "at": int(now.timestamp()),
    }
    return signing.dumps(told, salt=SALT)


def _confirmed(request: HttpRequest, form: ChangeForm) -> Wish | None:
    """The wish, when this very choice was shown to this very person before; else it is shown first."""
    if "confirm" not in request.POST:
        return None
    try:
        told = signing.loads(request.POST.get("token", ""), salt=SALT, max_age=PAGE_SECONDS)
    except signing.BadSignature:
        return None
    wish = form.wish(f"staff:{told['nonce']}", datetime.fromtimestamp(told["at"], UTC))
    return wish if (told["user"], told["digest"]) == (str(request.user.pk), wish.digest()) else None


def _carry_out(request: HttpRequest, row: Subscription, wish: Wish) -> HttpResponse:
    """Leads back to the subscription, whatever became of it: its page lists the operation."""
    acting = staff_actor(request)
    try:
        asked_for(row.shop_id, lambda shop: operate(shop=shop, wish=wish, acting=acting))
        messages.success(request, "The subscription is changed.")
    except HoldfastError as error:
        messages.warning(request, error.detail)
    return HttpResponseRedirect(change_url(row) or "../")


def _page(
    desk: Any, request: HttpRequest, row: Subscription, form: ChangeForm, outcome: Outcome | None, token: str
) -> HttpResponse:
    context = {
        **desk.admin_site.each_context(request),
        "title": f"Change subscription {row.subscription_id}",
        "opts": desk.model._meta,
        "form": form,
        "token": token,
        "now": told_now(row),
        "plan": told_preview(row, outcome, form.cleaned_data["prorate"]) if outcome else None,
        "back": change_url(row),
    }
    return TemplateResponse(request, "admin/subscription_change.html", context)


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
