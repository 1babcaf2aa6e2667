"""Rentals: what goes out, what comes back, what is late, and what to do next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from commerce.admin.asking import asked_for
from commerce.admin.day_sheet import day_sheet
from commerce.admin.display import User, pairs, panel, reader_link, shop_amount, shop_moment, table
from commerce.admin.lists import NOTHING, KeySearch, LastingFilter, as_uuid, saved_view
from commerce.admin.rental_page import PERMISSION, rental_page
from commerce.admin.rental_words import (
    LABELS,
    STEPS,
    TONES,
    days_late,
    deposit_on_card,
    next_step,
    told_sources,
    told_units,
)
from commerce.models import Order, Refund, Rental, RentalEvent, RentalUnits
from commerce.rentals.cases import RentalCommand
from commerce.rentals.life import handle_rental
from commerce.rentals.periods import zone_today
from commerce.returns.models import CAME_BACK
from inventory.models import Hold, StockRow
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    RangeDateFilter,
    ReadOnlyAdmin,
    ReasonAction,
    Refused,
    RelatedDropdownFilter,
    badge,
)
from tenants.display import EMPTY
from tenants.models import ShopSettings

Action, Status = RentalEvent.Action, Rental.Status
LISTED = 200


class DayFilter(LastingFilter):
    """By the calendar of each rental's own shop."""

    title = "day"
    parameter_name = "day"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("out", "Going out today"), ("back", "Due back today"), ("overdue", "Overdue"),
            ("picked", "Picked up today"), ("danger", "Endangers later bookings"),
        ]  # fmt: skip

    def queryset(self, request: HttpRequest, queryset: QuerySet[Rental]) -> QuerySet[Rental]:
        wanted = self.value()
        if wanted == "danger":
            return queryset.filter(endangered__gt=0)
        return queryset.filter(on_the_day(wanted)) if wanted in _DAYS else queryset


_DAYS: dict[str, Callable[[str], Q]] = {
    "out": lambda zone: Q(next_out_on__lte=zone_today(zone), ends_on__gte=zone_today(zone)),
    "back": lambda zone: Q(next_due_on=zone_today(zone)),
    "overdue": lambda zone: Q(next_due_on__lt=zone_today(zone)),
    "picked": lambda zone: Q(handed_out_at__gte=datetime.combine(zone_today(zone), time(), tzinfo=ZoneInfo(zone))),
}


def on_the_day(wanted: str) -> Q:
    """The rentals of one of the day's filters, such as `overdue`.

    One branch per time zone that a renting shop has: days are the shop's.
    """
    rents = ShopSettings.objects.filter(kind=ShopSettings.Kind.RENTAL)
    zones = list(rents.order_by().values_list("time_zone", flat=True).distinct())
    found = NOTHING
    for zone in zones:
        found |= Q(shop__settings__time_zone=zone) & _DAYS[wanted](zone)
    return found


def _bulk(action: str, help_text: str) -> ReasonAction[Rental]:
    """A step for all of each rental. In parts it is done on the rental's page."""

    def plan(rental: Rental) -> str | Refused:
        if action not in STEPS[Status(rental.status)]:
            return Refused(f"It is {rental.get_status_display().lower()}: {next_step(rental)}")
        return next_step(rental)

    def verb(rental: Rental, mandate: Mandate) -> str:
        command = RentalCommand(rental_id=rental.pk, action=action, key=f"staff:{uuid4()}", note=mandate.reason)
        done = asked_for(rental.shop_id, lambda shop: handle_rental(shop=shop, command=command, acting=mandate.acting))
        return f"{done.get_status_display()}."

    return ReasonAction(
        name=action, label=LABELS[action], plan=plan, verb=verb, permission=PERMISSION, help=help_text,
        danger=action == Action.CLOSE,
    )  # fmt: skip


