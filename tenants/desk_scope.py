"""What keeps a back office page within the shops of whoever looks at it. The base classes in tenants/backoffice.py
are made from it, so that a new page is scoped without doing anything but naming its path to the shop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from django import forms
from django.contrib import admin
from django.core import checks
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db.models import Model, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest

from tenants.scoping import SHOP, is_shop
from tenants.staff import StaffScope, staff_scope

M = TypeVar("M", bound=Model)

UNDECLARED: Final = "?"

if TYPE_CHECKING:
    _Options = admin.options.BaseModelAdmin
    _Admin = admin.ModelAdmin
else:

    class _Options:
        def __class_getitem__(cls, item):
            return cls

    _Admin = _Options


def scope_of(request: HttpRequest) -> StaffScope:
    return staff_scope(request.user)


class ScopedChoices(_Options[M]):
    """Relations of a form: only rows of one's own shops are offered, and only those are accepted."""

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return self._narrow(super().formfield_for_foreignkey(db_field, request, **kwargs), request)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return self._narrow(super().formfield_for_manytomany(db_field, request, **kwargs), request)

    @staticmethod
    def _narrow(field: Any, request: HttpRequest) -> Any:
        if field is not None and getattr(field, "queryset", None) is not None:
            field.queryset = scope_of(request).choices(field.queryset)
        return field


class ScopedAdmin(ScopedChoices[M], _Admin[M]):
    """Lists, pages, searches, actions and permissions of one's own shops alone."""

    shop_path: str | None = UNDECLARED
    """The lookup from a row to its shop, such as `shop`. None: the table is the platform's, and members don't see it.
    A page that says neither is a failed system check and is treated as the platform's.
    """

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A row without a shop is the platform's: members are asked for one, rather than refused when they save."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and db_field.name == self._path and not scope_of(request).is_platform:
            field.required = True
            field.error_messages["required"] = "Choose one of your shops: what belongs to none is the platform's."
        return field

    def in_scope(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether this member of staff sees `obj`, or without one whether there is anything to see here."""
        scope = scope_of(request)
        if scope.is_platform:
            return True
        if self._path is None or not scope.shop_ids:
            return False
        return obj is None or scope.sees_row(obj, self._path)

    @property
    def _path(self) -> str | None:
        return None if self.shop_path == UNDECLARED else self.shop_path

    def get_queryset(self, request: HttpRequest) -> QuerySet[M]:
        return scope_of(request).rows(super().get_queryset(request), self._path)

    def has_view_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return super().has_view_permission(request, obj) and self.in_scope(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return super().has_change_permission(request, obj) and self.in_scope(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self.in_scope(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and self.in_scope(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) and self.in_scope(request)

    def get_form(self, request: HttpRequest, obj: M | None = None, change: bool = False, **kwargs: Any) -> Any:
        return self.narrowed(super().get_form(request, obj, change, **kwargs), request)

    def narrowed(self, form: type[forms.BaseForm], request: HttpRequest) -> type[forms.BaseForm]:
        """`form` with the choices that it declares itself narrowed too. For those who build a form of their own."""
        scope = scope_of(request)
        declared = getattr(form, "declared_fields", {}).values()
        if scope.is_platform or not any(isinstance(field, forms.ModelChoiceField) for field in declared):
            return form

        class Narrowed(form):  # type: ignore[misc, valid-type]
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                for field in self.fields.values():
                    if isinstance(field, forms.ModelChoiceField) and field.queryset is not None:
                        field.queryset = scope.choices(field.queryset)

        return Narrowed

    def save_model(self, request: HttpRequest, obj: M, form: Any, change: bool) -> None:
        """The last line: whatever a form let through, nothing is saved for a shop that isn't one's own, or for none."""
        if not self.in_scope(request, obj):
            raise PermissionDenied
        super().save_model(request, obj, form, change)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        return [*super().check(**kwargs), *path_errors(self.model, self.shop_path, type(self))]


def path_errors(model: type[Model], path: str | None, where: type[Any]) -> list[checks.CheckMessage]:
    """A page whose path to the shop is missing or leads elsewhere."""
    if path is None or _reaches_shop(model, path):
        return []
    return [
        checks.Error(
            f"{where.__name__} doesn't say how a {model._meta.verbose_name} finds its shop: shop_path is {path!r}.",
            hint="Set shop_path to a lookup such as 'shop' or 'owner__shop', or to None for a table of the platform.",
            obj=where,
            id="tenants.E001",
        )
    ]


def _reaches_shop(model: type[Model], path: str) -> bool:
    if is_shop(model):
        return path == "pk"
    found: Any = model
    for name in path.split(LOOKUP_SEP):
        try:
            found = found._meta.get_field(name).related_model
        except (FieldDoesNotExist, AttributeError):
            return False
    return bool(found) and found._meta.label_lower == SHOP
