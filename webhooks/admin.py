"""The inbox for staff: events, dead letters, replay. Registers the order's page, whose story ends in events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from checkout.admin import CheckoutOrderAdmin
from commerce.admin import stripe_links
from commerce.admin.asking import NoReasonForm
from commerce.admin.display import User, document, may_view, mono, pairs, panel, reader_link, shop_moment, shortened
from commerce.admin.lists import KeySearch, LastingFilter, saved_view
from commerce.admin.timeline import Moment, Step
from commerce.models import Order
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    ReasonAction,
    ReasonForm,
    Refused,
    RelatedDropdownFilter,
    badge,
    link_to,
    list_url,
    time_left,
    widgets,
)
from tenants.desk_scope import scope_of
from tenants.display import EMPTY, Tone
from tenants.errors import HoldfastError
from tenants.models import Shop, ShopCredential
from tenants.staff import StaffScope, staff_scope
from webhooks import cursor_admin as cursor_admin  # registers its page
from webhooks import finding_admin as finding_admin  # registers its page
from webhooks.dead_letters import REPLAYABLE, Replay, associate_event, replay_event
from webhooks.dispatch import HANDLERS
from webhooks.dissociation_admin import TAKE_BACK
from webhooks.masking import masked, masked_text
from webhooks.models import EventDelivery, StripeEvent
from webhooks.rehearsal import rehearse_event

Status = StripeEvent.Status

STATUS_TONES: dict[str, Tone] = {
    Status.PROCESSED: "good",
    Status.FAILED: "warn",
    Status.DEAD: "bad",
    Status.RECEIVED: "info",
    Status.PROCESSING: "info",
}
# Characters. Longer ones are read on the event's own page.
ERROR_IN_LIST, ID_IN_LIST = 48, 18
MOST_EVENTS = 100


class StillUnprocessed(HoldfastError):
    """The replay took place, and left the event where it was."""

    code = "wrong_state"


class TypeFilter(LastingFilter):
    """The types that are handled, from the code: the table's own distinct values would be a read of all of it."""

    title = "type"
    parameter_name = "of"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((name, name) for name in HANDLERS), ("other", "Other, ignored")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[StripeEvent]) -> QuerySet[StripeEvent]:
        if self.value() == "other":
            return queryset.exclude(type__in=list(HANDLERS))
        return queryset.filter(type=self.value()) if self.value() else queryset


class AccountFilter(LastingFilter):
    """The accounts that are known to this platform, its own first."""

    title = "account"
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        own = scope_of(request).rows(ShopCredential.objects.all(), "shop")
        accounts = dict.fromkeys([settings.STRIPE_ACCOUNT, *own.order_by("account").values_list("account", flat=True)])
        return [(account, account) for account in accounts]

    def queryset(self, request: HttpRequest, queryset: QuerySet[StripeEvent]) -> QuerySet[StripeEvent]:
        return queryset.filter(account=self.value()) if self.value() else queryset


class DeliveryInline(ReadOnlyInline[EventDelivery, StripeEvent]):
    model = EventDelivery
    fields = ("received", "host", "host_shop", "outcome", "request_id")
    readonly_fields = fields
    hide_title = True
    verbose_name_plural = "Deliveries"

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventDelivery]:
        rows = super().get_queryset(request).filter(seen_by(scope_of(request)))
        return rows.select_related("host_shop", "event__shop__settings").defer("event__payload")

    @admin.display(description="Received")
    def received(self, delivery: EventDelivery) -> str:
        return shop_moment(delivery.event.shop, delivery.received_at)


def seen_by(scope: StaffScope) -> Q:
    """Deliveries that staff may see of an event that they may see. Stripe may deliver on any host: what came in on
    another shop's is for the platform to look into.
    """
    return Q() if scope.shop_ids is None else Q(host_shop=None) | Q(host_shop__in=scope.shop_ids)


def plan_replay(event: StripeEvent) -> str | Refused:
    if event.status not in REPLAYABLE:
        return Refused(f"It is {event.get_status_display().lower()}: there is nothing to replay.")
    why = f" Last time: {masked_text(event.error)}" if event.error else ""
    return f"Its shop is looked up again, then it is handled as if it had just arrived.{why}"


def replay(event: StripeEvent, mandate: Mandate) -> str:
    outcome = replay_event(event_pk=event.pk, scope=mandate.scope, reason=mandate.reason, acting=mandate.acting)
    if outcome.outcome in {"dead", "deferred"}:
        raise StillUnprocessed(said(outcome))
    return said(outcome)


