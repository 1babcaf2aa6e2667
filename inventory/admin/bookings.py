"""Bookings of days in the back office: who has a row's units, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from inventory.admin.standing import behind, short, stories_of
from inventory.errors import Booking
from inventory.models import Hold, HoldPeriod, StockRow
from inventory.periods import bookings_of
from inventory.stock import MOST_BUFFER_DAYS, set_buffer_days
from tenants.backoffice import Mandate, ReadOnlyInline, ReasonForm, link_to, widgets
from tenants.display import badge
from tenants.models import ShopSettings
from tenants.panels import User, reader_link, table

LISTED: Final = 50
HEAD: Final = ("Units", "From", "To", "Free again after", "Hold", "State", "Behind it")


class BufferForm(ReasonForm):
    days = forms.IntegerField(
        label="Days for cleaning",
        min_value=0,
        max_value=MOST_BUFFER_DAYS,
        help_text="After each rental. Bookings that are there keep theirs.",
        widget=widgets.UnfoldAdminIntegerFieldWidget(),
    )


def plan_buffer(row: StockRow) -> str:
    return f"Now {row.buffer_days} days after each rental."


def set_buffer(row: StockRow, mandate: Mandate) -> str:
    days: int = mandate.fields["days"]
    set_buffer_days(shop_id=row.owner_id, stock_row_id=row.pk, days=days, note=mandate.reason, acting=mandate.acting)
    return f"Bookings from now on keep {days} days for cleaning."


class HoldPeriodInline(ReadOnlyInline[HoldPeriod, Hold]):
    model = HoldPeriod
    hide_title = True
    fields = readonly_fields = ("quantity", "row", "starts", "ends", "blocked_until")
    ordering = ("pk",)
    verbose_name_plural = "Days"

    def get_queryset(self, request: HttpRequest) -> QuerySet[HoldPeriod]:
        return super().get_queryset(request).select_related("stock_row")

    @admin.display(description="Of")
    def row(self, period: HoldPeriod) -> str:
        return link_to(period.stock_row)


def rents_out(row: StockRow) -> bool:
    """Whether the row's units go out for days. Reads the owner's shop with its settings."""
    shop = row.owner.shop
    return shop is not None and shop.settings.kind == ShopSettings.Kind.RENTAL


def explain_days(row: StockRow, reader: User) -> SafeString | str:
    """The panel on the page of a row that is rented out: who has how many units, from now on. Two queries."""
    found = bookings_of(owner_id=row.owner_id, stock_row_id=row.pk, now=timezone.now(), limit=LISTED)
    if not found:
        return format_html('<p class="p-3">{}</p>', f"Nothing is booked. {_cleaning(row)}")
    stories = stories_of([booking.hold_id for booking in found])
    rows: list[tuple[object, ...]] = [
        (
            booking.quantity,
            booking.starts,
            booking.ends,
            booking.blocked_until,
            reader_link(reader, Hold(pk=booking.hold_id), short(booking.hold_id)),
            badge("booked", "good") if booking.status == Hold.Status.COMMITTED else badge("being paid", "warn"),
            behind(stories.get(booking.hold_id), reader),
        )
        for booking in found
    ]
    more = f" The first {LISTED} are listed." if len(found) == LISTED else ""
    return format_html('<p class="p-3">{}</p>{}', _cleaning(row) + more, table(HEAD, rows, right={0}))


def booking_in_words(booking: Booking, *, now: datetime) -> str:
    """`2 in hold …9f31, out from 2027-03-01 to 2027-03-03`."""
    out = "out" if booking.starts <= now.date() <= booking.ends else "booked"
    return f"{booking.quantity} in hold {short(booking.hold_id)}, {out} from {booking.starts} to {booking.ends}"


def _cleaning(row: StockRow) -> str:
    if not row.buffer_days:
        return "Units can go out again on the day after their return."
    return f"Units are cleaned for {row.buffer_days} {'day' if row.buffer_days == 1 else 'days'} after their return."
