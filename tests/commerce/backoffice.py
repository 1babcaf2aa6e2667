"""A member of staff at the back office: pages as text, and actions as a browser carries them out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from commerce.models import Product
from tenants.staff import SEE_EVERY_SHOP
from tests.factories.commerce import ProductFactory, ProductTextFactory, VariantFactory
from tests.fixtures.trade import Trade

TOKEN = re.compile(r'name="token" value="([^"]+)"')
SPACES = re.compile(r"[\s\u00a0\u202f]+")


@dataclass(frozen=True)
class Desk:
    """One signed-in browser."""

    client: Client

    def list(self, model: type[Model], **query: Any) -> HttpResponse:
        return self.client.get(address(model, "changelist"), query)

    def figure(self, label: str) -> str:
        """What the dashboard counts under this name."""
        page = self.client.get(reverse("admin:index"))
        return str(next(card.value for card in page.context["cards"] if card.label == label))

    def page(self, row: Model) -> HttpResponse:
        return self.client.get(address(type(row), "change", row.pk))

    def ask(self, model: type[Model], action: str, *rows: Model) -> HttpResponse:
        """The page that an action of the list shows before it does anything."""
        data = {"action": f"act_{action}", "_selected_action": [str(row.pk) for row in rows]}
        return self.client.post(address(model, "changelist"), data)

    def confirm(self, model: type[Model], action: str, asked: HttpResponse, **fields: Any) -> HttpResponse:
        """Sends the page's form; the outcome's page, or the form again with its errors."""
        found = TOKEN.search(asked.content.decode())
        assert found, text(asked)
        return self.client.post(
            address(model, "act", action), {"token": unescape(found.group(1)), **fields}, follow=True
        )

    def do(self, model: type[Model], action: str, *rows: Model, **fields: Any) -> str:
        return text(self.confirm(model, action, self.ask(model, action, *rows), **fields))


def desk(*permissions: str) -> Desk:
    """Staff with these permissions (`commerce.view_order`), or the owner, who may do everything."""
    client = Client(headers={"Host": "localhost"})
    if permissions:
        user = User.objects.create_user("clerk", is_staff=True)
        # Platform staff: whose rows one sees is another question than what one may do with them.
        for label in (*permissions, SEE_EVERY_SHOP):
            app, codename = label.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    else:
        user = User.objects.create_superuser("owner")
    client.force_login(user)
    return Desk(client)


def address(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def text(answer: HttpResponse) -> str:
    """What a reader sees of the page's own part: without tags, with plain spaces."""
    assert answer.status_code == 200, answer.status_code
    html = answer.content.decode()
    main = html[html.find(">", html.find('id="main"')) + 1 :]
    main = re.sub(r"(?s)<(script|style|template)\b.*?</\1>", " ", main)
    return SPACES.sub(" ", unescape(re.sub(r"<[^>]+>", " ", main))).strip()


def html(answer: HttpResponse) -> str:
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def filled(answer: HttpResponse) -> dict[str, str]:
    """What the page's form would send if it were saved as it is, inlines included."""
    context: Any = answer.context
    forms = [context["adminform"].form]
    for inline in context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    sent = {}
    for form in forms:
        for bound in form:
            value = bound.value()
            if value is not None and value is not False and not bound.field.disabled:
                sent[bound.html_name] = "on" if value is True else str(value)
    return sent


def found(answer: HttpResponse) -> set[str]:
    """Ids of the rows that a list shows."""
    context: Any = answer.context
    return {str(row.pk) for row in context["cl"].result_list}


def queries(visit: Any) -> int:
    """How many queries one visit needs, after another has filled every cache."""
    assert visit().status_code == 200
    with CaptureQueriesContext(connection) as captured:
        assert visit().status_code == 200
    return len(captured)


def another_product(trade: Trade) -> Product:
    """One more product of the shop, with a text and a variant."""
    product: Product = ProductFactory(shop=trade.shop)
    ProductTextFactory(product=product)
    VariantFactory(product=product)
    return product
