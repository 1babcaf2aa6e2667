"""Rows of one shop: how a query is narrowed to it, and where a model keeps the shop that its rows belong to.

Knows no model, so that every model can use it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar, Self, TypeVar

from django.db import models
from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)
SHOP = "tenants.shop"


class ShopQuerySet(QuerySet[M]):
    """What every table with a shop offers. The house rule `unscoped_queries` asks for it by name."""

    shop_lookup: ClassVar[str] = "shop_id"

    def for_shop(self, shop_id: str) -> Self:
        return self.filter(**{self.shop_lookup: shop_id})


class OwnerQuerySet(ShopQuerySet[M]):
    """For tables that belong to a shop by their stock's owner, whose id is the shop's own."""

    shop_lookup = "owner_id"


def is_shop(model: type[Model]) -> bool:
    """Whether rows of `model` are shops, under this name or a proxy's."""
    return (model._meta.concrete_model or model)._meta.label_lower == SHOP


def path_to_shop(model: type[Model]) -> str | None:
    """The lookup that leads from a row to its shop: `pk` for shops, else by a field named `shop`, the nearest first.

    None where no such path exists, or where the model says `of_the_platform`: the table belongs to the platform.
    """
    if getattr(model, "of_the_platform", False):
        return None
    if is_shop(model):
        return "pk"
    paths: list[tuple[str, type[Model]]] = [("", model)]
    seen = {model}
    while paths:
        prefix, nearest = paths.pop(0)
        for field in nearest._meta.concrete_fields:
            related = field.related_model
            if not isinstance(field, models.ForeignKey) or not isinstance(related, type):
                continue
            if field.name == "shop" and related._meta.label_lower == SHOP:
                return f"{prefix}shop"
            if related not in seen and related._meta.label_lower != SHOP:
                seen.add(related)
                paths.append((f"{prefix}{field.name}__", related))
    return None


def within_shops(rows: QuerySet[M], path: str | None, shop_ids: Collection[str]) -> QuerySet[M]:
    """`rows` of these shops; none at all of a table that is no shop's."""
    return rows.none() if path is None else rows.filter(**{f"{path}__in": shop_ids})


def shop_id_of(row: Model, path: str) -> str | None:
    """The shop of a row by its path; None while it has none. Reads related rows where the path leads over them."""
    found: Any = row
    *between, last = path.split("__")
    for name in between:
        found = getattr(found, name, None)
        if found is None:
            return None
    value = found.pk if last == "pk" else getattr(found, f"{last}_id", None)
    return None if value is None else str(value)
