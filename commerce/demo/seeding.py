"""Puts the demonstration data in place. Adds what is missing and changes nothing that is there, so that it can run at
every start without undoing what somebody has tried out. Only roles may grow: what they must see and change is new with
every page that is, and whoever has a role should have all of it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q

from commerce.demo.assortment import DEMO_SHOPS, DemoProduct, DemoShop
from commerce.demo.plans import seed_plans
from commerce.models import Coupon, Product, ProductText, ShippingOption, Variant
from inventory.models import StockRow
from inventory.stock import create_stock_row, set_buffer_days
from inventory.variants import variant_key
from tenants.audit import Actor
from tenants.models import Host, Membership, ServiceToken, Shop, ShopSettings
from tenants.service_tokens import PREFIX, Material, issue_service_token, secret_digest
from tenants.staff import EVERY_SHOP

SEEDER: Final = Actor("system", "seed_demo")
LOCALES: Final = ("en", "de")
CLERKS: Final = "clerk"
CLERK_CHANGES: Final = ("stockrow", "stockimport", "hold", "order", "checkoutattempt")
OWNER_CHANGES: Final = (
    "product", "producttext", "variant", "shippingoption", "coupon", "plan", "taxrate", "shop", "shopsettings",
    "stripeevent", "servicetoken",
)  # fmt: skip
# Roles within a shop, and what they may change besides seeing it.
GROUPS: Final = {
    CLERKS: CLERK_CHANGES,
    "shop owner": (*CLERK_CHANGES, *OWNER_CHANGES),
}
LOW_STOCK: Final = 5
OWN_APPS: Final = ("tenants", "inventory", "commerce", "checkout", "webhooks")
# Known to everybody who reads this: the command refuses to run anywhere but in development and tests.
PASSWORD: Final = "holdfast-demo"  # noqa: S105


@dataclass(frozen=True, slots=True)
class StaffUser:
    """A staff account. `shop_id` is empty for the platform's own."""

    user: str
    password: str
    role: str
    shop_id: str


@dataclass(frozen=True, slots=True)
class SeededToken:
    """A service token, the same at every start so that a client's settings outlive a reset."""

    shop_id: str
    scopes: Sequence[str]
    token_id: str
    secret: str = field(repr=False)

    @property
    def token(self) -> str:
        return f"{PREFIX}{self.token_id}_{self.secret}"


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What is there after a run, whether this run made it or an earlier one; `created` counts this run's rows.

    `tokens` are those that still open something: one that was revoked or rotated stays so.
    """

    shop_ids: Sequence[str]
    staff: Sequence[StaffUser]
    tokens: Sequence[SeededToken]
    created: int


def seed() -> SeedReport:
    """Shops, hosts, products, stock, staff and service tokens of the demonstration.

    Not one transaction: opening stock is booked by the inventory's own durable verb. A run that was cut short is
    completed by the next.
    """
    created = sum(_seed_shop(shop) for shop in DEMO_SHOPS)
    created += _seed_host("hooks.localhost", Host.Role.HOOKS, None)
    created += sum(_seed_host(name, Host.Role.PLATFORM, None) for name in ("localhost", "127.0.0.1"))
    staff = [
        StaffUser("admin", PASSWORD, "owner", ""),
        *(StaffUser(f"{shop.id}-staff", PASSWORD, CLERKS, shop.id) for shop in DEMO_SHOPS),
    ]
    created += _seed_staff(staff)
    tokens = [_token_of(shop) for shop in DEMO_SHOPS]
    created += sum(_seed_token(token) for token in tokens)
    return SeedReport(
        shop_ids=[shop.id for shop in DEMO_SHOPS],
        staff=staff,
        tokens=[token for token in tokens if _opens(token)],
        created=created,
    )


def _token_of(demo: DemoShop) -> SeededToken:
    """Made from the shop's id, and thus as public as the passwords are."""
    digest = hashlib.sha256(f"holdfast-demo:{demo.id}".encode())
    secret = base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")
    return SeededToken(demo.id, sorted(ServiceToken.Scope.values), digest.hexdigest()[:16], secret)


def _seed_token(wanted: SeededToken) -> int:
    if ServiceToken.objects.filter(pk=wanted.token_id).exists():
        return 0
    issue_service_token(
        shop_id=wanted.shop_id,
        scope=EVERY_SHOP,
        label="Demonstration",
        scopes=wanted.scopes,
        reason="Demonstration data",
        acting=SEEDER,
        made_of=Material(wanted.token_id, wanted.secret),
    )
    return 1


def _opens(token: SeededToken) -> bool:
    digest = secret_digest(token.token_id, token.secret)
    row = ServiceToken.objects.filter(pk=token.token_id, digest=digest).first()
    return row is not None and row.is_valid()


def _seed_shop(demo: DemoShop) -> int:
    shop, made_shop = Shop.objects.get_or_create(pk=demo.id, defaults={"name": demo.name})
    _, made_settings = ShopSettings.objects.get_or_create(
        shop=shop,
        defaults={
            "kind": demo.kind,
            "currency": demo.currency,
            "default_locale": LOCALES[0],
            "locales": list(LOCALES),
            "time_zone": demo.time_zone,
            "checkout_ui": demo.checkout_ui,
        },
    )
    created = int(made_shop) + int(made_settings) + _seed_host(f"{demo.id}.localhost", Host.Role.CANONICAL, shop)
    for position, product in enumerate(demo.products):
        created += _seed_product(demo, product, position)
    return created + _seed_shipping(demo) + _seed_coupons(demo) + seed_plans(demo)


