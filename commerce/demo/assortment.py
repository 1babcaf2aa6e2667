"""What the two demonstration shops sell. Data only; amounts in minor units of the shop's currency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product as combinations
from typing import Final

IMAGES: Final = "storefront/products"


@dataclass(frozen=True, slots=True)
class DemoProduct:
    """One product. `attributes` span its variants, in page order; `titles` and `descriptions` are by locale.

    `image` is a file below the products' folder; where colours look different it holds `{color}`.
    `stock` holds the units of each variant, repeated as needed: a demo shop with everything in plenty shows nothing.
    `cleaning_days` follow each rental of it.
    """

    sku: str
    slug: str
    titles: Mapping[str, str]
    descriptions: Mapping[str, str]
    price: int
    image: str
    stock: tuple[int, ...]
    deposit: int = 0
    weekend: int | None = None
    week: int | None = None
    month: int | None = None
    cleaning_days: int = 0
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def variants(self) -> list[tuple[dict[str, str], str, int]]:
        """Attributes, image path and opening stock of every variant."""
        names = list(self.attributes)
        found = []
        for number, values in enumerate(combinations(*self.attributes.values())):
            attributes = dict(zip(names, values, strict=True))
            image = f"{IMAGES}/{self.image.format(color=attributes.get('color', ''))}"
            found.append((attributes, image, self.stock[number % len(self.stock)]))
        return found


@dataclass(frozen=True, slots=True)
class DemoShipping:
    """One way to ship. `days` are working days, at least and at most."""

    names: Mapping[str, str]
    amount: int
    countries: tuple[str, ...]
    days: tuple[int, int]
    free_from: int | None = None


@dataclass(frozen=True, slots=True)
class DemoCoupon:
    """One coupon: a share in basis points, or an amount off."""

    code: str
    note: str
    basis_points: int | None = None
    amount: int | None = None
    minimum: int | None = None
    limit_total: int | None = None
    limit_per_email: int | None = None


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """One plan, offered from the start. `every`: interval and how many of it."""

    code: str
    names: Mapping[str, str]
    descriptions: Mapping[str, str]
    amount: int
    every: tuple[str, int]
    trial_days: int = 0


@dataclass(frozen=True, slots=True)
class DemoShop:
    """One shop with its settings, its products, its ways to ship, its coupons and its plans."""

    id: str
    name: str
    kind: str
    currency: str
    time_zone: str
    checkout_ui: str
    products: tuple[DemoProduct, ...]
    shipping: tuple[DemoShipping, ...] = ()
    coupons: tuple[DemoCoupon, ...] = ()
    plans: tuple[DemoPlan, ...] = ()


COCHLEARFIT: Final = DemoShop(
    id="cochlearfit",
    name="CochlearFit",
    kind="sale",
    currency="EUR",
    time_zone="Europe/Berlin",
    checkout_ui="hosted_page",
    products=(
        DemoProduct(
            sku="HEADBAND-SPORT",
            slug="sport-headband",
            titles={"en": "Sport headband", "de": "Sport-Stirnband"},
            descriptions={
                "en": "Keeps the processor where it belongs while you run, climb or dance. Breathable mesh, a pocket "
                "on each side, and a safety loop for the cable. Machine washable at 40 °C.",
                "de": "Hält den Prozessor am Platz, beim Laufen, Klettern oder Tanzen. Atmungsaktives Gewebe, je eine "
                "Tasche pro Seite und eine Sicherungsschlaufe für das Kabel. Waschbar bei 40 °C.",
            },
            price=2490,
            image="headband-sport-{color}.svg",
            stock=(40, 25, 60, 18, 33, 5),
            attributes={"size": ("S", "M", "L"), "color": ("black", "teal", "coral")},
        ),
        DemoProduct(
            sku="HEADBAND-KIDS",
            slug="kids-headband",
            titles={"en": "Kids' headband", "de": "Kinder-Stirnband"},
            descriptions={
                "en": "Extra soft, with a closure that small hands can't open. For heads of 44 to 52 centimetres.",
                "de": "Besonders weich, mit einem Verschluss, den kleine Hände nicht öffnen. Für Köpfe von 44 bis 52 "
                "Zentimetern.",
            },
            price=1990,
            image="headband-kids-{color}.svg",
            stock=(20, 12, 30, 2),
            attributes={"size": ("XS", "S"), "color": ("mint", "sunny")},
        ),
        DemoProduct(
            sku="HEADBAND-WOOL",
            slug="merino-headband",
            titles={"en": "Merino headband", "de": "Merino-Stirnband"},
            descriptions={
                "en": "Warm over the ears without muffling the microphones: fine merino, knitted open where sound "
                "passes.",
                "de": "Warm über den Ohren, ohne die Mikrofone zu dämpfen: feine Merinowolle, offen gestrickt, wo der "
                "Schall hindurch muss.",
            },
            price=3400,
            image="headband-wool-{color}.svg",
            stock=(8, 15, 0, 6),
            attributes={"size": ("S", "M", "L"), "color": ("charcoal", "sand")},
        ),
        DemoProduct(
            sku="HEADBAND-NIGHT",
            slug="night-headband",
            titles={"en": "Night headband", "de": "Nacht-Stirnband"},
            descriptions={
                "en": "Flat seams and nothing hard to lie on, for those who sleep with their processor on.",
                "de": "Flache Nähte und nichts Hartes, auf dem man liegt, für alle, die mit Prozessor schlafen.",
            },
            price=2250,
            image="headband-night.svg",
            stock=(14, 22, 9),
            attributes={"size": ("S", "M", "L")},
        ),
        DemoProduct(
            sku="SAFETY-CLIP",
            slug="safety-clip",
            titles={"en": "Safety clip", "de": "Sicherungsclip"},
            descriptions={
                "en": "A short cord with a clip for the collar: what falls off stays with you. Fits every headband.",
                "de": "Eine kurze Kordel mit Clip für den Kragen: Was herunterfällt, bleibt bei dir. Passt zu jedem "
                "Stirnband.",
            },
            price=690,
            image="safety-clip.svg",
            stock=(250,),
        ),
        DemoProduct(
            sku="HEADBAND-GOLD",
            slug="limited-gold-headband",
            titles={"en": "Gold headband, limited", "de": "Gold-Stirnband, limitiert"},
            descriptions={
                "en": "Woven once a year in a small number, each one signed by the weaver. When they are gone, they "
                "are gone.",
                "de": "Einmal im Jahr in kleiner Zahl gewebt und von Hand signiert. Weg ist weg.",
            },
            price=8900,
            image="headband-gold.svg",
            stock=(10,),
        ),
    ),
    # Standard is free, so that a checkout which names no option is still one.
    shipping=(
        DemoShipping(
            names={"en": "Standard", "de": "Standard"}, amount=0, countries=("DE", "AT", "CH", "FR", "NL"), days=(2, 4)
        ),
        DemoShipping(
            names={"en": "Express", "de": "Express"}, amount=990, countries=("DE", "AT"), days=(1, 1), free_from=15000
        ),
    ),
    coupons=(
        DemoCoupon(code="WELCOME10", note="Ten per cent for whoever has found the shop", basis_points=1000),
        DemoCoupon(code="FIVE-OFF", note="Flyer, from 40 euros", amount=500, minimum=4000, limit_total=100),
        DemoCoupon(code="ONCE", note="Once per customer", basis_points=2500, limit_per_email=1),
    ),
    plans=(
        DemoPlan(
            code="club-basic",
            names={"en": "Club Basic", "de": "Klub Basic"},
            descriptions={
                "en": "A fresh set of covers and cable loops every month, in the colours you wear.",
                "de": "Jeden Monat frische Hüllen und Kabelschlaufen, in deinen Farben.",
            },
            amount=590,
            every=("month", 1),
        ),
        DemoPlan(
            code="club-plus",
            names={"en": "Club Plus", "de": "Klub Plus"},
            descriptions={
                "en": "Covers and loops every month, and a new headband with every season. Two weeks to try it out.",
                "de": "Jeden Monat Hüllen und Schlaufen, mit jeder Jahreszeit ein Stirnband. Zwei Wochen zur Probe.",
            },
            amount=1490,
            every=("month", 1),
            trial_days=14,
        ),
        DemoPlan(
            code="club-year",
            names={"en": "Club Plus, by the year", "de": "Klub Plus im Jahr"},
            descriptions={
                "en": "Everything in Club Plus, paid once a year. Two months are free.",
                "de": "Alles aus Klub Plus, einmal im Jahr bezahlt. Zwei Monate sind geschenkt.",
            },
            amount=14900,
            every=("year", 1),
        ),
    ),
)

COVER_ME_PRETTY: Final = DemoShop(
    id="cover-me-pretty",
    name="Cover Me Pretty",
    kind="rental",
    currency="USD",
    time_zone="America/New_York",
    checkout_ui="elements",
    products=(
        DemoProduct(
            sku="OPERA-CAPE",
            slug="velvet-opera-cape",
            titles={"en": "Velvet opera cape", "de": "Opernumhang aus Samt"},
            descriptions={
                "en": "Floor-length silk velvet with a satin lining and a clasp that clicks. Cleaned after every "
                "evening.",
                "de": "Bodenlanger Seidensamt mit Satinfutter und einer Schließe, die einrastet. Nach jedem Abend "
                "gereinigt.",
            },
            price=3500,
            deposit=15000,
            weekend=8000,
            week=15000,
            month=40000,
            image="opera-cape-{color}.svg",
            cleaning_days=1,
            stock=(2, 3, 1),
            attributes={"size": ("S", "M", "L"), "color": ("burgundy", "midnight")},
        ),
        DemoProduct(
            sku="SILK-WRAP",
            slug="silk-evening-wrap",
            titles={"en": "Silk evening wrap", "de": "Seidenstola"},
            descriptions={
                "en": "Two metres of heavy silk with hand-rolled edges. One size, many ways to wear it.",
                "de": "Zwei Meter schwere Seide mit handrollierten Kanten. Eine Größe, viele Arten, sie zu tragen.",
            },
            price=1800,
            deposit=6000,
            week=7500,
            image="silk-wrap-{color}.svg",
            stock=(6, 4),
            attributes={"color": ("rose", "champagne")},
        ),
        DemoProduct(
            sku="WINTER-STOLE",
            slug="winter-stole",
            titles={"en": "Faux fur stole", "de": "Webpelz-Stola"},
            descriptions={
                "en": "Warm shoulders for a winter wedding. Faux fur, satin ribbon, a box that fits the cloakroom.",
                "de": "Warme Schultern für die Winterhochzeit. Webpelz, Satinband und eine Schachtel, die in jede "
                "Garderobe passt.",
            },
            price=2200,
            deposit=8000,
            weekend=5000,
            week=10000,
            image="winter-stole.svg",
            cleaning_days=1,
            stock=(5,),
        ),
    ),
    coupons=(DemoCoupon(code="WELCOME10", note="Ten per cent of the rent; the deposit stays", basis_points=1000),),
)

DEMO_SHOPS: Final = (COCHLEARFIT, COVER_ME_PRETTY)
