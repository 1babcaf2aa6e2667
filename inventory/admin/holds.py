"""Holds: whose units are set aside, until when, and ending them by the same rules as everybody."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join

from inventory.errors import HoldInCheckout
from inventory.holds import MAX_TTL_SECONDS, MIN_TTL_SECONDS, HoldState, commit_hold, extend_hold, release_hold
from inventory.models import Hold, HoldItem
from inventory.release_guard import release_guard
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    ReadOnlyAdmin,
    ReadOnlyInline,
    ReasonAction,
    ReasonForm,
    Refused,
    RelatedDropdownFilter,
    badge,
    duration,
    link_to,
    shop_time,
    time_left,
    widgets,
)
from tenants.display import EMPTY, Tone

HOLD_TONES: dict[str, Tone] = {"active": "info", "committed": "good", "released": "plain", "expired": "warn"}


class ExtendForm(ReasonForm):
    ttl_seconds = forms.IntegerField(
        label="Seconds from now",
        min_value=MIN_TTL_SECONDS,
        max_value=MAX_TTL_SECONDS,
        initial=1200,
        widget=widgets.UnfoldAdminIntegerFieldWidget(),
    )


def _may_finish(hold: Hold) -> Refused | None:
    """Why release and commit would be refused, if they would."""
    if hold.status != Hold.Status.ACTIVE:
        return Refused(f"It is {hold.status} already.")
    try:
        release_guard().refuse_finish(shop_id=hold.shop_id, hold_id=hold.pk, held_for=hold.held_for)
    except HoldInCheckout as owned:
        return Refused(owned.detail)
    return None


def _release_plan(hold: Hold) -> str | Refused:
    return _may_finish(hold) or f"{_units(hold)} go back on sale at once."


def _commit_plan(hold: Hold) -> str | Refused:
    return _may_finish(hold) or f"{_units(hold)} leave the stock as sold."


def _extend_plan(hold: Hold) -> str | Refused:
    if hold.status != Hold.Status.ACTIVE:
        return Refused(f"It is {hold.status} already.")
    return f"Held until {shop_time(hold.expires_at)}; from then on as long from now as you enter."


def _ended(state: HoldState) -> str:
    return f"Now {state.status}." if state.changed else f"It was {state.status} already."


def _release(hold: Hold, mandate: Mandate) -> str:
    return _ended(release_hold(shop_id=hold.shop_id, hold_id=hold.pk, reason=mandate.reason, acting=mandate.acting))


def _commit(hold: Hold, mandate: Mandate) -> str:
    return _ended(commit_hold(shop_id=hold.shop_id, hold_id=hold.pk, reason=mandate.reason, acting=mandate.acting))


def _extend(hold: Hold, mandate: Mandate) -> str:
    state = extend_hold(
        shop_id=hold.shop_id,
        hold_id=hold.pk,
        ttl_seconds=mandate.fields["ttl_seconds"],
        acting=mandate.acting,
        reason=mandate.reason,
    )
    return f"Held until {shop_time(state.expires_at)}."


def _units(hold: Hold) -> str:
    """`3 × HB#size:M, 1 × CAP`. Reads the items with their rows."""
    return ", ".join(f"{item.quantity} × {item.stock_row.variant_key}" for item in hold.items.all())


class HoldItemInline(ReadOnlyInline[HoldItem, Hold]):
    model = HoldItem
    fields = readonly_fields = ("stock_row", "quantity")
    ordering = ("pk",)


class OverdueFilter(admin.SimpleListFilter):
    title = "time"
    parameter_name = "time"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("overdue", "Overdue")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Hold]) -> QuerySet[Hold]:
        if self.value() == "overdue":
            return queryset.filter(status=Hold.Status.ACTIVE, expires_at__lte=timezone.now())
        return queryset


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin[Hold]):
    shop_path = "shop"
    list_display = ("id", "shop_id", "state", "held_for", "age", "time_left", "items_held")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("held_for", ChoicesDropdownFilter),
        ("shop", RelatedDropdownFilter),
        OverdueFilter,
    )
    search_fields = ("id__exact", "active_idempotency_key__exact")
    search_help_text = "A whole hold id, or the key of a hold that counts"
    # Ids are UUIDs of version 7: in order of creation, and the primary key is the index for it.
    ordering = ("-id",)
    sortable_by = ("id",)
    fields = (
        ("id", "shop"),
        ("state", "held_for", "time_left"),
        "behind",
        "idempotency_key",
        ("created_at", "ttl_seconds", "expires_at"),
        ("finished_at", "finished_by", "finish_reason"),
        "request_id",
    )
    readonly_fields = ("state", "time_left", "behind")
    inlines = (HoldItemInline,)
    empty_text = "No hold yet. The first checkout places one."
    reason_actions = (
        ReasonAction(
            name="release",
            label="Release",
            plan=_release_plan,
            verb=_release,
            permission="inventory.change_hold",
            danger=True,
            help="Gives the units back. A hold that a checkout owns ends with its checkout.",
        ),
        ReasonAction(
            name="extend",
            label="Extend",
            plan=_extend_plan,
            verb=_extend,
            permission="inventory.change_hold",
            form=ExtendForm,
        ),
        ReasonAction(
            name="commit",
            label="Commit as sold",
            plan=_commit_plan,
            verb=_commit,
            permission="inventory.change_hold",
            danger=True,
            help="Turns the hold into a sale. Take the money first.",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Hold]:
        return super().get_queryset(request).prefetch_related("items__stock_row")

    @admin.display(description="State", ordering="status")
    def state(self, hold: Hold) -> str:
        return badge(Hold.Status(hold.status).label, HOLD_TONES[hold.status])

    @admin.display(description="Age")
    def age(self, hold: Hold) -> str:
        return duration(max(0.0, (timezone.now() - hold.created_at).total_seconds()))

    @admin.display(description="Time left")
    def time_left(self, hold: Hold) -> str:
        return time_left(hold.expires_at) if hold.status == Hold.Status.ACTIVE else EMPTY

    @admin.display(description="Items")
    def items_held(self, hold: Hold) -> str:
        return _units(hold)

    @admin.display(description="Behind it")
    def behind(self, hold: Hold) -> str:
        """Whatever refers to this hold, such as its order: inventory knows none of them by name."""
        found: list[tuple[str]] = []
        for relation in Hold._meta.related_objects:
            row: Model | None = getattr(hold, relation.get_accessor_name() or "", None) if relation.one_to_one else None
            if row is not None:
                found.append((link_to(row, f"{row._meta.verbose_name} {row.pk}"),))
        return format_html_join(", ", "{}", found) or EMPTY
