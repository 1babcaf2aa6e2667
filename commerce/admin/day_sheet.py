"""One shop's day, to read and to print: what goes out, what comes back, what is late."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from commerce.admin.display import table
from commerce.admin.rental_words import days_late
from commerce.models import Rental, RentalLine
from commerce.rentals.periods import zone_today
from tenants.backoffice import link_to, widgets
from tenants.desk_scope import scope_of
from tenants.models import Shop, ShopSettings

# A sheet is for people with their hands full; a day with more than this is worked on by the list.
MOST: Final = 200


class DayForm(forms.Form):
    shop = forms.ModelChoiceField(Shop.objects.none(), widget=widgets.UnfoldAdminSelectWidget)
    day = forms.DateField(
        required=False, widget=widgets.UnfoldAdminSingleDateWidget, help_text="Empty: today, by the shop's clocks."
    )

    def __init__(self, shops: QuerySet[Shop], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["shop"].queryset = shops  # type: ignore[attr-defined]


def day_sheet(desk: Any, request: HttpRequest) -> HttpResponse:
    """`desk` is the rentals' model admin: whoever may see its list may see its day, of the same shops."""
    if not desk.has_view_permission(request):
        raise PermissionDenied
    rents = Shop.objects.select_related("settings").filter(settings__kind=ShopSettings.Kind.RENTAL).order_by("pk")
    shops = scope_of(request).rows(rents, "pk")
    only = shops.first()
    asked = request.GET if "shop" in request.GET else None
    form = DayForm(shops, asked, initial={"shop": only})
    context: dict[str, Any] = {"parts": [], "title": "Today"}
    shop = only if asked is None else form.cleaned_data["shop"] if form.is_valid() else None
    if shop is not None:
        today = zone_today(shop.settings.time_zone)
        day = (form.cleaned_data.get("day") if asked is not None else None) or today
        rentals = (
            Rental.objects.for_shop(shop.pk)
            .select_related("order", "shop__settings")
            .prefetch_related("lines__order_line")
        )
        context["title"] = f"{shop.name}, {day:%A %d %B %Y}"
        parts = [
            ("Going out", rentals.filter(next_out_on=day).order_by("order__customer_name"), "Nothing goes out."),
            ("Coming back", rentals.filter(next_due_on=day).order_by("order__customer_name"), "Nothing is due."),
        ]
        if day == today:
            not_collected = rentals.filter(next_out_on__lt=day).order_by("next_out_on")
            overdue = rentals.filter(next_due_on__lt=day).order_by("next_due_on")
            parts += [
                ("Overdue", overdue, "Nothing is late."),
                ("Not collected yet", not_collected, "Nobody is waited for."),
            ]
        context["parts"] = [(name, _rows(found, empty)) for name, found, empty in parts]
    context |= {**desk.admin_site.each_context(request), "opts": desk.model._meta, "form": form} | {
        "title": context["title"]
    }
    return TemplateResponse(request, "admin/day_sheet.html", context)


def _rows(rentals: QuerySet[Rental], empty: str) -> SafeString:
    rows: list[tuple[object, ...]] = [
        (
            "☐",
            link_to(rental, rental.order.number),
            rental.order.customer_name or rental.order.email,
            rental.order.phone,
            "; ".join(_line(line) for line in rental.lines.all()),
            f"{rental.starts_on} – {rental.ends_on}"
            + (f", {late} day{'s' if late > 1 else ''} late" if (late := days_late(rental)) else ""),
        )
        for rental in rentals[:MOST]
    ]
    return table(["", "Order", "Customer", "Phone", "Units", "Period"], rows, whole={1, 5}, empty=empty)


def _line(line: RentalLine) -> str:
    return f"{line.out or line.to_go_out} × {line.order_line.title}"
