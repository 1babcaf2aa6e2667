"""Doing something to a rental, from its page: chosen by line, said in plain words, then confirmed with a note.

As the page that gives money back: what the second step confirms is what the first one showed, and the signed token
becomes the step's key, so that a second click is the same step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from commerce.admin.asking import asked_for
from commerce.admin.rental_words import LABELS, STEPS, next_step, told_preview
from commerce.models import Rental, RentalEvent, RentalLine, RentalUnits
from commerce.money import MoneyError, to_minor
from commerce.rentals.cases import RentalCommand, UnitsNamed
from commerce.rentals.life import WITH_AMOUNT, handle_rental
from commerce.rentals.preview import Preview, preview_rental
from inventory.models import StockRow
from inventory.variants import parse_variant_key
from tenants.backoffice import ReasonForm, staff_actor, widgets
from tenants.display import change_url
from tenants.errors import HoldfastError

PERMISSION: Final = "commerce.handle_rental"
SALT: Final = "commerce.rental_page"
PAGE_SECONDS: Final = 3_600
Action = RentalEvent.Action
# What is done to the whole rental, whatever is typed beside the lines.
WHOLE: Final = frozenset({Action.INSPECT, Action.CLOSE})


class HandleForm(ReasonForm):
    """What is done, to how many of which line. The fields of the lines are made for each rental."""

    what = forms.ChoiceField(widget=widgets.UnfoldAdminRadioSelectWidget)
    amount = forms.CharField(
        required=False,
        max_length=24,
        widget=widgets.UnfoldAdminTextInputWidget,
        help_text="Of damage or loss: what it costs, such as 12.50. The deposit pays first.",
    )

    def __init__(self, rental: Rental, lines: Sequence[RentalLine], *args: Any, **kwargs: Any) -> None:
        self.rental, self.lines = rental, lines
        super().__init__(*args, **kwargs)
        steps = STEPS[Rental.Status(rental.status)]
        self.fields["what"].choices = [(step, LABELS[step]) for step in steps]  # type: ignore[attr-defined]
        self.fields["what"].initial = steps[0] if steps else None
        units = RentalUnits.objects.for_shop(rental.shop_id).filter(line__rental=rental)
        has = {line.pk: {row.variant_key for row in units if row.line_id == line.pk} for line in lines}
        skus = {line.order_line.sku for line in lines}
        rows = StockRow.objects.for_shop(rental.shop_id).filter(sku__in=skus).order_by("variant_key")
        known = list(rows.values_list("sku", "variant_key"))
        for line in lines:
            bought = line.order_line
            self.fields[f"quantity_{line.pk}"] = forms.IntegerField(
                label=f"{bought.title} ({', '.join(sorted(has[line.pk])) or bought.variant_key})",
                required=False,
                min_value=0,
                max_value=line.quantity,
                widget=widgets.UnfoldAdminIntegerFieldWidget,
                help_text=f"{line.to_go_out} here, {line.out} out, {line.returned} back. All lines empty: all of it.",
            )
            self.fields[f"condition_{line.pk}"] = forms.CharField(
                label="Its condition", required=False, max_length=200, widget=widgets.UnfoldAdminTextInputWidget
            )
            self.fields[f"variant_{line.pk}"] = forms.ChoiceField(
                label="Variant",
                required=False,
                choices=[("", "The same")] + [(key, key) for sku, key in known if sku == bought.sku],
                widget=widgets.UnfoldAdminSelectWidget,
                help_text="In an exchange: what goes out instead. Else which, where a line has several.",
            )
        own = [name for name in self.fields if name.partition("_")[0] in {"quantity", "condition", "variant"}]
        self.order_fields(["what", *own, "amount", "reason"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        given, what = (cleaned.get("amount") or "").strip(), cleaned.get("what")
        cleaned["minor"] = None
        if given and what not in WITH_AMOUNT:
            self.add_error("amount", "Only damage and loss have one.")
        elif given:
            try:
                cleaned["minor"] = to_minor(given, self.rental.order.currency)
            except MoneyError as error:
                self.add_error("amount", error.detail)
        return cleaned

    def command(self, key: str) -> RentalCommand:
        """The valid form as the verb takes it."""
        data = self.cleaned_data
        units = [
            UnitsNamed(
                line.order_line_id,
                quantity,
                data[f"condition_{line.pk}"],
                parse_variant_key(variant)[1] if (variant := data[f"variant_{line.pk}"]) else None,
            )
            for line in self.lines
            if (quantity := data[f"quantity_{line.pk}"] or 0)
        ]
        return RentalCommand(
            rental_id=self.rental.pk,
            action=data["what"],
            key=key,
            units=None if data["what"] in WHOLE else units or None,
            amount=data["minor"],
            note=data["reason"],
        )


def rental_page(desk: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """The button on a rental's page. `desk` is its model admin, whose scope and templates it uses."""
    rental: Rental | None = desk.get_object(request, object_id)
    if rental is None:
        raise Http404
    if not request.user.has_perm(PERMISSION) or not desk.in_scope(request, rental):
        raise PermissionDenied
    lines = list(rental.lines.select_related("order_line"))
    first = {"what": request.GET["what"]} if "what" in request.GET else {}
    form = HandleForm(rental, lines, request.POST if request.method == "POST" else None, initial=first)
    preview, token = None, ""
    if request.method == "POST" and form.is_valid():
        acting = staff_actor(request)
        try:
            confirmed = _confirmed_key(request, form)
            if confirmed is not None:
                return _carry_out(request, rental, form.command(confirmed))
            command = form.command("preview")
            preview = asked_for(rental.shop_id, lambda shop: preview_rental(shop=shop, command=command, acting=acting))
            token = _token(request, form)
        except HoldfastError as error:
            form.add_error(None, error.detail)
    return _page(desk, request, rental, form, preview, token)


def _token(request: HttpRequest, form: HandleForm) -> str:
    told = {"user": str(request.user.pk), "digest": form.command("").digest(), "nonce": uuid4().hex}
    return signing.dumps(told, salt=SALT)


def _confirmed_key(request: HttpRequest, form: HandleForm) -> str | None:
    """The step's key, when this very choice was shown to this very person before; else it is shown first."""
    if "confirm" not in request.POST:
        return None
    try:
        told = signing.loads(request.POST.get("token", ""), salt=SALT, max_age=PAGE_SECONDS)
    except signing.BadSignature:
        return None
    if told["user"] != str(request.user.pk) or told["digest"] != form.command("").digest():
        return None
    return f"staff:{told['nonce']}"


def _carry_out(request: HttpRequest, rental: Rental, command: RentalCommand) -> HttpResponse:
    acting = staff_actor(request)
    try:
        done = asked_for(rental.shop_id, lambda shop: handle_rental(shop=shop, command=command, acting=acting))
        messages.success(request, f"Done. The rental is {done.get_status_display().lower()}.")
    except HoldfastError as error:
        messages.warning(request, error.detail)
    return HttpResponseRedirect(change_url(rental) or "../")


def _page(
    desk: Any, request: HttpRequest, rental: Rental, form: HandleForm, preview: Preview | None, token: str
) -> HttpResponse:
    context = {
        **desk.admin_site.each_context(request),
        "title": f"{rental}",
        "opts": desk.model._meta,
        "form": form,
        "token": token,
        "next_step": next_step(rental),
        "plan": told_preview(rental, form.cleaned_data["what"], preview) if preview else None,
        "back": change_url(rental),
    }
    return TemplateResponse(request, "admin/rental.html", context)
