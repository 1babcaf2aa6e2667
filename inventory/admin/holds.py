"""Holds: whose units are set aside, until when, and ending them by the same rules as everybody."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from inventory.admin.bookings import HoldPeriodInline
from inventory.admin.standing import behind, session, stories_of, then
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
    time_left,
    widgets,
)
from tenants.display import EMPTY, Tone
from tenants.panels import User, mono, pairs, panel, shop_moment

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
    story = stories_of([hold.pk]).get(hold.pk)
    bound = f", but not beyond {shop_moment(hold.shop, story.latest)}" if story and story.latest else ""
    return (
        f"{_units(hold)} stay held for as long from now as you enter{bound}, instead of until "
        f"{shop_moment(hold.shop, hold.expires_at)}."
    )


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
    return f"Held until {shop_moment(hold.shop, state.expires_at)}."


def _units(hold: Hold) -> str:
    """`3 × HB#size:M, 1 × CAP`, with the days of a rental. Reads the items and periods with their rows."""
    units = [f"{item.quantity} × {item.variant_key}" for item in hold.items.all()]
    days = [f"{p.quantity} × {p.stock_row.variant_key}, {p.starts} to {p.ends}" for p in hold.periods.all()]
    return ", ".join(units) or "; ".join(days)


class HoldItemInline(ReadOnlyInline[HoldItem, Hold]):
    model = HoldItem
    hide_title = True
    fields = readonly_fields = ("quantity", "row", "source")
    ordering = ("pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[HoldItem]:
        return super().get_queryset(request).select_related("stock_row", "route")

    @admin.display(description="Of")
    def row(self, item: HoldItem) -> str:
        """Its row where that is the shop's own: a pool's is the platform's to see, the route is the shop's."""
        return link_to(item.stock_row) if item.route is None else link_to(item.route, item.variant_key)

    @admin.display(description="From")
    def source(self, item: HoldItem) -> str:
        return "Own stock" if item.route is None else item.route.pool_id


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
    readonly_fields = ("state", "age", "time_left", "created", "ends", "finished", "lives", "shop_name")
    inlines = (HoldItemInline, HoldPeriodInline)
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
        return (
            super()
            .get_queryset(request)
            .select_related("shop__settings")
            .prefetch_related("items__stock_row", "items__route", "periods__stock_row")
        )

    def get_inlines(self, request: HttpRequest, obj: Hold | None) -> Any:
        """A hold has units for good or for days, never both."""
        if obj is None:
            return self.inlines
        return [HoldPeriodInline if obj.periods.exists() else HoldItemInline]

    def get_fieldsets(self, request: HttpRequest, obj: Hold | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        hold = obj
        active = ("age", "time_left", "ends", "lives")
        ended = ("finished", "finished_by", "finish_reason")
        shown = active if hold.status == Hold.Status.ACTIVE else ended
        return [
            (None, {"fields": ("state", "held_for", "shop_name", "created", *shown)}),
            panel("Behind it", lambda: pairs(self.behind(hold, request.user))),
        ]

    def behind(self, hold: Hold, reader: User) -> list[tuple[str, object]]:
        """What the release guard knows of it, and its keys."""
        story = stories_of([hold.pk]).get(hold.pk)
        found: list[tuple[str, object]] = [("Belongs to", behind(story, reader))]
        if story is not None:
            found.append(("Payment session", session(story)))
        if hold.status == Hold.Status.ACTIVE:
            found.append(("When its time is up", then(story)))
        return [
            *found,
            ("Idempotency key", mono(hold.idempotency_key)),
            ("Request id", mono(hold.request_id)),
            ("Hold id", mono(hold.pk)),
        ]

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

    @admin.display(description="Placed")
    def created(self, hold: Hold) -> str:
        return shop_moment(hold.shop, hold.created_at)

    @admin.display(description="Time is up")
    def ends(self, hold: Hold) -> str:
        return shop_moment(hold.shop, hold.expires_at)

    @admin.display(description="Asked for")
    def lives(self, hold: Hold) -> str:
        return duration(hold.ttl_seconds)

    @admin.display(description="Ended")
    def finished(self, hold: Hold) -> str:
        return shop_moment(hold.shop, hold.finished_at)
