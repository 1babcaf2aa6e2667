"""What staff type of a plan, and what it means: names per language, a price in major units, how often it is paid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError

from commerce.models import Plan, PlanVersion
from commerce.money import MoneyError, from_minor, minimum_charge, stripe_amount, to_minor
from commerce.plans.plans import TypedTerms, newest_version, typed_terms
from tenants.backoffice import ReasonedModelForm, widgets
from tenants.models import Shop

LONGEST_NAME: Final = 100
LONGEST_TEXT: Final = 500


class PlanForm(ReasonedModelForm):
    """`…_typed` and the terms stand for columns of the plan and of its newest version."""

    names_typed = forms.CharField(
        label="Names",
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "en: Club\nde: Klub"}),
        help_text="One language per line. Customers read them, here and on the payment page.",
    )
    descriptions_typed = forms.CharField(
        label="What it is",
        required=False,
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "en: A new headband every season."}),
        help_text="One language per line, a sentence or two each.",
    )
    price = forms.CharField(
        max_length=24,
        widget=widgets.UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "placeholder": "9.90"}),
        help_text="Per unit and payment, in the shop's currency. Another price is for who subscribes from then on.",
    )
    interval = forms.ChoiceField(
        label="Paid every", choices=PlanVersion.Interval.choices, widget=widgets.UnfoldAdminSelectWidget()
    )
    interval_count = forms.IntegerField(
        label="How many of them",
        initial=1,
        min_value=1,
        max_value=1095,
        widget=widgets.UnfoldAdminIntegerFieldWidget(),
        help_text="3 with “Month” is every quarter. At most three years.",
    )
    trial_days = forms.IntegerField(
        label="Days of trial",
        initial=0,
        min_value=0,
        max_value=730,
        widget=widgets.UnfoldAdminIntegerFieldWidget(),
        help_text="Nothing is paid for so long. 0: the first payment is due at once.",
    )

    class Meta:
        model = Plan
        fields = ("shop", "code", "position")
        help_texts: ClassVar = {
            "code": "Small letters, digits and -, as in “club-monthly”. Storefronts call it so; it can't be changed."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row: Plan = self.instance
        if row._state.adding:
            return
        self.initial = {
            **self.initial,
            "names_typed": _lines(row.names),
            "descriptions_typed": _lines(row.descriptions),
        }
        if (last := newest_version(row)) is not None:
            self.initial |= {
                "price": str(from_minor(last.amount, last.currency)),
                "interval": last.interval,
                "interval_count": last.interval_count,
                "trial_days": last.trial_days,
            }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        row: Plan = self.instance
        shop = cleaned.get("shop") or (row.shop if row.shop_id else None)
        if shop is None:
            return cleaned
        row.names = self._checked("names_typed", lambda typed: _texts(typed, shop, LONGEST_NAME)) or row.names
        row.descriptions = self._checked("descriptions_typed", lambda typed: _texts(typed, shop, LONGEST_TEXT)) or {}
        amount = self._checked("price", lambda typed: _price(typed, shop.settings.currency))
        if self.errors or amount is None:
            return cleaned
        self.terms = TypedTerms(
            currency=shop.settings.currency,
            amount=amount,
            interval=cleaned["interval"],
            interval_count=cleaned["interval_count"],
            trial_days=cleaned["trial_days"],
        )
        self._refuse_impossible(shop)
        return cleaned

    def _refuse_impossible(self, shop: Shop) -> None:
        """The constraint's own words, before Stripe is asked for what it wouldn't make."""
        terms = self.terms
        version = PlanVersion(
            shop=shop, number=1, currency=terms.currency, amount=terms.amount, interval=terms.interval,
            interval_count=terms.interval_count, trial_days=terms.trial_days,
        )  # fmt: skip
        try:
            version.validate_constraints(exclude={"plan", "shop", "number"})
        except ValidationError as error:
            self.add_error("interval_count", error.messages[0])

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


def changes_terms(form: PlanForm, plan: Plan) -> bool:
    last = newest_version(plan)
    return last is None or typed_terms(last) != form.terms


def _lines(texts: dict[str, str]) -> str:
    return "\n".join(f"{locale}: {text}" for locale, text in texts.items())


def _texts(typed: str, shop: Shop, longest: int) -> dict[str, str]:
    texts: dict[str, str] = {}
    offered = {*shop.settings.locales, shop.settings.default_locale}
    for line in filter(str.strip, typed.splitlines()):
        locale, _, text = (part.strip() for part in line.partition(":"))
        if locale not in offered or locale in texts or not 0 < len(text) <= longest:
            raise ValidationError(
                f"One line for each of {', '.join(sorted(offered))}, as in “en: …”, of at most {longest} letters."
            )
        texts[locale] = text
    return texts


def _price(typed: str, currency: str) -> int:
    amount = to_minor(typed, currency)
    stripe_amount(amount, currency)
    if amount < (least := minimum_charge(currency)):
        raise ValidationError(f"At least {from_minor(least, currency)}: less can't be charged.")
    return amount
