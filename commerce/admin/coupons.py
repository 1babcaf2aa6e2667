"""Coupons and their redemptions in the back office."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from commerce.admin.coupon_forms import CouponForm, is_promised, takes_off
from commerce.admin.display import User, panel, reader_link, shop_amount, shop_moment, table
from commerce.admin.lists import NOTHING, KeySearch, LastingFilter
from commerce.coupons.codes import canonical
from commerce.coupons.coupons import switch_coupon
from commerce.models import Coupon, CouponRedemption
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    ReasonAction,
    ReasonedEditsAdmin,
    Refused,
    RelatedDropdownFilter,
    badge,
    link_to,
    list_url,
)
from tenants.display import EMPTY, Tone

SHOWN = 20
"""Redemptions on a coupon's page; the others are a list of their own."""

STATES: dict[str, tuple[str, Tone]] = {
    "running": ("running", "good"),
    "scheduled": ("not yet", "info"),
    "over": ("over", "plain"),
    "used_up": ("used up", "warn"),
    "ended": ("ended by staff", "bad"),
}
TONES: dict[str, Tone] = {
    CouponRedemption.State.RESERVED: "info",
    CouponRedemption.State.REDEEMED: "good",
    CouponRedemption.State.FREED: "plain",
}


def in_state(name: str) -> Q:
    """Coupons in one of STATES at this moment; each is in exactly one."""
    now = timezone.now()
    ended, over, early = Q(active=False), Q(ends_at__isnull=False, ends_at__lte=now), Q(starts_at__gt=now)
    used_up = Q(limit_total__isnull=False, used__gte=F("limit_total"))
    order = {"ended": ended, "over": over, "used_up": used_up, "scheduled": early}
    if name == "running":
        late = Q(ends_at__isnull=True) | Q(ends_at__gt=now)
        begun = Q(starts_at__isnull=True) | Q(starts_at__lte=now)
        left = Q(limit_total__isnull=True) | Q(used__lt=F("limit_total"))
        return Q(active=True) & late & begun & left
    earlier = list(order)[: list(order).index(name)]
    condition = order[name]
    for other in earlier:
        condition &= ~order[other]
    return condition


def state_of(coupon: Coupon) -> str:
    now = timezone.now()
    if not coupon.active:
        return "ended"
    if coupon.ends_at is not None and coupon.ends_at <= now:
        return "over"
    if coupon.limit_total is not None and coupon.used >= coupon.limit_total:
        return "used_up"
    return "scheduled" if coupon.starts_at is not None and coupon.starts_at > now else "running"


class StateFilter(LastingFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, text.capitalize()) for name, (text, _) in STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Coupon]) -> QuerySet[Coupon]:
        return queryset.filter(in_state(str(self.value()))) if self.value() in STATES else queryset


def plan_switch(coupon: Coupon, *, active: bool) -> str | Refused:
    if coupon.active == active:
        return Refused("It is offered." if active else "It has been ended already.")
    if active:
        return "Checkouts take it again, within its window and limits."
    return "No checkout that begins from now on takes it. Open ones keep it until they are paid or expire."


def switch(coupon: Coupon, mandate: Mandate, *, active: bool) -> str:
    done = switch_coupon(
        shop_id=coupon.shop_id, coupon_id=coupon.pk, active=active, reason=mandate.reason, acting=mandate.acting
    )
    if not done:
        return "It was so already."
    return "Offered again." if active else "Ended."


