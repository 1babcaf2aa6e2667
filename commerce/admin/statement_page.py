"""A shop's accounts over a period, to read and as CSV. Without a first day it is the trial balance."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from commerce.admin.display import shop_amount, table, zone_of
from commerce.admin.journal_links import entries_link
from commerce.ledger.statements import AccountLine, as_csv, period_of_days, statement, totals
from tenants.backoffice import widgets
from tenants.desk_scope import scope_of
from tenants.errors import InvalidRequest
from tenants.models import Shop

RIGHT: Final = {1, 2, 3, 4}


class StatementForm(forms.Form):
    shop = forms.ModelChoiceField(Shop.objects.none(), widget=widgets.UnfoldAdminSelectWidget)
    first = forms.DateField(
        required=False,
        label="From",
        widget=widgets.UnfoldAdminSingleDateWidget,
        help_text="Empty: from the beginning, as a trial balance.",
    )
    last = forms.DateField(label="To", widget=widgets.UnfoldAdminSingleDateWidget)

    def __init__(self, shops: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["shop"].queryset = shops  # type: ignore[attr-defined]


def statement_page(desk: Any, request: HttpRequest) -> HttpResponse:
    """`desk` is the journal's model admin: whoever may see its list may see its sums, of the same shops."""
    if not desk.has_view_permission(request):
        raise PermissionDenied
    shops = scope_of(request).rows(Shop.objects.select_related("settings").order_by("pk"), "pk")
    today = timezone.localdate()
    asked = request.GET if "last" in request.GET else None
    form = StatementForm(shops, asked, initial={"last": today, "first": today.replace(day=1)})
    context: dict[str, Any] = {}
    if asked is not None and form.is_valid():
        shop, first, last = (form.cleaned_data[name] for name in ("shop", "first", "last"))
        try:
            lines = _lines(shop, first, last)
        except InvalidRequest as error:
            form.add_error(None, error.detail)
        else:
            if request.GET.get("format") == "csv":
                return _as_file(shop, first, last, lines)
            context = {"lines": shown(shop, lines), "zone": zone_of(shop), "query": request.GET.urlencode()}
    context |= {**desk.admin_site.each_context(request), "title": "Statement", "opts": desk.model._meta, "form": form}
    return TemplateResponse(request, "admin/statement.html", context)


def _lines(shop: Shop, first: date | None, last: date) -> list[AccountLine]:
    return statement(shop_id=shop.pk, period=period_of_days(first, last, zone_of(shop)))


def _as_file(shop: Shop, first: date | None, last: date, lines: list[AccountLine]) -> HttpResponse:
    response = HttpResponse(as_csv(lines), content_type="text/csv; charset=utf-8")
    name = f"{shop.pk}-{first or 'beginning'}-{last}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def shown(shop: Shop, lines: list[AccountLine]) -> str:
    """The statement as a table, its totals last."""

    def row(line: AccountLine) -> tuple[object, ...]:
        amounts = (line.opening, line.debit, line.credit, line.closing)
        title = entries_link(shop.pk, line.account) if line.account else f"Total {line.currency}"
        return (title, *(shop_amount(shop, amount, line.currency) for amount in amounts))

    return table(
        ["Account", "Opening", "Debit", "Credit", "Closing"],
        [row(line) for line in [*lines, *totals(lines)]],
        right=RIGHT,
        whole={0},
        empty="Nothing has been booked for this shop.",
    )
