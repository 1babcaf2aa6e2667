"""Reading the catalog: what a key means, in the reader's language. The catalog is the only source of prices (C1)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.db.models import Case, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import JSONObject

from commerce.catalog.errors import NotPurchasable, UnknownSku
from commerce.catalog.models import ProductText, Variant
from commerce.rentals.periods import ProductTerms
from commerce.rentals.pricing import RentalRates
from inventory.variants import variant_key


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """One variant as sold. Amounts in minor units of `currency`; a rental's `price_amount` is per day.

    `currency_agrees` is false for a variant priced in another currency than its shop's: it can't be sold.
    """

    product_id: int
    variant_id: int
    sku: str
    slug: str
    variant_key: str
    attributes: Mapping[str, str]
    title: str
    description: str
    image: str
    currency: str
    price_amount: int
    deposit_amount: int
    rates: RentalRates
    terms: ProductTerms
    active: bool
    currency_agrees: bool
    tax_code: str

    @property
    def purchasable(self) -> bool:
        """Whether the catalog sells it. Says nothing about stock."""
        return self.active and self.currency_agrees


@dataclass(frozen=True, slots=True)
class CatalogProduct:
    """A product with its active variants, in catalog order."""

    product_id: int
    sku: str
    slug: str
    title: str
    description: str
    image: str
    variants: tuple[CatalogItem, ...]

    @property
    def choices(self) -> dict[str, list[str]]:
        """Attribute name → its values over all variants, each in catalog order: what a page offers to choose from."""
        found: dict[str, list[str]] = {}
        for variant in self.variants:
            for name, value in variant.attributes.items():
                values = found.setdefault(name, [])
                if value not in values:
                    values.append(value)
        return found


@dataclass(frozen=True, slots=True)
class WantedVariant:
    """What a customer asks for: a SKU and, for products with several variants, the attributes that choose one."""

    sku: str
    attributes: Mapping[str, str]


def items_by_key(*, shop_id: str, variant_keys: Iterable[str], locale: str) -> dict[str, CatalogItem]:
    """The shop's items under `variant_keys`, inactive ones included; unknown keys are absent.

    One query, none without keys. Texts are in `locale`, else in the shop's default locale, else in any; a product
    without texts shows its SKU.
    """
    keys = sorted(set(variant_keys))
    if not keys:
        return {}
    rows = _rows(shop_id=shop_id, locale=locale).filter(variant_key__in=keys)
    return {row["variant_key"]: _item(row) for row in rows}


def known_keys(*, shop_id: str, variant_keys: Collection[str]) -> set[str]:
    """Those of `variant_keys` that the shop's catalog has, active or not. One query. What INVENTORY_CATALOG names."""
    found = Variant.objects.for_shop(shop_id).filter(variant_key__in=list(variant_keys))
    return set(found.values_list("variant_key", flat=True))


def resolve_variants(*, shop_id: str, wanted: Sequence[WantedVariant], locale: str) -> list[CatalogItem]:
    """The item for each wish, in order. One query.

    Raises UnknownSku with every wish that names nothing here, else NotPurchasable with every one that isn't sold;
    InvalidRequest for a SKU or attributes that can't form a key.
    """
    keys = [variant_key(wish.sku, wish.attributes) for wish in wanted]
    found = items_by_key(shop_id=shop_id, variant_keys=keys, locale=locale)
    unknown = [{"sku": wish.sku, "variantKey": key} for wish, key in zip(wanted, keys, strict=True) if key not in found]
    if unknown:
        raise UnknownSku(unknown)
    items = [found[key] for key in keys]
    closed = [{"sku": item.sku, "variantKey": item.variant_key} for item in items if not item.purchasable]
    if closed:
        raise NotPurchasable(closed)
    return items


def resolve_variant(
    *, shop_id: str, sku: str, attributes: Mapping[str, str] | None = None, locale: str = ""
) -> CatalogItem:
    """The item that a SKU and its attributes name. One query. Raises as `resolve_variants` does."""
    return resolve_variants(shop_id=shop_id, wanted=[WantedVariant(sku, attributes or {})], locale=locale)[0]


