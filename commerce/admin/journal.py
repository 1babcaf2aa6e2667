"""The journal: entries with their lines, and whether they balance."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, Sum, When
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from commerce.admin import stripe_links
from commerce.admin.display import shop_amount, shop_moment, shortened
from commerce.admin.journal_links import LINK, entries_link
from commerce.admin.lists import KeySearch, LastingFilter
from commerce.admin.statement_page import statement_page
from commerce.gateway.client import platform_scope
from commerce.ledger.accounts import ACCOUNTS, BY_NAME
from commerce.models import Dispute, JournalEntry, JournalLine, Order, Refund
from tenants.backoffice import (
    ChoicesDropdownFilter,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    RelatedDropdownFilter,
    badge,
    link_to,
    list_url,
)

LONGEST_IN_LIST = 40
# What begins so is one of these.
PAGES: tuple[tuple[tuple[str, ...], type[Refund] | type[Dispute]], ...] = (
    (("re_", "pyr_"), Refund),
    (("du_", "dp_", "pdp_"), Dispute),
)


class JournalLineInline(ReadOnlyInline[JournalLine, JournalEntry]):
    model = JournalLine
    fields = ("title", "debit", "credit")
    readonly_fields = fields
    ordering = ("-amount", "account")
    # unfold's: no heading per row. A line's own name has its amount in minor units.
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[JournalLine]:
        return super().get_queryset(request).select_related("entry__shop__settings")

    @admin.display(description="Account")
    def title(self, line: JournalLine) -> str:
        return entries_link(line.shop_id, line.account)

    @admin.display(description="Debit")
    def debit(self, line: JournalLine) -> str:
        return self._side(line, line.amount)

    @admin.display(description="Credit")
    def credit(self, line: JournalLine) -> str:
        return self._side(line, -line.amount)

    @staticmethod
    def _side(line: JournalLine, amount: int) -> str:
        return shop_amount(line.entry.shop, amount, line.entry.currency) if amount > 0 else " "


class AccountFilter(LastingFilter):
    title = "account"
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(account.name, account.title) for account in ACCOUNTS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[JournalEntry]) -> QuerySet[JournalEntry]:
        if self.value() not in BY_NAME:
            return queryset
        shop_id = request.GET.get("shop__id__exact")
        # An entry has an account once. One shop's lines of an account have an index.
        lines = {"lines__account": self.value()} | ({"lines__shop_id": shop_id} if shop_id else {})
        return queryset.filter(**lines)


@admin.register(JournalEntry)
class JournalEntryAdmin(KeySearch[JournalEntry], ReadOnlyAdmin[JournalEntry]):
    shop_path = "shop"
    list_display = ("posted", "shop_name", "kind_name", "reference_short", "of", "total", "balance")
    list_filter = (
        ("shop", RelatedDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        AccountFilter,
        ("posted_at", RangeDateTimeFilter),
    )
    search_fields = ("reference", "order__number")
    search_help_text = "Order number, or a reference such as cs_…"
    ordering = ("-id",)
    ordering_of_one_shop = ("-posted_at", "-id")
    sortable_by = ("posted",)
    fields = (
        "posted", "shop_name", "kind_name", "reference", "of", "about", "total", "balance", "memo",
        "request_id",
    )  # fmt: skip
    inlines = (JournalLineInline,)
    empty_text = "Nothing has been booked yet. The first paid order is."
    actions_list = ("statement",)

    def statement(self, request: HttpRequest) -> HttpResponse:
        return statement_page(self, request)

    # What unfold reads from an action's function.
    vars(statement).update(short_description="Statement", url_path="statement", attrs={}, icon=None, variant="default")

    def get_queryset(self, request: HttpRequest) -> QuerySet[JournalEntry]:
        lines = JournalLine.objects.filter(entry_id=OuterRef("pk")).order_by().values("entry_id")
        debits = Sum(Case(When(amount__gt=0, then=F("amount"))))
        return (
            super()
            .get_queryset(request)
            .select_related("shop__settings", "order", "invoice")
            .annotate(
                debit_total=Subquery(lines.annotate(found=debits).values("found")),
                line_sum=Subquery(lines.annotate(found=Sum("amount")).values("found")),
            )
        )

    def key(self, term: str) -> Q:
        number = term.removeprefix("#")
        if number.isascii() and number.isdecimal():
            return Q(order_id__in=Order.objects.filter(number=number).values("pk"))
        return Q(reference=term)

    @admin.display(description="Posted", ordering="id")
    def posted(self, entry: JournalEntry) -> str:
        return shop_moment(entry.shop, entry.posted_at)

    @admin.display(description="Kind")
    def kind_name(self, entry: JournalEntry) -> str:
        return entry.get_kind_display()

    @admin.display(description="Reference")
    def reference_short(self, entry: JournalEntry) -> str:
        return shortened(entry.reference, LONGEST_IN_LIST)

    @admin.display(description="Order or invoice")
    def of(self, entry: JournalEntry) -> str:
        return link_to(entry.order or entry.invoice)

    @admin.display(description="Money of")
    def about(self, entry: JournalEntry) -> str:
        """The refund's or the dispute's own page by a search, else Stripe's."""
        page = next((model for prefixes, model in PAGES if entry.source.startswith(prefixes)), None)
        if page is None:
            account, live = getattr(entry.order or entry.invoice, "stripe_account", ""), platform_scope().livemode
            return stripe_links.stripe_link(entry.source, account=account, livemode=live)
        return format_html(LINK, list_url(page, urlencode({"q": entry.source})), entry.source)

    @admin.display(description="Amount")
    def total(self, entry: JournalEntry) -> str:
        return shop_amount(entry.shop, getattr(entry, "debit_total", None), entry.currency)

    @admin.display(description="Balance")
    def balance(self, entry: JournalEntry) -> str:
        """The database refuses what doesn't balance; this shows that it is so for what is read here."""
        left = getattr(entry, "line_sum", None)
        if left == 0:
            return badge("balanced", "good")
        return badge(f"off by {shop_amount(entry.shop, left, entry.currency)}" if left else "no lines", "bad")