def _seed_coupons(demo: DemoShop) -> int:
    created = 0
    for wanted in demo.coupons:
        _, made = Coupon.objects.get_or_create(
            shop_id=demo.id,
            code=wanted.code,
            defaults={
                "kind": Coupon.Kind.AMOUNT if wanted.amount else Coupon.Kind.PERCENT,
                "basis_points": wanted.basis_points,
                "amounts": {demo.currency: wanted.amount} if wanted.amount else {},
                "minimums": {demo.currency: wanted.minimum} if wanted.minimum else {},
                "limit_total": wanted.limit_total,
                "limit_per_email": wanted.limit_per_email,
                "note": wanted.note,
            },
        )
        created += int(made)
    return created


def _seed_shipping(demo: DemoShop) -> int:
    """All of them or none: staff may have renamed them since."""
    if ShippingOption.objects.for_shop(demo.id).exists():
        return 0
    made = ShippingOption.objects.bulk_create(
        ShippingOption(
            shop_id=demo.id,
            names=dict(option.names),
            currency=demo.currency,
            amount=option.amount,
            free_from_amount=option.free_from,
            countries=list(option.countries),
            days_min=option.days[0],
            days_max=option.days[1],
            position=position,
        )
        for position, option in enumerate(demo.shipping)
    )
    return len(made)


def _seed_host(hostname: str, role: str, shop: Shop | None) -> int:
    _, made = Host.objects.get_or_create(hostname=hostname, defaults={"role": role, "shop": shop})
    return int(made)


def _seed_product(demo: DemoShop, wanted: DemoProduct, position: int) -> int:
    variants = wanted.variants()
    product, made = Product.objects.get_or_create(
        shop_id=demo.id,
        sku=wanted.sku,
        defaults={"slug": wanted.slug, "image": variants[0][1], "position": position},
    )
    created = int(made)
    for locale, title in wanted.titles.items():
        _, made = ProductText.objects.get_or_create(
            shop_id=demo.id,
            product=product,
            locale=locale,
            defaults={"title": title, "description": wanted.descriptions[locale]},
        )
        created += int(made)
    for number, (attributes, image, on_hand) in enumerate(variants):
        key = variant_key(wanted.sku, attributes)
        _, made = Variant.objects.get_or_create(
            shop_id=demo.id,
            variant_key=key,
            defaults={
                "product": product,
                "sku": wanted.sku,
                "attributes": attributes,
                "currency": demo.currency,
                "price_amount": wanted.price,
                "deposit_amount": wanted.deposit,
                "weekend_amount": wanted.weekend,
                "week_amount": wanted.week,
                "month_amount": wanted.month,
                "image": image,
                "position": number,
            },
        )
        created += int(made) + _seed_stock(demo, wanted, key, on_hand)
    return created


def _seed_stock(demo: DemoShop, wanted: DemoProduct, key: str, on_hand: int) -> int:
    if StockRow.objects.filter(owner_id=demo.id, variant_key=key).exists():
        return 0
    row = create_stock_row(
        shop_id=demo.id,
        sku=wanted.sku,
        variant_key=key,
        on_hand=on_hand,
        acting=SEEDER,
        note="Demonstration data",
        low_stock_threshold=LOW_STOCK,
    )
    if wanted.cleaning_days:
        note = "Demonstration data"
        set_buffer_days(shop_id=demo.id, stock_row_id=row.pk, days=wanted.cleaning_days, note=note, acting=SEEDER)
    return 1


def _seed_staff(staff: Sequence[StaffUser]) -> int:
    created = sum(_seed_group(name, may_change) for name, may_change in GROUPS.items())
    for account in staff:
        user = User.objects.filter(username=account.user).first()
        if user is None:
            user = User.objects.create_user(
                account.user,
                email=f"{account.user}@example.com",
                password=account.password,
                is_staff=True,
                is_superuser=not account.shop_id,
            )
            if account.shop_id:
                user.groups.add(Group.objects.get(name=CLERKS))
            created += 1
        if account.shop_id:
            _, made = Membership.objects.get_or_create(user=user, shop_id=account.shop_id)
            created += int(made)
    return created


def _seed_group(name: str, may_change: Sequence[str]) -> int:
    """A role: sees every kind of row of its shops, works at the rentals' counter, and may change these. Whose rows,
    memberships say. One that is there already gets what it lacks; what it was given beyond that it keeps.
    """
    group, made = Group.objects.get_or_create(name=name)
    ours = Permission.objects.filter(content_type__app_label__in=OWN_APPS)
    changing = [f"{act}_{model}" for model in may_change for act in ("add", "change")]
    seeing = Q(codename__startswith="view_") | Q(codename="handle_rental")
    group.permissions.add(*ours.filter(seeing | Q(codename__in=changing)))
    return int(made)
