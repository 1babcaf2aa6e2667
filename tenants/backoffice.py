"""What every page of the back office is made from, and the only module that knows unfold.

Apps declare `class HoldAdmin(ModelAdmin[Hold])` with lists, columns and `reason_actions`; rules stay in their verbs.
Taking unfold out again means rewriting this file and templates/admin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.db.models import Model, QuerySet
from django.forms import BaseModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from unfold import admin as unfold_admin
from unfold import forms as unfold_forms
from unfold import widgets
from unfold.contrib.filters import admin as unfold_filters
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RangeDateTimeFilter
from unfold.enums import ActionVariant

from tenants import reasoned
from tenants.audit import record_audit
from tenants.desk_scope import ScopedAdmin, ScopedChoices, scope_of
from tenants.display import EMPTY, badge, duration, link_to, list_url, money, shop_time, time_left
from tenants.estimates import EstimatedPaginator
from tenants.reasoned import Mandate, ReasonAction, Refused, staff_actor
from tenants.scoping import path_to_shop

__all__ = [
    "ChoicesDropdownFilter",
    "GroupAdmin",
    "Mandate",
    "ModelAdmin",
    "RangeDateFilter",
    "RangeDateTimeFilter",
    "ReadOnlyAdmin",
    "ReadOnlyInline",
    "ReasonAction",
    "ReasonForm",
    "ReasonedEditsAdmin",
    "Refused",
    "RelatedDropdownFilter",
    "StackedInline",
    "TabularInline",
    "UserAdmin",
    "badge",
    "duration",
    "link_to",
    "list_url",
    "money",
    "shop_time",
    "staff_actor",
    "time_left",
    "widgets",
]

M = TypeVar("M", bound=Model)
Parent = TypeVar("Parent", bound=Model)

if TYPE_CHECKING:
    # unfold has no types; its classes extend Django's, whose stubs know what `[Hold]` means.
    _ModelAdmin = admin.ModelAdmin
    _TabularInline = admin.TabularInline
    _StackedInline = admin.StackedInline
    _ModelForm = forms.ModelForm[Any]
else:
    _ModelForm = forms.ModelForm

    class _Subscripted:
        def __class_getitem__(cls, item):
            return cls

    class _ModelAdmin(_Subscripted, unfold_admin.ModelAdmin):
        pass

    class _TabularInline(_Subscripted, unfold_admin.TabularInline):
        pass

    class _StackedInline(_Subscripted, unfold_admin.StackedInline):
        pass


class ReasonForm(forms.Form):
    """Asked before every action. Subclass it for actions that need more, such as a quantity; the reason comes last."""

    reason = forms.CharField(
        min_length=3,
        max_length=500,
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Kept in the audit trail.",
    )

    field_order: Sequence[str] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order_fields([name for name in self.fields if name != "reason"])


class RelatedDropdownFilter(unfold_filters.RelatedDropdownFilter):
    """Offers rows of one's own shops: the name of another shop is nobody else's business."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        scope = scope_of(request)
        if scope.shop_ids is None:
            return super().field_choices(field, request, model_admin)
        path = path_to_shop(field.remote_field.model)
        return field.get_choices(
            include_blank=False,
            ordering=self.field_admin_ordering(field, request, model_admin),
            limit_choices_to={f"{path}__in": scope.shop_ids} if path else {"pk__in": ()},
        )