@admin.register(Rental)
class RentalAdmin(KeySearch[Rental], ReadOnlyAdmin[Rental]):
    shop_path = "shop"
    list_display = ("number", "shop_name", "state", "period", "next_day", "units", "customer", "flags")
    list_filter = (
        DayFilter,
        ("shop", RelatedDropdownFilter),
        ("status", ChoicesDropdownFilter),
        ("source", ChoicesDropdownFilter),
        ("starts_on", RangeDateFilter),
    )
    search_fields = ("order__number", "order__email")
    search_help_text = "Order number, e-mail, order or hold id"
    ordering = ("-id",)
    sortable_by = ("number",)
    empty_text = "No rental yet. A confirmed order of a shop that rents out begins one."
    actions_list = ("today", "overdue_ones")
    overdue_ones = saved_view("Overdue", "day=overdue", name="overdue")
    actions_detail = ("handle",)
    reason_actions = (
        _bulk(Action.HAND_OUT, "All units whose period has begun go to the customer."),
        _bulk(Action.RETURN, "All units that are out are here again; lateness is counted by the day."),
        _bulk(Action.INSPECT, "What came back has been looked at."),
        _bulk(Action.CLOSE, "What is left of the deposit goes back to the customer."),
    )

    def today(self, request: HttpRequest) -> HttpResponse:
        """The day sheet: one shop's day, to read and to print."""
        return day_sheet(self, request)

    vars(today).update(short_description="Today", url_path="today", attrs={}, icon=None, variant="default")

    def handle(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The button that leads to a page of its own: what is done is chosen there, by line."""
        return rental_page(self, request, object_id)

    vars(handle).update(short_description="Next step", url_path="handle", attrs={}, icon=None, variant="primary")

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """One button: the steps in bulk are the list's."""
        buttons = super().get_actions_detail(request, object_id)
        usable = request.user.has_perm(PERMISSION) and self._has_steps(request, object_id)
        return [button for button in buttons if usable and button.action_name.endswith("_handle")]

    def _has_steps(self, request: HttpRequest, object_id: str) -> bool:
        found = self.get_queryset(request).filter(Q(pk=as_uuid(object_id))).values_list("status", flat=True).first()
        return bool(found and STEPS[Status(found)])

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rental]:
        rows = super().get_queryset(request).select_related("shop__settings", "order").prefetch_related("lines")
        return rows.annotate(has_refund_back=Exists(Refund.objects.filter(CAME_BACK, order_id=OuterRef("order_id"))))

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("-id",)

    def key(self, term: str) -> Q:
        if "@" in term:
            return Q(order__email__in={term, term.lower()})
        if (known := as_uuid(term)) is not None:
            # A rental's id is its order's; an "or" over both tables would read one of them from end to end.
            return Q(pk__in=Order.objects.filter(Q(pk=known) | Q(hold_id=known)).values("pk"))
        number = term.removeprefix("#")
        return Q(order__number=number) if number.isascii() and number.isdecimal() else NOTHING

    def get_fieldsets(self, request: HttpRequest, obj: Rental | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        rental, reader = obj, request.user
        return [
            (None, {"fields": ("number", "state", "what_next", "shop_name", "period", "source")}),
            panel("Units", lambda: _units(rental)),
            panel("Money", lambda: pairs(_money(rental, reader))),
            panel("Behind it", lambda: pairs(_behind(rental, reader))),
            panel("History", lambda: history(rental)),
        ]

    # ---------------------------------------------------------------- columns and fields
    @admin.display(description="Order", ordering="id")
    def number(self, rental: Rental) -> str:
        return rental.order.number

    @admin.display(description="Status")
    def state(self, rental: Rental) -> str:
        return badge(rental.get_status_display(), TONES[rental.status])

    @admin.display(description="What is next")
    def what_next(self, rental: Rental) -> str:
        return next_step(rental)

    @admin.display(description="Period")
    def period(self, rental: Rental) -> str:
        return f"{rental.starts_on} – {rental.ends_on}"

    @admin.display(description="Next")
    def next_day(self, rental: Rental) -> str:
        if late := days_late(rental):
            return badge(f"{late} day{'s' if late > 1 else ''} late", "bad")
        if rental.next_due_on:
            return f"Back {rental.next_due_on}"
        return f"Out {rental.next_out_on}" if rental.next_out_on else EMPTY

    @admin.display(description="Units out")
    def units(self, rental: Rental) -> str:
        lines = rental.lines.all()
        return f"{sum(line.out for line in lines)} of {sum(line.quantity - line.called_off for line in lines)}"

    @admin.display(description="Customer")
    def customer(self, rental: Rental) -> str:
        return rental.order.customer_name or rental.order.email or EMPTY

    @admin.display(description="")
    def flags(self, rental: Rental) -> str:
        found = []
        if rental.endangered:
            found.append(badge(f"{rental.endangered} later in danger", "bad"))
        if rental.owed_amount:
            found.append(badge("Owes", "warn"))
        if rental.status == Status.CANCELED and vars(rental).get("has_refund_back"):
            found.append(badge("A refund came back", "bad"))
        return format_html("{} " * len(found), *found) if found else EMPTY


def _units(rental: Rental) -> SafeString:
    """Each line's whereabouts, and what of it is still to go out or out."""
    left = list(RentalUnits.objects.for_shop(rental.shop_id).filter(line__rental=rental))
    rows: list[tuple[object, ...]] = [
        (
            line.order_line.title,
            ", ".join(f"{row.quantity} × {row.variant_key}" for row in left if row.line_id == line.pk)
            or line.order_line.variant_key,
            line.due_on,
            line.quantity,
            line.to_go_out,
            line.out,
            line.returned,
            line.damaged or "",
            line.lost or "",
            line.called_off or "",
            f"{line.late_unit_days} unit-days" if line.late_unit_days else "",
        )
        for line in rental.lines.select_related("order_line")
    ]
    head = ["Article", "Units", "Due", "Booked", "To go out", "Out", "Back", "Damaged", "Lost", "Called off", "Late"]
    return table(head, rows, right=set(range(3, 10)), whole={2})


def _money(rental: Rental, reader: User) -> list[tuple[str, object]]:
    order = rental.order

    def amount(minor: int) -> str:
        return shop_amount(rental.shop, minor, order.currency)

    left = order.deposit_amount - order.deposit_refunded_amount - order.deposit_kept_amount
    shown: list[tuple[str, object]] = [("Paid", amount(order.total_amount))]
    if order.deposit_authorised_amount:
        shown.append(("Deposit, on the card", deposit_on_card(order)))
    else:
        shown += [
            ("Deposit", amount(order.deposit_amount)),
            ("Given back", amount(order.deposit_refunded_amount)),
            ("Kept", amount(order.deposit_kept_amount)),
            ("Left", amount(left)),
        ]
    shown.append(("Owed beyond the deposit", amount(rental.owed_amount)))
    for one in order.collections.select_related("order").order_by("id"):
        shown.append(
            (
                one.get_purpose_display(),
                format_html("{}: {}", reader_link(reader, one, amount(one.amount)), told_sources(one)),
            )
        )
    refunds = [reader_link(reader, refund) for refund in order.refunds.all()]
    charges = [reader_link(reader, charge) for charge in order.charges.defer("stripe_params").order_by("id")]
    if charges:
        shown.append(("Off the card", format_html("{} " * len(charges), *charges)))
    return [*shown, ("Refunds", format_html("{} " * len(refunds), *refunds) if refunds else EMPTY)]


def _behind(rental: Rental, reader: User) -> list[tuple[str, object]]:
    """Order, customer, and what keeps its days: links where the reader may follow them."""
    holds = Hold.objects.for_shop(rental.shop_id).filter(
        Q(rental_units__line__rental=rental) | Q(order=rental.order) | Q(active_idempotency_key__endswith=rental.pk)
    )
    found = list(holds.distinct())
    rows = StockRow.objects.for_shop(rental.shop_id).filter(hold_periods__hold__in=found).select_related("owner")
    shown: list[tuple[str, object]] = [
        ("Order", reader_link(reader, rental.order)),
        ("Customer", " · ".join(filter(None, (rental.order.customer_name, rental.order.email, rental.order.phone)))),
    ]
    shown += [("Days kept by", reader_link(reader, hold)) for hold in found]
    shown += [("Stock", reader_link(reader, row)) for row in rows.distinct()]
    if rental.endangered:
        shown.append(("In danger", f"{rental.endangered} later bookings need the units that are overdue"))
    return shown


def history(rental: Rental) -> SafeString | str:
    """Everything that was done, in order."""
    events = RentalEvent.objects.for_shop(rental.shop_id).filter(rental=rental).order_by("id")[:LISTED]
    rows: list[tuple[object, ...]] = [
        (
            shop_moment(rental.shop, event.at),
            event.get_action_display(),
            told_units(event),
            " · ".join(filter(None, (_cost(rental, event), event.note))),
            event.actor,
        )
        for event in events
    ]
    return table(["When", "What", "Units", "Note", "By"], rows, whole={0})


def _cost(rental: Rental, event: RentalEvent) -> str:
    if event.amount is None:
        return ""
    currency = rental.order.currency
    amount, kept = (shop_amount(rental.shop, minor, currency) for minor in (event.amount, event.kept_amount))
    return f"{amount}, of which the deposit paid {kept}"