@admin.register(Coupon)
class CouponAdmin(KeySearch[Coupon], ReasonedEditsAdmin[Coupon]):
    shop_path = "shop"
    audit_name = "coupon"
    form = CouponForm
    list_display = ("code", "shop_name", "takes", "uses", "window", "state", "note")
    list_filter = (StateFilter, ("shop", RelatedDropdownFilter), ("kind", ChoicesDropdownFilter))
    search_fields = ("code",)
    search_help_text = "A whole code, in any case"
    # By an index, over all shops; newest first.
    ordering = ("-id",)
    ordering_of_one_shop = ("shop_id", "-id")
    sortable_by = ()
    empty_text = "No coupon yet."
    reason_actions = (
        ReasonAction(
            name="end",
            label="End",
            plan=partial(plan_switch, active=False),
            verb=partial(switch, active=False),
            danger=True,
        ),
        ReasonAction(
            name="resume",
            label="Offer again",
            plan=partial(plan_switch, active=True),
            verb=partial(switch, active=True),
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Coupon]:
        return super().get_queryset(request).select_related("shop__settings")

    def key(self, term: str) -> Q:
        code = canonical(term)
        return NOTHING if code is None else Q(code=code)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Coupon | None:
        """Locked while it is saved: whether it has been used decides what may change, and its counter moves."""
        found = super().get_object(request, object_id, from_field)
        if found is None or request.method != "POST" or not request.path.endswith("/change/"):
            return found
        return self.get_queryset(request).select_for_update(of=("self",), no_key=True).get(pk=found.pk)

    def get_readonly_fields(self, request: HttpRequest, obj: Coupon | None = None) -> tuple[str, ...]:
        return ("shop", "code", "state", "uses", "takes", "covers", "minimum", "starts", "ends") if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Coupon | None = None) -> Any:
        coupon = obj
        shown = {"takes_off_typed": "takes", "only_for_typed": "covers"}
        reads = coupon is not None and not self.has_change_permission(request, coupon)
        if reads:
            shown |= {"minimum_typed": "minimum", "starts_typed": "starts", "ends_typed": "ends"}
        elif coupon is None or not is_promised(coupon):
            shown = {}
        terms = ("takes_off_typed", "minimum_typed", "only_for_typed")
        limits = ("starts_typed", "ends_typed", "limit_total", "limit_per_email")
        fieldsets = [
            (None, {"fields": ("shop", "code", *(() if coupon is None else ("state", "uses")), "note")}),
            ("What it promises", {"fields": tuple(shown.get(name, name) for name in terms)}),
            ("When, and how often", {"fields": tuple(shown.get(name, name) for name in limits)}),
        ]
        if coupon is not None:
            used = coupon
            fieldsets.append(panel("Redemptions", lambda: self.redemptions(used, request.user)))
        if not reads:
            fieldsets.append(("Why", {"fields": ("reason_for_change",)}))
        return fieldsets

    def redemptions(self, coupon: Coupon, reader: User) -> SafeString:
        """The newest, with their orders."""
        rows = CouponRedemption.objects.for_shop(coupon.shop_id).filter(coupon=coupon).select_related("order")
        newest = list(rows.order_by("-id")[: SHOWN + 1])
        shown = table(
            ("Order", "Customer", "Discount", "State", "Reserved", "Ended"),
            [
                (
                    reader_link(reader, row.order), row.email or EMPTY,
                    shop_amount(coupon.shop, row.discount_amount, row.currency), redemption_state(row),
                    shop_moment(coupon.shop, row.reserved_at), shop_moment(coupon.shop, row.ended_at),
                )
                for row in newest[:SHOWN]
            ],
            right={2},
            empty="Nobody has used it yet.",
        )  # fmt: skip
        if len(newest) <= SHOWN:
            return shown
        url = list_url(CouponRedemption, urlencode({"shop__id__exact": coupon.shop_id, "q": coupon.code}))
        link = '{}<p class="px-3 py-2"><a href="{}" class="text-primary-600 dark:text-primary-500">All of them</a></p>'
        return format_html(link, shown, url)

    # ---------------------------------------------------------------- columns
    @admin.display(description="Takes off")
    def takes(self, coupon: Coupon) -> str:
        if coupon.basis_points is not None:
            return takes_off(coupon)
        return ", ".join(shop_amount(coupon.shop, amount, of) for of, amount in sorted(coupon.amounts.items()))

    @admin.display(description="From a subtotal of")
    def minimum(self, coupon: Coupon) -> str:
        amounts = sorted(coupon.minimums.items())
        return ", ".join(shop_amount(coupon.shop, amount, of) for of, amount in amounts) or EMPTY

    @admin.display(description="Only for")
    def covers(self, coupon: Coupon) -> str:
        return ", ".join(coupon.only_for) or "everything"

    @admin.display(description="Used")
    def uses(self, coupon: Coupon) -> str:
        return str(coupon.used) if coupon.limit_total is None else f"{coupon.used} of {coupon.limit_total}"

    @admin.display(description="Window")
    def window(self, coupon: Coupon) -> str:
        if coupon.starts_at is None and coupon.ends_at is None:
            return "always"
        return f"{self.starts(coupon)} – {self.ends(coupon)}"

    @admin.display(description="Starts")
    def starts(self, coupon: Coupon) -> str:
        return shop_moment(coupon.shop, coupon.starts_at)

    @admin.display(description="Ends")
    def ends(self, coupon: Coupon) -> str:
        return shop_moment(coupon.shop, coupon.ends_at)

    @admin.display(description="State")
    def state(self, coupon: Coupon) -> str:
        return badge(*STATES[state_of(coupon)])


