"""What staff type of a coupon, and what it means: shares and amounts in major units, times in the shop's zone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q

from commerce.coupons.codes import LONGEST, canonical
from commerce.models import Coupon, CouponRedemption, Variant
from commerce.money import MoneyError, from_minor, stripe_amount, to_minor
from tenants.backoffice import ReasonedModelForm, widgets
from tenants.models import Shop

SHARE: Final = re.compile(r"\A([0-9]{1,3})(?:\.([0-9]{1,2}))?\s*%\Z")
AMOUNT: Final = re.compile(r"\A([A-Za-z]{3})\s+([0-9.]+)\Z")
LOCAL: Final = re.compile(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}\Z")
MOST_PRODUCTS: Final = 200

PROMISED: Final = ("takes_off_typed", "only_for_typed")
"""What stays as it is once anybody has reserved the coupon; so does the code, from the start."""


class _Moment(widgets.UnfoldAdminTextInputWidget):  # type: ignore[misc]
    input_type = "datetime-local"


def _lines(rows: int, placeholder: str) -> Any:
    return widgets.UnfoldAdminTextareaWidget(attrs={"rows": rows, "placeholder": placeholder})


class CouponForm(ReasonedModelForm):
    """`…_typed` stand for the model's own fields. A coupon that was reserved once keeps what it promised."""

    code = forms.CharField(
        max_length=LONGEST,
        widget=widgets.UnfoldAdminTextInputWidget(attrs={"placeholder": "SPRING-10"}),
        help_text="Letters, digits, - and _; customers may type it in any case. It can't be changed later.",
    )
    takes_off_typed = forms.CharField(
        label="Takes off",
        widget=_lines(2, "10 %"),
        help_text="A share, as in “12.5 %”; or an amount in each currency, one per line, as in “EUR 5.00”. "
        "Of merchandise alone: deposits and shipping are never discounted.",
    )
    minimum_typed = forms.CharField(
        label="From a subtotal of",
        required=False,
        widget=_lines(2, "EUR 40.00"),
        help_text="One currency per line. In a currency without one it isn't taken; without any there is no minimum.",
    )
    only_for_typed = forms.CharField(
        label="Only for",
        required=False,
        widget=_lines(2, "HEADBAND-GOLD"),
        help_text="SKUs, or keys of single variants, one per line. Without any, it is for everything.",
    )
    starts_typed = forms.CharField(
        label="Starts", required=False, widget=_Moment(), help_text="On the shop's clocks. Empty: at once."
    )
    ends_typed = forms.CharField(
        label="Ends",
        required=False,
        widget=_Moment(),
        help_text="From then on it isn't taken any more. Empty: never.",
    )

    class Meta:
        model = Coupon
        fields = ("shop", "code", "limit_total", "limit_per_email", "note")
        labels: ClassVar = {"limit_total": "Uses in all", "limit_per_email": "Uses per customer"}
        help_texts: ClassVar = {
            "limit_total": "Reserved ones count; they come back when a checkout isn't paid. Empty: any number.",
            "limit_per_email": "By e-mail address, which is then asked for before the payment. Empty: any number.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row: Coupon = self.instance
        if row._state.adding:
            return
        zone = zone_of(row.shop)
        self.initial = {
            **self.initial,
            "takes_off_typed": takes_off(row),
            "minimum_typed": _amounts_text(row.minimums),
            "only_for_typed": "\n".join(row.only_for),
            "starts_typed": _local(row.starts_at, zone),
            "ends_typed": _local(row.ends_at, zone),
        }
        for name in ("starts_typed", "ends_typed"):
            self.fields[name].help_text = f"{self.fields[name].help_text} Time zone: {zone.key}.".strip()
        if is_promised(row):
            for name in PROMISED:
                del self.fields[name]

    def clean_code(self) -> str:
        code = canonical(self.cleaned_data["code"])
        if code is None:
            raise ValidationError("Two to forty letters, digits, - and _, beginning with a letter or a digit.")
        return code

    def clean_limit_total(self) -> int | None:
        limit: int | None = self.cleaned_data["limit_total"]
        if limit is not None and limit < max(1, self.instance.used):
            raise ValidationError(f"At least {max(1, self.instance.used)}: so many uses are reserved or redeemed.")
        return limit

    def clean_limit_per_email(self) -> int | None:
        limit: int | None = self.cleaned_data["limit_per_email"]
        if limit == 0:
            raise ValidationError("At least 1; leave it empty for no limit.")
        return limit

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        row: Coupon = self.instance
        shop = cleaned.get("shop") or (row.shop if row.shop_id else None)
        if shop is None:
            return cleaned
        if "takes_off_typed" in self.fields:
            promised = self._checked("takes_off_typed", read_promise)
            if promised is not None:
                row.basis_points, row.amounts = promised
                row.kind = Coupon.Kind.PERCENT if row.basis_points else Coupon.Kind.AMOUNT
        if "only_for_typed" in self.fields:
            row.only_for = self._checked("only_for_typed", lambda typed: read_products(typed, shop)) or []
        row.minimums = self._checked("minimum_typed", read_amounts) or {}
        zone = zone_of(shop)
        row.starts_at = self._checked("starts_typed", lambda typed: read_moment(typed, zone))
        row.ends_at = self._checked("ends_typed", lambda typed: read_moment(typed, zone))
        if row.starts_at and row.ends_at and row.starts_at >= row.ends_at:
            self.add_error("ends_typed", "It ends before it starts.")
        return cleaned

    def _checked(self, name: str, read: Callable[[str], Any]) -> Any:
        """What the field's text means; None, with the error noted on the field, when it means nothing."""
        typed = str(self.cleaned_data.get(name) or "").strip()
        if not typed:
            return None
        try:
            return read(typed)
        except (MoneyError, ValidationError) as error:
            self.add_error(name, error.detail if isinstance(error, MoneyError) else error)
            return None


def is_promised(coupon: Coupon) -> bool:
    """Whether anybody has reserved it, whatever became of that. The database asks the same."""
    return CouponRedemption.objects.for_shop(coupon.shop_id).filter(coupon=coupon).exists()


def read_promise(typed: str) -> tuple[int | None, dict[str, int]]:
    """Basis points, or amounts in minor units by currency. Raises ValidationError, MoneyError."""
    if (share := SHARE.match(typed)) is None:
        return None, read_amounts(typed)
    points = int(share[1]) * 100 + int((share[2] or "0").ljust(2, "0"))
    if not 1 <= points <= 10_000:
        raise ValidationError("A share is more than 0 % and at most 100 %.")
    return points, {}


def read_amounts(typed: str) -> dict[str, int]:
    """`EUR 5.00` per line, as minor units by currency. What Stripe can't charge is refused here, once."""
    amounts: dict[str, int] = {}
    for line in filter(None, map(str.strip, typed.splitlines())):
        found = AMOUNT.match(line)
        if found is None:
            raise ValidationError("Write “10 %”, or one amount per line with its currency, as in “EUR 5.00”.")
        currency = found[1].upper()
        amount = to_minor(found[2], currency)
        stripe_amount(amount, currency)
        if amount == 0 or currency in amounts:
            raise ValidationError("Each currency once, with more than nothing.")
        amounts[currency] = amount
    return amounts


def read_products(typed: str, shop: Shop) -> list[str]:
    """SKUs and variant keys of the shop's. Raises ValidationError with those it hasn't got."""
    named = sorted(set(filter(None, map(str.strip, typed.splitlines()))))
    if len(named) > MOST_PRODUCTS:
        raise ValidationError(f"At most {MOST_PRODUCTS}; leave it empty for everything.")
    rows = Variant.objects.for_shop(shop.pk).filter(Q(sku__in=named) | Q(variant_key__in=named))
    known = {name for pair in rows.values_list("sku", "variant_key") for name in pair}
    if unknown := [name for name in named if name not in known]:
        raise ValidationError(f"The shop has no such product or variant: {', '.join(unknown[:5])}.")
    return named


def read_moment(typed: str, zone: ZoneInfo) -> datetime:
    """A time on the shop's clocks. Raises ValidationError for none, and for one that they skip in spring."""
    try:
        if not LOCAL.match(typed):
            raise ValueError
        local = datetime.fromisoformat(typed)
    except ValueError:
        raise ValidationError("Write a day and a time, as in “2026-12-24 18:00”.") from None
    moment = local.replace(tzinfo=zone)
    if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        raise ValidationError(f"Clocks in {zone.key} skip this hour.")
    return moment


def takes_off(coupon: Coupon) -> str:
    """As it is typed: `12.5 %`, or `EUR 5.00` per line."""
    if coupon.basis_points is None:
        return _amounts_text(coupon.amounts)
    whole, hundredths = divmod(coupon.basis_points, 100)
    return f"{whole}.{hundredths:02}".rstrip("0").rstrip(".") + " %" if hundredths else f"{whole} %"


def zone_of(shop: Shop) -> ZoneInfo:
    return ZoneInfo(shop.settings.time_zone)


def _amounts_text(amounts: Mapping[str, int]) -> str:
    return "\n".join(_each(sorted(amounts.items())))


def _each(amounts: Iterable[tuple[str, int]]) -> Iterable[str]:
    return (f"{currency} {from_minor(amount, currency)}" for currency, amount in amounts)


def _local(moment: datetime | None, zone: ZoneInfo) -> str:
    return "" if moment is None else moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M")