class AssociateForm(ReasonForm):
    """Whose the event's object is. Its choices are one's own shops."""

    shop = forms.ModelChoiceField(
        Shop.objects.order_by("name"),
        widget=widgets.UnfoldAdminSelectWidget,
        help_text="Later events about the same object are this shop's too. Until one is processed it can be undone.",
    )


def plan_association(event: StripeEvent) -> str | Refused:
    if event.status != Status.DEAD or event.shop_id is not None:
        return Refused("Only dead letters that no shop could be found for can be given to one.")
    return f"{event.object_id or 'Its object'} becomes the chosen shop's, and the event is handled at once."


def associate(event: StripeEvent, mandate: Mandate) -> str:
    outcome = associate_event(
        event_pk=event.pk,
        shop_id=mandate.fields["shop"].pk,
        scope=mandate.scope,
        reason=mandate.reason,
        acting=mandate.acting,
    )
    if outcome.outcome in {"dead", "deferred"}:
        raise StillUnprocessed(f"It is {outcome.shop_id}'s now. {said(outcome)}")
    return said(outcome)


def rehearse(event: StripeEvent, mandate: Mandate) -> str:
    return rehearse_event(event_pk=event.pk, scope=mandate.scope)


def said(outcome: Replay) -> str:
    shop = f" for {outcome.shop_id}" if outcome.shop_id else ""
    why = f" {masked_text(outcome.reason)}" if outcome.reason else ""
    return {
        "processed": f"Processed{shop}.",
        "processing": f"Another process is handling it{shop}.",
        "deferred": f"Failed again{shop}, and will be retried by itself.{why}",
        "dead": f"Still a dead letter{shop}.{why}",
        "ignored": f"Ignored.{why}",
    }[outcome.outcome]