def redemption_state(row: CouponRedemption) -> SafeString:
    shown = badge(row.get_state_display(), TONES.get(row.state, "plain"))
    return format_html("{} {}", shown, badge("beyond the limit", "warn")) if row.beyond_limit else shown


@admin.register(CouponRedemption)
class CouponRedemptionAdmin(KeySearch[CouponRedemption], ReadOnlyAdmin[CouponRedemption]):
    shop_path = "shop"
    list_display = ("order_link", "shop_name", "coupon_link", "email", "discount", "state_badge", "reserved", "ended")
    list_filter = (
        ("shop", RelatedDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("reserved_at", RangeDateTimeFilter),
    )
    search_fields = ("order__number", "email", "coupon__code")
    search_help_text = "A coupon's code, an order's number with #, or an e-mail address"
    ordering = ("-id",)
    sortable_by = ()
    fields = readonly_fields = (
        "order_link", "shop_name", "coupon_link", "state_badge", "email", "discount", "subtotal", "reserved", "ended",
    )  # fmt: skip
    empty_text = "No coupon has been used yet. A checkout with one reserves it."

    def get_queryset(self, request: HttpRequest) -> QuerySet[CouponRedemption]:
        return super().get_queryset(request).select_related("shop__settings", "coupon", "order")

    def key(self, term: str) -> Q:
        """Beside the shop of what is named: that is how the indexes begin."""
        if "@" in term:
            return Q(email=term.lower())
        if term.startswith("#"):
            return Q(order__number=term.removeprefix("#"), shop_id=F("order__shop_id"))
        code = canonical(term)
        return NOTHING if code is None else Q(coupon__code=code, shop_id=F("coupon__shop_id"))

    @admin.display(description="Coupon")
    def coupon_link(self, row: CouponRedemption) -> str:
        return link_to(row.coupon)

    @admin.display(description="Discount")
    def discount(self, row: CouponRedemption) -> str:
        return shop_amount(row.shop, row.discount_amount, row.currency)

    @admin.display(description="Of")
    def subtotal(self, row: CouponRedemption) -> str:
        return shop_amount(row.shop, row.subtotal_amount, row.currency)

    @admin.display(description="State")
    def state_badge(self, row: CouponRedemption) -> str:
        return redemption_state(row)

    @admin.display(description="Reserved")
    def reserved(self, row: CouponRedemption) -> str:
        return shop_moment(row.shop, row.reserved_at)

    @admin.display(description="Redeemed or given back")
    def ended(self, row: CouponRedemption) -> str:
        return shop_moment(row.shop, row.ended_at)
