"""Products with their texts and variants. The catalog is the only source of prices, and staff set them here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Case, Count, F, IntegerField, Max, Min, OuterRef, Q, QuerySet, Subquery, Value, When
from django.http import HttpRequest
from django.utils.html import format_html

from commerce.admin.catalog_forms import RATES, ProductTextForm, ProductTextFormSet, VariantForm, VariantFormSet
from commerce.admin.display import mono, shop_amount
from commerce.admin.lists import KeySearch
from commerce.models import Product, ProductText, Variant
from inventory.models import StockRow
from tenants.audit import record_audit
from tenants.backoffice import (
    ReasonedEditsAdmin,
    RelatedDropdownFilter,
    StackedInline,
    TabularInline,
    badge,
    list_url,
    staff_actor,
)
from tenants.display import EMPTY
from tenants.models import ShopSettings


class ProductTextInline(StackedInline[ProductText, Product]):
    model = ProductText
    form = ProductTextForm
    formset = ProductTextFormSet
    # Deleting would leave no trace; a text is corrected.
    can_delete = False
    fields = ("locale", "title", "description")
    verbose_name_plural = "Texts"


class VariantInline(TabularInline[Variant, Product]):
    model = Variant
    form = VariantForm
    formset = VariantFormSet
    # Orders, holds and carts name variants by key: one that is no longer sold is switched off.
    can_delete = False
    readonly_fields = ("key", "price_read", "rates_read", "deposit_read")
    hide_title = True
    verbose_name_plural = "Variants"

    def get_fields(self, request: HttpRequest, obj: Product | None = None) -> tuple[str, ...]:
        rented = obj is None or obj.shop.settings.kind == ShopSettings.Kind.RENTAL
        if not self.has_change_permission(request, obj):
            # What only a form has, Django shows a reader as empty.
            return (
                "key",
                "price_read",
                *(("rates_read", "deposit_read") if rented else ()),
                "active",
                "position",
                "image",
            )
        rental = ("weekend", "week", "month", "deposit") if rented else ()
        return ("key", "attributes_typed", "price", *rental, "currency", "active", "position", "image")

    def has_add_permission(self, request: HttpRequest, obj: Product | None = None) -> bool:
        """Rows that can't be changed are shown without their form, and so could none be added."""
        return super().has_add_permission(request, obj) and self.has_change_permission(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Variant]:
        return super().get_queryset(request).select_related("shop__settings")

    @admin.display(description="Variant")
    def key(self, variant: Variant) -> str:
        return mono(variant.variant_key)

    @admin.display(description="Price")
    def price_read(self, variant: Variant) -> str:
        return shop_amount(variant.shop, variant.price_amount, variant.currency)

    @admin.display(description="Weekend, week, month")
    def rates_read(self, variant: Variant) -> str:
        amounts = (variant.weekend_amount, variant.week_amount, variant.month_amount)
        return ", ".join(EMPTY if a is None else shop_amount(variant.shop, a, variant.currency) for a in amounts)

    @admin.display(description="Deposit")
    def deposit_read(self, variant: Variant) -> str:
        return shop_amount(variant.shop, variant.deposit_amount, variant.currency)