@admin.register(StripeEvent)
class StripeEventAdmin(KeySearch[StripeEvent], ReadOnlyAdmin[StripeEvent]):
    shop_path = "shop"
    list_display = (
        "event_id", "type", "state", "error_short", "shop_name", "object_short", "received", "attempts", "next_attempt",
        "account_and_mode",
    )  # fmt: skip
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("shop", RelatedDropdownFilter),
        TypeFilter,
        AccountFilter,
        "other_version",
        ("received_at", RangeDateTimeFilter),
    )
    search_fields = ("event_id", "object_id")
    search_help_text = "evt_…, or its object: cs_…, pi_…, ch_…"
    ordering = ("-received_at",)
    sortable_by = ("received",)
    actions_list = ("dead_letters", "unplaced", "other_versions")
    dead_letters = saved_view("Dead letters", "status__exact=dead", name="dead")
    unplaced = saved_view("Of no known shop", "status__exact=dead&shop__isnull=True", name="unplaced")
    other_versions = saved_view("Other API version", "other_version__exact=1", name="version")
    empty_text = "No event has come in yet. Stripe sends them to /api/stripe-webhook."
    inlines = (DeliveryInline,)
    reason_actions = (
        ReasonAction(
            name="replay",
            label="Replay",
            plan=plan_replay,
            verb=replay,
            permission="webhooks.change_stripeevent",
            help="Received, failed and dead events can be replayed. What they say is read from Stripe anew.",
        ),
        ReasonAction(
            name="rehearse",
            label="Dry run",
            plan=lambda event: "Stripe is asked, and you are told what a replay would do. Nothing is written.",
            verb=rehearse,
            permission="webhooks.change_stripeevent",
            help="Harmless: nothing is written.",
            form=NoReasonForm,
        ),
        ReasonAction(
            name="associate",
            label="Associate with a shop",
            plan=plan_association,
            verb=associate,
            permission="webhooks.change_stripeevent",
            help="For dead letters whose object is no known shop's. Who said so, when and why is kept.",
            form=AssociateForm,
        ),
        TAKE_BACK,
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[StripeEvent]:
        return super().get_queryset(request).select_related("shop__settings").defer("payload")

    def key(self, term: str) -> Q:
        return Q(event_id=term) if term.startswith("evt_") else Q(object_id=term)

    def get_fieldsets(self, request: HttpRequest, obj: StripeEvent | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        event = obj
        return [
            (None, {"fields": ("state", "type", "reason", "shop_name", "resolved_by", "attempts", "next_attempt")}),
            ("Times", {"fields": ("happened", "received", "processed")}),
            panel("Behind it", lambda: pairs(self.behind(event, request.user))),
            panel("Payload, without secrets and personal data", lambda: document(masked(event.payload))),
        ]

    def behind(self, event: StripeEvent, reader: User) -> list[tuple[str, object]]:
        def at_stripe(object_id: str) -> str:
            return stripe_links.stripe_link(object_id, account=event.account, livemode=event.livemode)

        return [
            ("Order", reader_link(reader, order_of(event))),
            ("Event", at_stripe(event.event_id)),
            ("Object", at_stripe(event.object_id)),
            ("Account", f"{event.account}, {'live' if event.livemode else 'test'} mode"),
            ("API version", self.version(event)),
            ("Request id", mono(event.request_id)),
        ]

    @staticmethod
    def version(event: StripeEvent) -> str:
        shown = mono(event.api_version)
        told = badge(f"not the {settings.STRIPE_API_VERSION} that is read here", "warn")
        return format_html("{} {}", shown, told) if event.other_version else shown

    @admin.display(description="Status")
    def state(self, event: StripeEvent) -> str:
        return badge(event.get_status_display(), STATUS_TONES.get(event.status, "plain"))

    @admin.display(description="Account")
    def account_and_mode(self, event: StripeEvent) -> str:
        live = badge("live", "warn") if event.livemode else ""
        version = badge(f"API {event.api_version or 'unknown'}", "warn") if event.other_version else ""
        return format_html("{} {} {}", event.account, live, version)

    @admin.display(description="Received", ordering="received_at")
    def received(self, event: StripeEvent) -> str:
        return format_html('<span class="whitespace-nowrap">{}</span>', shop_moment(event.shop, event.received_at))

    @admin.display(description="Happened at Stripe")
    def happened(self, event: StripeEvent) -> str:
        return shop_moment(event.shop, event.created_at)

    @admin.display(description="Processed")
    def processed(self, event: StripeEvent) -> str:
        return shop_moment(event.shop, event.processed_at)

    @admin.display(description="Next attempt")
    def next_attempt(self, event: StripeEvent) -> str:
        return time_left(event.next_attempt_at)

    @admin.display(description="Object")
    def object_short(self, event: StripeEvent) -> str:
        """Sessions and payments lead to their orders: by a search, so that a page of events needs no query for it."""
        shown = shortened(event.object_id, ID_IN_LIST)
        url = list_url(Order, urlencode({"q": event.object_id}))
        if url is None or not event.object_id.startswith(("cs_", "pi_")):
            return shown
        return format_html('<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', url, shown)

    @admin.display(description="Error")
    def error_short(self, event: StripeEvent) -> str:
        return format_html(
            '<span class="whitespace-nowrap">{}</span>', shortened(masked_text(event.error), ERROR_IN_LIST)
        )

    @admin.display(description="Reason")
    def reason(self, event: StripeEvent) -> str:
        return masked_text(event.error) or EMPTY


def order_of(event: StripeEvent) -> Order | None:
    """The order that an event is about: by its session, else by the order that its metadata names in its own shop."""
    if event.shop_id is None:
        return None
    orders = Order.objects.for_shop(event.shop_id)
    event_object = event.payload["data"]["object"]
    if event.object_id.startswith("cs_"):
        found = orders.filter(stripe_account=event.account, session_id=event.object_id).first()
        if found is not None:
            return found
    metadata = event_object.get("metadata")
    try:
        named = UUID(str(metadata.get("order_id"))) if isinstance(metadata, Mapping) else None
    except ValueError:
        named = None
    return orders.filter(pk=named).first() if named else None


@admin.register(Order)
class OrderDesk(CheckoutOrderAdmin):
    """The whole page. Here, because no app to the left may know events."""

    def story(self, order: Order, reader: User) -> list[Moment]:
        moments = super().story(order, reader)
        refunds = order.refunds.values_list("refund_id", flat=True)
        objects = [value for value in (order.session_id, order.payment_intent_id, order.charge_id, *refunds) if value]
        if not objects or not may_view(reader, StripeEvent):
            return moments
        scope = staff_scope(reader)
        deliveries = Prefetch("deliveries", EventDelivery.objects.filter(seen_by(scope)).order_by("id"))
        events = (
            # An event that no shop could be found for is the platform's to see, and says why.
            scope.rows(StripeEvent.objects.filter(account=order.stripe_account, object_id__in=objects), "shop")
            .defer("payload")
            .prefetch_related(deliveries)
            .order_by("received_at")[:MOST_EVENTS]
        )
        return [*moments, *(moment for event in events for moment in told_by(event))]


def told_by(event: StripeEvent) -> list[Moment]:
    """Every delivery of an event; what failed says why."""
    trouble = f" – {masked_text(event.error)}" if event.error else ""
    return [
        Moment(
            delivery.received_at,
            Step.EVENT,
            format_html("{}{}", "Again: " if number else "", link_to(event, event.type)),
            f"{delivery.outcome} on {delivery.host}{'' if number else trouble}",
        )
        for number, delivery in enumerate(event.deliveries.all())
    ]
