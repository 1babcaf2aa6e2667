"""Pools and the routes that lead shops to them (I9). Verbs of the platform's staff; every one is audited with a reason.

A route is one variant of one shop sold from one row of a pool. Its allocation is what the shop may have of that row:
units in its active holds, and units it has sold since the allocation was last renewed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import IntegrityError, transaction

from inventory.locks import bound_lock_waits, busy_on_lock_timeout, lock_routes, queue_for_rows
from inventory.models import Pool, PoolRoute, StockRow
from inventory.variants import MAX_SKU_LENGTH, MalformedVariant, complete_key
from tenants.audit import Actor, record_audit
from tenants.errors import InvalidRequest, NotFound, WrongState
from tenants.models import Shop

POOL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,61}")
MAX_CAP: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class NewRoute:
    """A shop's variant and the pool's row that it is sold from. `cap` None: all that the row has."""

    shop_id: str
    sku: str
    variant_key: str
    stock_row_id: int
    cap: int | None


def create_pool(*, name: str, title: str, note: str, acting: Actor) -> Pool:
    """A pool `pool:<name>`, on, with nothing in it. Raises InvalidRequest, also when there is one of that name."""
    with transaction.atomic(durable=True):
        return create_pool_within(name=name, title=title, note=note, acting=acting)


def create_pool_within(*, name: str, title: str, note: str, acting: Actor) -> Pool:
    """As create_pool, in the caller's transaction."""
    if not POOL_NAME.fullmatch(name):
        raise InvalidRequest("Not a pool's name.", {"name": ["Lower-case letters, digits and hyphens."]})
    pool, created = Pool.objects.get_or_create(pk=f"pool:{name}", defaults={"name": title})
    if not created:
        raise InvalidRequest("There is a pool of this name already.", {"name": ["Taken."]})
    _audit("pool.created", "pool", pool.pk, None, acting, note, {"title": title})
    return pool


def set_pool_enabled(*, pool_id: str, enabled: bool, note: str, acting: Actor) -> None:
    """Turns a pool on or off: off, it lends nothing new, and what is held or sold ends as it would have.

    Raises NotFound, and WrongState when it is so already.
    """
    with transaction.atomic(durable=True):
        pool = Pool.objects.select_for_update(no_key=True).filter(pk=pool_id).first()
        if pool is None:
            raise NotFound("There is no such pool.")
        if pool.enabled == enabled:
            raise WrongState(f"It is {'on' if enabled else 'off'} already.")
        Pool.objects.filter(pk=pool_id).update(enabled=enabled)
        _audit("pool.enabled" if enabled else "pool.disabled", "pool", pool_id, None, acting, note, {})


def add_routes(*, routes: Sequence[NewRoute], note: str, acting: Actor) -> list[PoolRoute]:
    """All of them or none. Units that the shop holds of its own stock stay where they are; new holds take the route.

    Raises InvalidRequest, naming the route, for what no route can be and for a variant or row that has one already.
    """
    with transaction.atomic(durable=True):
        return add_routes_within(routes=routes, note=note, acting=acting)


def add_routes_within(*, routes: Sequence[NewRoute], note: str, acting: Actor) -> list[PoolRoute]:
    """As add_routes, in the caller's transaction."""
    if faults := faults_of(routes):
        raise InvalidRequest("Not every route can be added.", {f"routes[{at}]": [why] for at, why in faults.items()})
    pools = dict(StockRow.objects.filter(pk__in={r.stock_row_id for r in routes}).values_list("pk", "owner_id"))
    try:
        with transaction.atomic():
            added = PoolRoute.objects.bulk_create(
                PoolRoute(
                    shop_id=route.shop_id,
                    sku=route.sku,
                    variant_key=route.variant_key,
                    pool_id=pools[route.stock_row_id],
                    stock_row_id=route.stock_row_id,
                    allocation_cap=route.cap,
                )
                for route in routes
            )
    except IntegrityError as error:  # somebody added one of them in between
        raise InvalidRequest("One of the variants has got a route meanwhile.", {"routes": ["Look again."]}) from error
    for route in added:
        data = {"variantKey": route.variant_key, "pool": route.pool_id, "row": route.stock_row_id}
        _audit("route.added", "route", route.pk, route.shop_id, acting, note, data | {"cap": route.allocation_cap})
    return added


