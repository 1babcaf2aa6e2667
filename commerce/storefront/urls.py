"""Pages of a shop."""

from django.urls import URLPattern, path, register_converter

from commerce.storefront import crawlers, plans, views
from tenants.locales import LOCALE_SEGMENT


class LocaleConverter:
    """The first segment of a page's address. Whether the shop offers it is the view's question."""

    # Whatever is unknown under /api/ is a 404 of the API's, not a page that wants its form's token.
    regex = rf"(?!api/){LOCALE_SEGMENT}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(LocaleConverter, "locale")

app_name = "storefront"
urlpatterns: list[URLPattern] = [
    path("robots.txt", crawlers.robots, name="robots"),
    path("sitemap.xml", crawlers.sitemap, name="sitemap"),
    path("<locale:locale>/", views.product_list, name="list"),
    path("<locale:locale>/products/<slug:slug>", views.product, name="product"),
    path("<locale:locale>/plans", plans.plan_list, name="plans"),
    path("<locale:locale>/cart", views.cart, name="cart"),
    path("<locale:locale>/checkout", views.checkout, name="checkout"),
    path("<locale:locale>/cancel", views.cancel, name="cancel"),
    path("<locale:locale>/thank-you", views.thank_you, name="thank_you"),
    path("<locale:locale>/payment-received", views.payment_received, name="payment_received"),
    path("<locale:locale>/<path:path>", views.nothing),
]