class ModelAdmin(ScopedAdmin[M], _ModelAdmin[M]):
    """Lists that stay fast and within one's shops, nothing that deletes, and actions that ask for a reason."""

    reason_actions: Sequence[ReasonAction[M]] = ()
    reason_form: type[forms.Form] = ReasonForm
    empty_text = "Nothing here yet."
    """What a list says when it has no rows, in a sentence that tells what would put one there."""

    list_per_page = 50
    show_full_result_count = False
    paginator = EstimatedPaginator
    empty_value_display = EMPTY
    list_filter_submit = True
    warn_unsaved_form = True

    def __init__(self, model: type[M], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        names = []
        for action in self.reason_actions:
            names.append(name := f"act_{action.name}")
            setattr(self, name, self._detail_view(action))
        self.actions_detail = (*getattr(self, "actions_detail", ()), *names)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes here: rows are closed, released or expired by verbs, and history stays."""
        return False

    @admin.display(description="Shop")
    def shop_name(self, row: Any) -> str:
        """The column of lists whose rows are one shop's."""
        return link_to(row.shop)

    def get_urls(self) -> list[URLPattern]:
        meta = self.model._meta
        prefix = f"{meta.app_label}_{meta.model_name}"
        view = self.admin_site.admin_view
        return [
            path("act/<slug:name>/", view(self._act_view), name=f"{prefix}_act"),
            path("act/<slug:name>/<slug:nonce>/", view(self._outcome_view), name=f"{prefix}_outcome"),
            *super().get_urls(),
        ]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = dict(super().get_actions(request))
        for action in self.reason_actions:
            if reasoned.allowed(self, action, request):
                name = f"act_{action.name}"
                actions[name] = (self._list_action(action), name, action.label)
        return actions

    def get_unfold_action(self, action: str) -> Any:
        """unfold's hook: its templates fail on an action that has no variant."""
        built: Any = super().get_unfold_action(action)  # type: ignore[misc]
        built.variant = built.variant or ActionVariant.DEFAULT
        return built

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """unfold's hook: the buttons on the object's page, without those that this member of staff may not use."""
        hidden = {
            f"{self.model._meta.app_label}_{self.model._meta.model_name}_act_{action.name}"
            for action in self.reason_actions
            if not reasoned.allowed(self, action, request)
        }
        buttons: list[Any] = super().get_actions_detail(request, object_id)  # type: ignore[misc]
        return [button for button in buttons if button.action_name not in hidden]

    def _list_action(self, action: ReasonAction[M]) -> Callable[[Any, HttpRequest, QuerySet[M]], HttpResponse]:
        def ask(model_admin: Any, request: HttpRequest, rows: QuerySet[M]) -> HttpResponse:
            ids = [str(pk) for pk in rows.values_list("pk", flat=True)[: reasoned.MOST_ROWS + 1]]
            return reasoned.confirm(self, action, request, ids)

        return ask

    def _detail_view(self, action: ReasonAction[M]) -> Callable[..., HttpResponse]:
        def ask(request: HttpRequest, object_id: str) -> HttpResponse:
            row = self.get_object(request, object_id)
            if row is None:
                raise Http404
            return reasoned.confirm(self, action, request, [str(row.pk)])

        # What unfold reads from an action's function.
        vars(ask).update(
            short_description=action.label,
            url_path=f"act-{action.name}",
            attrs={},
            icon=None,
            variant=ActionVariant.DANGER if action.danger else ActionVariant.DEFAULT,
        )
        return ask

    def _action(self, name: str) -> ReasonAction[M]:
        for action in self.reason_actions:
            if action.name == name:
                return action
        raise Http404

    def _act_view(self, request: HttpRequest, name: str) -> HttpResponse:
        if request.method != "POST":
            raise Http404
        return reasoned.act(self, self._action(name), request)

    def _outcome_view(self, request: HttpRequest, name: str, nonce: str) -> HttpResponse:
        return reasoned.outcome(self, self._action(name), request, nonce)


class ReadOnlyAdmin(ModelAdmin[M]):
    """For append-only tables and for rows that only verbs may write: seen, searched, never edited."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class TabularInline(ScopedChoices[Any], _TabularInline[M, Parent]):
    extra = 0


class StackedInline(ScopedChoices[Any], _StackedInline[M, Parent]):
    extra = 0


class ReadOnlyInline(TabularInline[M, Parent]):
    """Rows of another table on an object's page, a page at a time so that a long history doesn't fill it."""

    can_delete = False
    per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReasonedModelForm(_ModelForm):
    reason_for_change = forms.CharField(
        min_length=3,
        max_length=500,
        label="Reason for change",
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Kept in the audit trail together with what changed.",
    )


class ReasonedEditsAdmin(ModelAdmin[M]):
    """A form that doesn't save without a reason, and writes who changed what, from what, to what, and why (O5)."""

    form = ReasonedModelForm
    audit_name = ""
    """The object's name in the trail: `host` gives the actions host.added and host.changed."""

    def audited_shop_id(self, row: M) -> str | None:
        """The shop whose trail the entry belongs to."""
        return getattr(row, "shop_id", None)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = list(super().get_fieldsets(request, obj))
        if not self._may_edit(request, obj):
            return [(name, self._without_reason(options)) for name, options in fieldsets]
        named = any("reason_for_change" in options["fields"] for _, options in fieldsets)
        return fieldsets if named else [*fieldsets, ("Why", {"fields": ("reason_for_change",)})]

    def save_model(self, request: HttpRequest, obj: M, form: BaseModelForm[M], change: bool) -> None:
        super().save_model(request, obj, form, change)
        self._record(request, obj, form, "changed" if change else "added", changes_of(form))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        for formset in formsets:
            for inline in formset.forms:
                if inline.has_changed():
                    name = formset.model._meta.model_name
                    self._record(request, form.instance, form, f"{name}_changed", changes_of(inline))

    def _may_edit(self, request: HttpRequest, obj: Any) -> bool:
        return self.has_change_permission(request, obj) if obj else self.has_add_permission(request)

    @staticmethod
    def _without_reason(options: Any) -> dict[str, Any]:
        return {**options, "fields": tuple(name for name in options["fields"] if name != "reason_for_change")}

    def _record(self, request: HttpRequest, row: M, form: Any, what: str, changes: dict[str, Any]) -> None:
        if not changes:
            return
        record_audit(
            shop_id=self.audited_shop_id(row),
            acting=staff_actor(request),
            action=f"{self.audit_name}.{what}",
            object_type=self.audit_name,
            object_id=row.pk,
            reason=form.cleaned_data["reason_for_change"],
            data={"changes": changes},
        )


def changes_of(form: Any) -> dict[str, list[str]]:
    """`{field: [before, after]}` of a validated form, without the reason and without what only reads differently."""
    pairs = {
        name: [shown(form.initial.get(name)), shown(form.cleaned_data.get(name))]
        for name in form.changed_data
        if name not in {"reason_for_change", "DELETE"}
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def shown(value: Any) -> str:
    if isinstance(value, Model):
        return str(value.pk)
    return "" if value is None else str(value)


class UserAdmin(auth_admin.UserAdmin, ModelAdmin[Any]):  # type: ignore[type-arg, misc]
    """Django's own, in unfold's forms. Accounts are switched off, not deleted: the audit trail names them."""

    # Accounts are the platform's; which shops one works for is said on the shop's page.
    shop_path = None

    form = unfold_forms.UserChangeForm
    add_form = unfold_forms.UserCreationForm
    change_password_form = unfold_forms.AdminPasswordChangeForm

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may edit accounts may still not take over one that can do more."""
        if getattr(obj, "is_superuser", False) and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else (*fields, "is_superuser", "groups", "user_permissions")


class GroupAdmin(auth_admin.GroupAdmin, ModelAdmin[Any]):
    shop_path = None