def faults_of(routes: Sequence[NewRoute]) -> dict[int, str]:
    """Why routes can't be added, by position. Five queries, whatever their number."""
    shops = set(Shop.objects.filter(pk__in={r.shop_id for r in routes}).values_list("pk", flat=True))
    row_ids = {r.stock_row_id for r in routes}
    rows = set(StockRow.objects.filter(pk__in=row_ids, owner__shop__isnull=True).values_list("pk", flat=True))
    live = PoolRoute.objects.filter(shop__in=shops, enabled=True)
    taken = set(
        live.filter(variant_key__in={r.variant_key for r in routes}).values_list("shop_id", "variant_key"),
    )
    led = set(live.filter(stock_row__in=row_ids).values_list("shop_id", "stock_row_id"))
    faults: dict[int, str] = {}
    for position, route in enumerate(routes):
        if why := _fault(route, shops=shops, rows=rows, taken=taken, led=led):
            faults[position] = why
        taken.add((route.shop_id, route.variant_key))
        led.add((route.shop_id, route.stock_row_id))
    return faults


def _fault(
    route: NewRoute, *, shops: set[str], rows: set[int], taken: set[tuple[str, str]], led: set[tuple[str, int]]
) -> str:
    if route.shop_id not in shops:
        return f"There is no shop {route.shop_id}."
    if route.stock_row_id not in rows:
        return "There is no such row in any pool."
    if route.cap is not None and not 0 <= route.cap <= MAX_CAP:
        return f"A cap is a whole number from 0 to {MAX_CAP:,}."
    try:
        if complete_key(route.sku, route.variant_key) != route.variant_key:
            return "The variant key is not in its canonical form."
    except MalformedVariant as error:
        return error.detail
    if (route.shop_id, route.variant_key) in taken:
        return f"{route.variant_key} has a route already."
    if (route.shop_id, route.stock_row_id) in led:
        return "Another variant of this shop leads to that row: one row, one route."
    return ""


def end_route(*, shop_id: str, route_id: int, note: str, acting: Actor) -> None:
    """From now on the shop sells its own stock of the variant. Holds through the route end as they would have.

    Raises NotFound, WrongState when it has ended, InventoryBusy.
    """
    with busy_on_lock_timeout(shop_id=shop_id), transaction.atomic(durable=True):
        route = _locked(shop_id, route_id)
        PoolRoute.objects.filter(pk=route.pk).update(enabled=False)
        _audit("route.ended", "route", route.pk, shop_id, acting, note, {"held": route.held, "sold": route.sold})


def set_allocation(*, shop_id: str, route_id: int, cap: int | None, note: str, acting: Actor) -> None:
    """Units that the shop may hold and have sold at most; None: all there are.

    Raises InvalidRequest, NotFound, InventoryBusy, and WrongState when it has more already or the route has ended.
    """
    if cap is not None and (type(cap) is not int or not 0 <= cap <= MAX_CAP):
        raise InvalidRequest("Not a cap.", {"cap": [f"A whole number from 0 to {MAX_CAP:,}."]})
    with busy_on_lock_timeout(shop_id=shop_id), transaction.atomic(durable=True):
        route = _locked(shop_id, route_id)
        used = route.held + route.sold
        if cap is not None and cap < used:
            raise WrongState(f"{route.held} units are held and {route.sold} sold: the cap can't be below {used}.")
        PoolRoute.objects.filter(pk=route.pk).update(allocation_cap=cap)
        data = {"before": route.allocation_cap, "after": cap}
        _audit("route.allocation_set", "route", route.pk, shop_id, acting, note, data)


def renew_allocation(*, shop_id: str, route_id: int, note: str, acting: Actor) -> None:
    """Begins the allocation anew, as when goods have come in: what was sold so far no longer counts against the cap.

    Raises NotFound, InventoryBusy, WrongState when the route has ended.
    """
    with busy_on_lock_timeout(shop_id=shop_id), transaction.atomic(durable=True):
        route = _locked(shop_id, route_id)
        PoolRoute.objects.filter(pk=route.pk).update(sold=0)
        _audit("route.allocation_renewed", "route", route.pk, shop_id, acting, note, {"soldBefore": route.sold})