def listing(*, shop_id: str, locale: str, skus: Sequence[str] = ()) -> list[CatalogProduct]:
    """Active products with their sellable variants, in catalog order; with `skus`, those alone. One query."""
    rows = _rows(shop_id=shop_id, locale=locale).filter(active=True, product__active=True)
    rows = rows.order_by("product__position", "product__sku", "position", "variant_key")
    if skus:
        rows = rows.filter(product__sku__in=skus)
    return _products(rows)


def product_by_slug(*, shop_id: str, slug: str, locale: str) -> CatalogProduct | None:
    """One active product with its sellable variants, or None. One query."""
    rows = _rows(shop_id=shop_id, locale=locale).filter(active=True, product__active=True, product__slug=slug)
    products = _products(rows.order_by("position", "variant_key"))
    return products[0] if products else None


def _products(rows: Iterable[dict[str, Any]]) -> list[CatalogProduct]:
    groups: dict[int, list[CatalogItem]] = {}
    images: dict[int, tuple[str, str]] = {}
    for row in rows:
        item = _item(row)
        images[item.product_id] = (row["product__sku"], row["product__image"])
        if item.purchasable:
            groups.setdefault(item.product_id, []).append(item)
    return [
        CatalogProduct(
            product_id=product_id,
            sku=images[product_id][0],
            slug=items[0].slug,
            title=items[0].title,
            description=items[0].description,
            image=images[product_id][1] or items[0].image,
            variants=tuple(items),
        )
        for product_id, items in groups.items()
    ]


def _rows(*, shop_id: str, locale: str) -> QuerySet[Any, dict[str, Any]]:
    preference = Case(
        When(locale=locale, then=Value(0)),
        When(locale=OuterRef("shop__settings__default_locale"), then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    texts = (
        ProductText.objects.filter(shop_id=shop_id, product_id=OuterRef("product_id"))
        .annotate(preference=preference)
        .order_by("preference", "locale")
    )
    rows = (
        Variant.objects.for_shop(shop_id)
        .filter(Q(product__shop_id=shop_id))
        .annotate(
            text=Subquery(texts.values(found=JSONObject(title="title", description="description"))[:1]),
            shop_currency=F("shop__settings__currency"),
        )
        .values(
            "id", "product_id", "sku", "variant_key", "attributes", "image", "currency", "price_amount",
            "deposit_amount", "weekend_amount", "week_amount", "month_amount", "active", "text", "shop_currency",
            "product__sku", "product__slug", "product__image", "product__active",
            "product__tax_code", "product__rental_min_days", "product__rental_max_days",
            "product__rental_lead_days", "product__rental_horizon_days",
        )
    )  # fmt: skip
    return cast("QuerySet[Any, dict[str, Any]]", rows)


def _item(row: dict[str, Any]) -> CatalogItem:
    text = row["text"] or {"title": row["sku"], "description": ""}
    return CatalogItem(
        product_id=row["product_id"],
        variant_id=row["id"],
        sku=row["sku"],
        slug=row["product__slug"],
        variant_key=row["variant_key"],
        attributes=row["attributes"],
        title=text["title"],
        description=text["description"],
        image=row["image"] or row["product__image"],
        currency=row["currency"],
        price_amount=row["price_amount"],
        deposit_amount=row["deposit_amount"],
        rates=RentalRates(
            day=row["price_amount"],
            weekend=row["weekend_amount"],
            week=row["week_amount"],
            month=row["month_amount"],
        ),
        terms=ProductTerms(
            min_days=row["product__rental_min_days"],
            max_days=row["product__rental_max_days"],
            lead_days=row["product__rental_lead_days"],
            horizon_days=row["product__rental_horizon_days"],
        ),
        active=row["active"] and row["product__active"],
        currency_agrees=row["currency"] == row["shop_currency"],
        tax_code=row["product__tax_code"],
    )
