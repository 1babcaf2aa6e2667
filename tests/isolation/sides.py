"""The two shops of the isolation tests: whose is what, what marks their rows, and whether anybody touched them."""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import Model, QuerySet, Value
from django.http import HttpResponse
from django.test import Client

from commerce.cart.cookie import COOKIE_NAME
from inventory.models import InventoryRun
from tenants.scoping import path_to_shop
from tests.fixtures.trade import Buyer, Trade

OURS = ("tenants", "inventory", "commerce", "checkout", "webhooks")
MODELS = [model for app in OURS for model in apps.get_app_config(app).get_models()]
SHOP_MODELS = {model: path for model in MODELS if (path := path_to_shop(model)) is not None}
WATCHED: tuple[type[Model], ...] = (*MODELS, User, Group)
SHORTEST = 6
"""Characters of a text that can be told from another shop's by chance."""


@dataclass
class Side:
    """One of the two shops, with its buyers and its member of staff."""

    trade: Trade
    staff: User
    buyer: Buyer
    sessions: dict[str, str] = field(default_factory=dict)
    """`paid` and `open`: ids of checkout sessions."""
    client_key: str = ""
    token: str = ""
    """A service token of the shop's."""
    holds: dict[str, str] = field(default_factory=dict)
    """Ids of holds that servers placed, by what a test may do to each."""

    @property
    def shop_id(self) -> str:
        return str(self.trade.shop.pk)

    @property
    def cookie(self) -> str:
        return self.buyer.client.cookies[COOKIE_NAME].value

    def rows(self, model: type[Model]) -> QuerySet[Any]:
        path = path_to_shop(model)
        rows = model._default_manager.order_by("pk")
        return rows.filter(**{path: self.shop_id}) if path else rows.none()

    def others(self, model: type[Model]) -> QuerySet[Any]:
        """Rows that aren't this shop's: another's, or the platform's."""
        own = [self.staff.pk] if model is User else self.rows(model).values("pk")
        return model._default_manager.order_by("pk").exclude(pk__in=own)

    def samples(self, model: type[Model]) -> list[Any]:
        """Of the rows that aren't this shop's the oldest and the newest of each shop, and of the platform."""
        path = path_to_shop(model)
        of_whom: dict[Any, list[Any]] = defaultdict(list)
        for row_id, owner in self.others(model).values_list("pk", path or Value("")):
            of_whom[owner].append(row_id)
        ends = {row_id for ids in of_whom.values() for row_id in (ids[0], ids[-1])}
        return list(self.others(model).filter(pk__in=ends))


@dataclass
class World:
    here: Side
    there: Side

    def markers(self) -> set[str]:
        """Texts that only rows of others than `here` hold: what a page for `here` must never show."""
        own, foreign = set[str](), set[str]()
        for model in (*SHOP_MODELS, InventoryRun):
            own |= {text for row in self.here.rows(model) for text in texts(row)}
            foreign |= {text for row in self.here.others(model) for text in texts(row)}
        foreign |= set(User.objects.exclude(pk=self.here.staff.pk).values_list("username", flat=True))
        # `localhost` is the platform's host, and part of every shop's.
        return {text for text in foreign if not any(text in mine for mine in own)}

    def untouched(self) -> dict[str, list[Any]]:
        """Every row that isn't `here`'s, whole."""
        return {model._meta.label: list(self.here.others(model).values_list()) for model in WATCHED}

    def digests(self) -> dict[str, str]:
        """What `untouched` reads, as one digest for each table: one statement, to ask whether anything changed."""
        statement, values = self._of_all_tables
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return dict(cursor.fetchall())

    @cached_property
    def _of_all_tables(self) -> tuple[str, list[Any]]:
        parts, values = [], []
        for model in WATCHED:
            rows, named = self.here.others(model).values_list().query.sql_with_params()
            parts.append(f"SELECT %s, coalesce(md5(string_agg(r::text, ' ')), '') FROM ({rows}) r")
            values += [model._meta.label, *named]
        return " UNION ALL ".join(parts), values


def texts(row: Model) -> Iterator[str]:
    """Every text of a row that is long enough to be told from others, those inside JSON included."""
    meta = row._meta
    yield f"/{meta.app_label}/{meta.model_name}/{row.pk}/"
    for column in meta.concrete_fields:
        yield from (text for text in leaves(getattr(row, column.attname)) if len(text) >= SHORTEST)


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str | UUID):
        yield str(value)
    elif isinstance(value, dict):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)


def shown(markers: set[str], answer: HttpResponse, *, sent: str = "") -> set[str]:
    """Markers in an answer's body and headers, but those that the request itself had named."""
    body = b"".join(answer) if answer.streaming else answer.content  # type: ignore[arg-type]
    said = body.decode(errors="replace") + "\n".join(f"{name}: {value}" for name, value in answer.items())
    said = said.replace(answer.get("X-Request-Id") or "\n", "")  # random digits may spell an order's number
    return {marker for marker in markers if _says(said, marker) and marker not in sent}


def _says(said: str, marker: str) -> bool:
    return marker in said or ((escaped := _escaped(marker)) != marker and escaped in said)


_escaped = cache(html.escape)  # the same thousand markers are looked for in thousands of answers


def browser(user: User) -> Client:
    """A member of staff at the platform host. Errors become answers, as they would for them."""
    client = Client(raise_request_exception=False, headers={"Host": "localhost"})
    client.force_login(user)
    return client
