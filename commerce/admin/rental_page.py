"""Doing something to a rental, from its page: chosen by line, and confirmed with a note (two_steps.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse

from commerce.admin.asking import asked_for
from commerce.admin.rental_words import LABELS, STEPS, next_step, told_preview
from commerce.admin.two_steps import (
    Labels,
    carry_out,
    choice_confirmed,
    leads_to,
    row_to_change,
    signed_choice,
    two_step_page,
)
from commerce.models import Rental, RentalEvent, RentalLine, RentalUnits
from commerce.money import MoneyError, to_minor
from commerce.rentals.cases import RentalCommand, UnitsNamed
from commerce.rentals.life import WITH_AMOUNT, handle_rental
from commerce.rentals.preview import preview_rental
from inventory.models import StockRow
from inventory.variants import parse_variant_key
from tenants.backoffice import ReasonForm, staff_actor, widgets
from tenants.errors import HoldfastError

PERMISSION: Final = "commerce.handle_rental"
SALT: Final = "commerce.rental_page"
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
    rental: Rental = row_to_change(desk, request, object_id, PERMISSION)
    lines = list(rental.lines.select_related("order_line"))
    first = {"what": request.GET["what"]} if "what" in request.GET else {}
    form = HandleForm(rental, lines, request.POST if request.method == "POST" else None, initial=first)
    plan, token = None, ""
    if request.method == "POST" and form.is_valid():
        command = form.command("preview")
        told = choice_confirmed(request, salt=SALT)
        if told is not None and told["digest"] == command.digest():
            return _handle(request, rental, form.command(told["key"]))
        acting = staff_actor(request)
        try:
            preview = asked_for(rental.shop_id, lambda shop: preview_rental(shop=shop, command=command, acting=acting))
            plan = told_preview(rental, command.action, preview)
            token = signed_choice(request, salt=SALT, digest=command.digest())
        except HoldfastError as error:
            form.add_error(None, error.detail)
    return two_step_page(
        desk,
        request,
        row=rental,
        title=f"{rental}",
        intro=next_step(rental),
        form=form,
        token=token,
        plan=plan,
        labels=Labels(confirm="Do it"),
    )


def _handle(request: HttpRequest, rental: Rental, command: RentalCommand) -> HttpResponse:
    acting = staff_actor(request)
    carry_out(
        request,
        shop_id=rental.shop_id,
        verb=lambda shop: handle_rental(shop=shop, command=command, acting=acting),
        said=lambda done: f"Done. The rental is {done.get_status_display().lower()}.",
    )
    return leads_to(rental)
