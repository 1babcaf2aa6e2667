"""Whose rows a member of staff may see: those of every shop, or those of the shops that they are a member of (A5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model, QuerySet

from tenants.models import Membership
from tenants.scoping import path_to_shop, shop_id_of, within_shops

M = TypeVar("M", bound=Model)
User = AbstractBaseUser | AnonymousUser

SEE_EVERY_SHOP: Final = "tenants.see_every_shop"
_KEPT: Final = "_holdfast_staff_scope"


@dataclass(frozen=True, slots=True)
class StaffScope:
    """`shop_ids` is None for platform staff. Staff who are neither are members of nothing, and see nothing."""

    shop_ids: frozenset[str] | None

    @property
    def is_platform(self) -> bool:
        return self.shop_ids is None

    def sees(self, shop_id: str | None) -> bool:
        """Rows without a shop are the platform's."""
        return self.shop_ids is None or (shop_id is not None and shop_id in self.shop_ids)

    def sees_row(self, row: Model, path: str | None) -> bool:
        if self.shop_ids is None:
            return True
        return path is not None and self.sees(shop_id_of(row, path))

    def rows(self, rows: QuerySet[M], path: str | None) -> QuerySet[M]:
        """`rows` without those of other shops. `path` leads to the shop, see `path_to_shop`."""
        return rows if self.shop_ids is None else within_shops(rows, path, self.shop_ids)

    def choices(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """What a form may offer and accept of a related table."""
        return self.rows(rows, path_to_shop(rows.model))


EVERY_SHOP: Final = StaffScope(None)
"""For the platform's own entry points, which act for no member of staff."""


def staff_scope(user: User) -> StaffScope:
    """One query per request for members, none for owners: the answer is kept on the request's user."""
    kept: StaffScope | None = getattr(user, _KEPT, None)
    if kept is None:
        kept = StaffScope(_shops_of(user))
        setattr(user, _KEPT, kept)
    return kept


def _shops_of(user: User) -> frozenset[str] | None:
    if not user.is_active or not getattr(user, "is_staff", False):
        return frozenset()
    if getattr(user, "has_perm")(SEE_EVERY_SHOP):  # noqa: B009  AbstractBaseUser doesn't promise it
        return None
    return frozenset(Membership.objects.filter(user_id=user.pk, active=True).values_list("shop_id", flat=True))