@admin.register(Product)
class ProductAdmin(KeySearch[Product], ReasonedEditsAdmin[Product]):
    shop_path = "shop"
    audit_name = "product"
    list_display = ("sku", "title", "shop_name", "variant_count", "prices", "state", "stock")
    list_filter = (("shop", RelatedDropdownFilter), "active")
    search_fields = ("sku", "slug", "variants__variant_key")
    search_help_text = "Beginning of a SKU, slug, variant key"
    # By an index, not in catalog order: the list is of all shops.
    ordering = ("shop_id", "sku")
    sortable_by = ()
    inlines = (ProductTextInline, VariantInline)
    empty_text = "Nothing is for sale yet. Add a product, its texts and its variants, then stock."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        mine = Variant.objects.filter(product_id=OuterRef("pk")).order_by().values("product_id")
        preferred = Case(
            When(locale=OuterRef("shop__settings__default_locale"), then=Value(0)),
            default=Value(1),
            output_field=IntegerField(),
        )
        texts = (
            ProductText.objects.filter(product_id=OuterRef("pk")).annotate(rank=preferred).order_by("rank", "locale")
        )
        return (
            super()
            .get_queryset(request)
            .select_related("shop__settings")
            .annotate(
                shown_title=Subquery(texts.values("title")[:1]),
                lowest=Subquery(mine.annotate(found=Min("price_amount")).values("found")),
                highest=Subquery(mine.annotate(found=Max("price_amount")).values("found")),
                variants_all=Subquery(mine.annotate(found=Count("pk")).values("found")),
                variants_sold=Subquery(mine.filter(active=True).annotate(found=Count("pk")).values("found")),
                variants_odd=Subquery(
                    mine.exclude(currency=F("shop__settings__currency")).annotate(found=Count("pk")).values("found")
                ),
            )
        )

    def key(self, term: str) -> Q:
        if "#" in term:
            return Q(pk__in=Variant.objects.filter(variant_key=term).values("product_id"))
        return Q(sku__startswith=term) | Q(slug=term)

    def get_readonly_fields(self, request: HttpRequest, obj: Product | None = None) -> tuple[str, ...]:
        """Stock, carts and orders know the product by these."""
        return ("shop", "sku") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Product | None = None) -> tuple[str, ...]:
        """A new product's shop may be of either kind."""
        rented = obj is None or obj.shop.settings.kind == ShopSettings.Kind.RENTAL
        terms = ("rental_min_days", "rental_max_days", "rental_lead_days", "rental_horizon_days")
        return ("shop", "sku", "slug", "image", "tax_code", "active", "position", *(terms if rented else ()))

    def get_prepopulated_fields(self, request: HttpRequest, obj: Product | None = None) -> dict[str, Sequence[str]]:
        return {} if obj else {"slug": ("sku",)}

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """One entry per text and per variant, which says which: prices have their history here."""
        # Not ReasonedEditsAdmin's: its entries don't name the row.
        super(ReasonedEditsAdmin, self).save_related(request, form, formsets, change)
        for formset in formsets:
            added = {row.pk for row in formset.new_objects}
            for inline in formset.forms:
                if inline.has_changed():
                    self._record_row(request, form, inline, added=inline.instance.pk in added)

    def _record_row(self, request: HttpRequest, form: Any, inline: Any, *, added: bool) -> None:
        row: Variant | ProductText = inline.instance
        unit = f" {row.currency}" if isinstance(row, Variant) else ""
        before = f" {inline.initial.get('currency', '')}".rstrip()
        changes = {}
        for name in inline.changed_data:
            old, new = inline.initial.get(name), inline.cleaned_data.get(name)
            if name in {"price", "deposit", *RATES}:
                changes[name] = [f"{old}{before}" if old else "", f"{new}{unit}"]
            else:
                changes[name] = ["" if old is None else str(old), "" if new is None else str(new)]
        kind = "variant" if isinstance(row, Variant) else "product_text"
        record_audit(
            shop_id=row.shop_id,
            acting=staff_actor(request),
            action=f"{kind}.{'added' if added else 'changed'}",
            object_type=kind,
            object_id=row.variant_key if isinstance(row, Variant) else f"{row.product.sku}:{row.locale}",
            reason=form.cleaned_data["reason_for_change"],
            data={"product": row.product.sku, "changes": changes},
        )

    # ---------------------------------------------------------------- columns
    @admin.display(description="Title")
    def title(self, product: Product) -> str:
        return getattr(product, "shown_title", None) or EMPTY

    @admin.display(description="Variants")
    def variant_count(self, product: Product) -> str:
        every, sold = getattr(product, "variants_all", None) or 0, getattr(product, "variants_sold", None) or 0
        return str(every) if every == sold else f"{sold} of {every}"

    @admin.display(description="Price")
    def prices(self, product: Product) -> str:
        lowest, highest = getattr(product, "lowest", None), getattr(product, "highest", None)
        if lowest is None:
            return EMPTY
        if getattr(product, "variants_odd", None):
            return badge("not in the shop's currency", "bad")
        currency = product.shop.settings.currency
        low, high = shop_amount(product.shop, lowest, currency), shop_amount(product.shop, highest, currency)
        per = " a day" if product.shop.settings.kind == ShopSettings.Kind.RENTAL else ""
        return f"{low if low == high else f'{low} – {high}'}{per}"

    @admin.display(description="Sold")
    def state(self, product: Product) -> str:
        return badge("active", "good") if product.active else badge("switched off", "plain")

    @admin.display(description="Stock")
    def stock(self, product: Product) -> str:
        url = list_url(StockRow, urlencode({"owner__id__exact": product.shop_id, "q": product.sku}))
        link = '<a href="{}" class="text-primary-600 dark:text-primary-500">stock</a>'
        return format_html(link, url) if url else EMPTY
