"""What a shop that rents out charges for being late, and when its deposits go back; amounts as people write them."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from commerce.admin.display import shop_amount
from commerce.models import ChargePolicy
from commerce.money import MoneyError, from_minor, stripe_amount, to_minor
from tenants.backoffice import ReasonedEditsAdmin, ReasonedModelForm, RelatedDropdownFilter, badge, link_to, widgets

LateFee, Cap = ChargePolicy.LateFee, ChargePolicy.Cap
MOST_HOLIDAYS = 400


def _money(placeholder: str) -> Any:
    return widgets.UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "placeholder": placeholder})


class ChargePolicyForm(ReasonedModelForm):
    """`fee`, `cap_typed`, `share` and `holidays_typed` stand for the model's own fields."""

    fee = forms.CharField(
        label="Amount per unit and day",
        max_length=24,
        required=False,
        widget=_money("5.00"),
        help_text="In the shop's currency, where an amount is charged.",
    )
    share = forms.CharField(
        label="Share per day",
        max_length=8,
        required=False,
        widget=_money("150"),
        help_text="Per cent, with up to one decimal, of what the customer paid per day. 150: half as much again.",
    )
    cap_typed = forms.CharField(
        label="Amount of the cap", max_length=24, required=False, widget=_money("50.00"), help_text="Per unit."
    )
    holidays_typed = forms.CharField(
        label="Days that don't count",
        required=False,
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "2027-12-25 2027-12-26"}),
        help_text="Days on which the shop is closed, such as 2027-12-25.",
    )

    class Meta:
        model = ChargePolicy
        fields = ("shop", "late_fee", "grace_days", "cap", "inspection_days", "release_days", "charges_damage")
        labels = {
            "late_fee": "Late fee",
            "grace_days": "Days of grace",
            "cap": "No more than",
            "inspection_days": "Days to look at what is back",
            "release_days": "Days until deposits go back",
            "charges_damage": "Charge damage and loss",
        }
        help_texts = {
            "grace_days": "The first days late cost nothing, also when more follow.",
            "inspection_days": "After them a late fee is charged, inspected or not. What is held on a card is held so "
            "long.",
            "release_days": "After the inspection. 0: at once.",
            "charges_damage": "What staff note beyond the deposit is charged to the saved card.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(shops := self.fields.get("shop"), forms.ModelChoiceField) and shops.queryset is not None:
            shops.queryset = shops.queryset.filter(settings__kind="rental")
        if (row := self.instance).shop_id:
            currency = row.shop.settings.currency
            whole, part = divmod(row.late_fee_per_mille, 10)
            self.initial = {
                **self.initial,
                "fee": str(from_minor(row.late_fee_amount, currency)) if row.late_fee_amount else "",
                "share": f"{whole}.{part}" if part else str(whole or ""),
                "cap_typed": str(from_minor(row.cap_amount, currency)) if row.cap_amount else "",
                "holidays_typed": " ".join(day.isoformat() for day in row.holidays),
            }

    def clean_share(self) -> int:
        """Per mille."""
        typed = str(self.cleaned_data["share"]).strip().removesuffix("%").strip()
        if not typed:
            return 0
        whole, _, part = typed.partition(".")
        if not (whole.isascii() and whole.isdecimal() and len(part) <= 1 and (not part or part.isdecimal())):
            raise ValidationError("A percentage with up to one decimal, such as 150 or 12.5.")
        per_mille = int(whole) * 10 + int(part or 0)
        if per_mille > 10_000:
            raise ValidationError("At most 1000 per cent.")
        return per_mille

    def clean_holidays_typed(self) -> list[date]:
        try:
            days = {date.fromisoformat(day) for day in self.cleaned_data["holidays_typed"].replace(",", " ").split()}
        except ValueError as error:
            raise ValidationError("Days are written like 2027-12-25.") from error
        if len(days) > MOST_HOLIDAYS:
            raise ValidationError(f"At most {MOST_HOLIDAYS} days.")
        return sorted(days)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        row, shop = self.instance, cleaned.get("shop") or (self.instance.shop if self.instance.shop_id else None)
        if shop is None:
            return cleaned
        row.late_fee_amount = self._minor("fee", shop.settings.currency)
        row.cap_amount = self._minor("cap_typed", shop.settings.currency)
        row.late_fee_per_mille = cleaned.get("share") or 0
        row.holidays = cleaned.get("holidays_typed") or []
        if cleaned.get("late_fee") == LateFee.AMOUNT and not row.late_fee_amount:
            self.add_error("fee", "Say how much.")
        if cleaned.get("late_fee") == LateFee.SHARE and not row.late_fee_per_mille:
            self.add_error("share", "Say how much.")
        if cleaned.get("cap") == Cap.AMOUNT and not row.cap_amount:
            self.add_error("cap_typed", "Say how much.")
        return cleaned

    def _minor(self, name: str, currency: str) -> int:
        typed = str(self.cleaned_data.get(name) or "").strip()
        if not typed:
            return 0
        try:
            amount = to_minor(typed, currency)
            stripe_amount(amount, currency)
        except MoneyError as error:
            self.add_error(name, error.detail)
            return 0
        return amount


@admin.register(ChargePolicy)
class ChargePolicyAdmin(ReasonedEditsAdmin[ChargePolicy]):
    shop_path = "shop"
    audit_name = "charge_policy"
    form = ChargePolicyForm
    list_display = ("shop_name", "fee_told", "cap_told", "grace_days", "deposits_told", "release_days", "damage_told")
    list_filter = (("shop", RelatedDropdownFilter),)
    show_facets = admin.ShowFacets.NEVER
    ordering = ("shop_id",)
    sortable_by = ()
    fieldsets = (
        (
            "Late fees",
            {
                "fields": ("shop", "late_fee", "fee", "share", "grace_days", "cap", "cap_typed", "holidays_typed"),
                "description": "Charged once a rental is back and was looked at: off the deposit first, then off what "
                "is held on the card, the rest off the saved card. Rentals that came back before this page was first "
                "saved are left alone.",
            },
        ),
        (
            "Deposits",
            {
                "fields": ("inspection_days", "release_days", "charges_damage"),
                "description": "Whether deposits are charged or only authorised, and whether the card is kept, is set "
                "on the shop's own page, under “Rentals”.",
            },
        ),
    )
    empty_text = "No shop has a policy: late fees and deposits are left to staff."

    def get_queryset(self, request: HttpRequest) -> QuerySet[ChargePolicy]:
        return super().get_queryset(request).select_related("shop__settings")

    def get_readonly_fields(self, request: HttpRequest, obj: ChargePolicy | None = None) -> tuple[str, ...]:
        return ("shop",) if obj else ()

    @admin.display(description="Shop")
    def shop_name(self, row: ChargePolicy) -> str:
        return link_to(row, row.shop.name)

    @admin.display(description="Late fee")
    def fee_told(self, row: ChargePolicy) -> str:
        if row.late_fee == LateFee.AMOUNT:
            return f"{shop_amount(row.shop, row.late_fee_amount, row.shop.settings.currency)} per unit and day"
        if row.late_fee == LateFee.SHARE:
            whole, part = divmod(row.late_fee_per_mille, 10)
            return f"{whole}{f'.{part}' if part else ''} % of a day's price per day"
        return badge("none", "plain")

    @admin.display(description="No more than")
    def cap_told(self, row: ChargePolicy) -> str:
        if row.cap == Cap.AMOUNT:
            return f"{shop_amount(row.shop, row.cap_amount, row.shop.settings.currency)} per unit"
        return row.get_cap_display()

    @admin.display(description="Deposits")
    def deposits_told(self, row: ChargePolicy) -> str:
        return row.shop.settings.get_deposit_mode_display()

    @admin.display(description="Damage")
    def damage_told(self, row: ChargePolicy) -> str:
        return "charged" if row.charges_damage else "by hand"