def resume_route(*, shop_id: str, route_id: int, note: str, acting: Actor) -> None:
    """Takes up a route that has ended, with the allocation that it had. Raises NotFound, InventoryBusy, and WrongState
    when it runs already or when its variant or its row has another route by now.
    """
    with busy_on_lock_timeout(shop_id=shop_id), transaction.atomic(durable=True):
        route = _locked(shop_id, route_id, ended=True)
        try:
            with transaction.atomic():
                PoolRoute.objects.filter(pk=route.pk).update(enabled=True)
        except IntegrityError as error:
            raise WrongState("Its variant or its row has another route by now.") from error
        _audit("route.resumed", "route", route.pk, shop_id, acting, note, {"held": route.held, "sold": route.sold})


def parse_routes(text: str) -> tuple[list[NewRoute], dict[int, str]]:
    """Routes from lines `shop, SKU, attributes, pool, pool's variant key, cap`, and faults by line number from 1.

    Attributes, the pool's key (the shop's own then) and the cap may be empty; lines that are empty or begin with # are
    left out. Six queries, whatever the number of lines.
    """
    faults: dict[int, str] = {}
    read: dict[int, tuple[str, str, str, str, str, int | None]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            read[number] = _parsed(line)
        except InvalidRequest as error:
            faults[number] = error.detail
    rows = _rows_by_pool({(pool, key) for _, _, _, pool, key, _ in read.values()})
    routes: dict[int, NewRoute] = {}
    for number, (shop_id, sku, variant_key, pool, key, cap) in read.items():
        if (row_id := rows.get((pool, key))) is None:
            faults[number] = f"{pool} has no row of {key}."
        else:
            routes[number] = NewRoute(shop_id, sku, variant_key, row_id, cap)
    numbers = list(routes)
    faults |= {numbers[at]: why for at, why in faults_of(list(routes.values())).items()}
    return list(routes.values()), dict(sorted(faults.items()))


def _parsed(line: str) -> tuple[str, str, str, str, str, int | None]:
    parts = [part.strip() for part in line.split(",")]
    if not 4 <= len(parts) <= 6:
        raise InvalidRequest("Four to six parts: shop, SKU, attributes, pool, the pool's variant key, cap.")
    shop_id, sku, attributes, pool, key, cap = parts + [""] * (6 - len(parts))
    if not 1 <= len(sku) <= MAX_SKU_LENGTH or "\0" in line:
        raise InvalidRequest(f"A SKU has 1 to {MAX_SKU_LENGTH} characters.")
    if cap and not re.fullmatch(r"[0-9]{1,10}", cap):
        raise InvalidRequest("A cap is a whole number, or empty.")
    try:
        variant_key = complete_key(sku, attributes)
    except MalformedVariant as error:
        raise InvalidRequest(error.detail) from error
    pool_id = pool if pool.startswith("pool:") else f"pool:{pool}"
    return shop_id, sku, variant_key, pool_id, key or variant_key, int(cap) if cap else None


def _rows_by_pool(wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    pairs = set(wanted)
    rows = StockRow.objects.filter(
        owner__in={pool for pool, _ in pairs}, owner__shop__isnull=True, variant_key__in={key for _, key in pairs}
    )
    return {(owner, key): pk for pk, owner, key in rows.values_list("pk", "owner_id", "variant_key")}


def _locked(shop_id: str, route_id: int, *, ended: bool = False) -> PoolRoute:
    """The shop's route under its row's queue. Raises NotFound, and WrongState when it has ended, or hasn't."""
    bound_lock_waits()
    queue_for_rows(PoolRoute.objects.for_shop(shop_id).filter(pk=route_id).values_list("stock_row_id", flat=True))
    route = lock_routes([route_id]).get(route_id)
    if route is None or route.shop_id != shop_id:
        raise NotFound("There is no such route.")
    if route.enabled == ended:
        raise WrongState("The route runs." if ended else "The route has ended.")
    return route


def _audit(
    action: str, kind: str, object_id: object, shop_id: str | None, acting: Actor, note: str, data: Mapping[str, object]
) -> None:  # fmt: skip
    record_audit(
        shop_id=shop_id,
        acting=acting,
        action=action,
        object_type=kind,
        object_id=object_id,
        reason=note,
        data=dict(data),
    )
