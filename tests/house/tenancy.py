"""No query on a shop's table without a shop (T8)."""

from __future__ import annotations

import ast
from collections.abc import Iterator

# Tables whose rows are a shop's; a test holds this against the models.
SHOP_TABLES = {
    "AlertDelivery", "AlertWebhook", "AuditEntry", "Cart", "CartLine", "Charge", "ChargeLink", "ChargePolicy",
    "CheckoutAttempt", "Collection", "Coupon",
    "CouponRedemption", "Dispute", "EventDelivery", "Finding", "Hold", "HoldItem", "HoldPeriod", "Host",
    "Invoice",
    "JournalEntry", "JournalLine", "Membership", "Order", "OrderLine", "PoolRoute", "Product", "ProductText",
    "ReconciliationRecord", "RentalClearing", "Refund", "Rental", "RentalEvent", "RentalLine", "RentalUnits",
    "Return", "ReturnLine", "ServiceToken", "ShippingOption", "ShopCredential",
    "ShopSettings", "Shortage", "StockAlert", "StockDay", "StockImport", "StockImportPart", "StockImportRow",
    "StockMovement",
    "StockOwner", "StockRow", "StripeEvent", "StripeObject", "StripeTaxRate", "Subscription",
    "TaxRate", "Variant", "WebhookSecret",
    "Plan", "PlanVersion", "StripePlanPrice", "SubscribeAttempt", "SubscriptionNote", "SubscriptionOperation",
}  # fmt: skip
MANAGERS = {"objects", "_default_manager", "_base_manager"}
# What says whose rows are meant: the shop itself, or a row that was loaded for the shop and that others belong to.
SHOPS = {"shop", "shop_id", "owner", "owner_id"}
PARENTS = {"order", "cart", "product", "entry", "hold", "stock_row", "event", "attempt"}
NAMING = SHOPS | PARENTS | {f"{name}_id" for name in PARENTS}
NARROWING = {"filter", "get", "get_or_create", "update_or_create", "create"}

# `path:function` → why it reads or writes across shops. System entry points that find work for every shop, and the
# places where a shop is found in the first place. Whatever acts on a row does it for the row's own shop.
ALLOWED = {
    "tenants/host_rows.py:_read_entry": "Answers whose a host name is.",
    "tenants/hosts.py:announce": "Tells every process which host names an edit was about.",
    "tenants/staff.py:_shops_of": "Answers which shops a member of staff has.",
    "tenants/credentials.py:shop_of_account": "Answers whose a Stripe account is.",
    "tenants/webhook_secrets.py": "A signature is checked before anybody knows whose event it is; rows by their key.",
    "tenants/callers.py": "A service token is looked up by its own id before anybody knows whose request it is.",
    "inventory/bulk/sweep.py": "Finds imports of every shop that stand still or have had their time.",
    "inventory/bulk/batches.py:_owner": "The key of a shop's stock owner is the shop's id.",
    "inventory/locks.py:lock_routes": "By keys that were found for the shop, under the queues of their rows.",
    "inventory/locks.py:lock_rows": "By keys that were found for the shop: its own rows, or those its routes lead to.",
    "inventory/routes.py": "The platform's own work: which rows of which pools there are, whoever sells them.",
    "inventory/stock.py:create_stock_row_within": "The key of a shop's stock owner is the shop's id.",
    "inventory/alerts.py:_owners": "Finds whose stock to look at; each is looked at alone.",
    "inventory/alert_delivery.py": "Finds deliveries that are due, and claims one by its key; it acts for its owner.",
    "inventory/management/commands/verify_stock.py:handle": "The owner that the operator named.",
    "commerce/admin/catalog.py:key": "A condition on a list that is narrowed already.",
    "commerce/admin/journal.py:key": "A condition on a list that is narrowed already.",
    "commerce/admin/rentals.py:key": "A condition on a list that is narrowed already.",
    "commerce/admin/rentals.py:on_the_day": "Which time zones renting shops have; the list is narrowed already.",
    "commerce/admin/returns.py:get_queryset": "A sum over each return of a list that is narrowed already.",
    "commerce/admin/returns.py:order_key": "A condition on a list that is narrowed already.",
    "commerce/ledger/tie_out.py:_owners": "Answers whose each object of a Stripe account is.",
    "commerce/ledger/fees.py:_due": "Finds orders of every shop without their fee; each is read within its own.",
    "commerce/charges/resolver.py": "Finds charges and links of every shop, and works on each within its own.",
    "commerce/rentals/looking_after.py": "Finds overdue and canceled rentals of every shop, and does each in its own.",
    "commerce/returns/resolver.py": "Finds refunds and returns of every shop, and does each within its own.",
    "commerce/returns/telling.py:untold": "Finds refunds of every shop that staff haven't heard of.",
    "config/bench/front_door.py:_shop": "A measurement's own host, made and removed by its name.",
    "config/bench/http.py:_door": "The same.",
    "config/bench/hold_stage.py:_remove_checkouts": "Events that the measurement made, by their name.",
    "commerce/demo/seeding.py": "The demonstration, which names its shops.",
    "webhooks/admin.py:story": "Deliveries that the reader may see, of events that the reader may see.",
    "webhooks/backfill.py:_record": "Which ids of an account the map has, whosever they are: it never overwrites.",
    "webhooks/catch_up.py": "Events are stored before anybody knows whose they are; accounts of every shop are listed.",
    "webhooks/reconcile.py": "An account's books are compared before anybody knows whose each entry is.",
    "webhooks/receive.py:_once_more": "By the key that its delivery was stored under; the shop is asked next.",
    "webhooks/storing.py:note_delivery": "By the key of the delivery that this very request brought.",
    "webhooks/inbox.py": "Claims events by their key; the handler acts for the event's shop alone.",
    "webhooks/metrics.py": "Figures of the platform, labelled by shop.",
    "checkout/shortage_notes.py:_open": "Finds the cases of every shop; each is worked on for its own.",
    "checkout/shortage_notes.py:_due": "Finds whom to tell in every shop; each is told for its own.",
    "checkout/shortage_admin.py:key": "A condition on a list that is narrowed already.",
    "checkout/abandoned_carts.py:_shops": "Finds whose carts are abandoned; each shop's are removed within its own.",
    "checkout/cart_admin.py:key": "A condition on a list that is narrowed already.",
    "commerce/subscriptions/booking.py:_due": "Finds invoices of every shop without their fee; each is read alone.",
    "commerce/subscriptions/telling.py:run_once": "Finds whom to tell in every shop; each is told for its own.",
    "commerce/subscriptions/resolver.py:_due": "Finds operations of every shop, and does each within its own.",
    "checkout/subscribing/resolver.py": "Finds unfinished attempts of every shop, and resolves each within its own.",
    "checkout/resolver.py": "Finds unfinished attempts of every shop, and resolves each within its own.",
    "checkout/release_guard.py:reap_overdue": "Finds overdue holds of every shop for the reaper.",
}


def unscoped_queries(tree: ast.Module, path: str) -> list[str]:
    """A query on a shop's table names the shop, or a row of it: `for_shop`, `shop_id=`, `order=`, the pk of a row."""
    return [f"{line}: {what} in {where}" for line, what, where in queries(tree) if not allowed(path, where)]


def allowed(path: str, where: str) -> bool:
    return path in ALLOWED or f"{path}:{where}" in ALLOWED


def queries(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """`(line, query, function)` of every query on a shop's table that names neither a shop nor a row."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr not in MANAGERS or _name(node.value) not in SHOP_TABLES:
            continue
        chain, calls = node, list[ast.Call]()
        while isinstance(above := parents[chain], ast.Attribute | ast.Call) and _continues(above, chain):
            chain = above  # type: ignore[assignment]
            if isinstance(above, ast.Call):
                calls.append(above)
        if not any(map(_names_shop, calls)) and not _is_narrowed(parents[chain]):
            yield node.lineno, ast.unparse(chain)[:80], _function(node, parents)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _continues(above: ast.Attribute | ast.Call, chain: ast.expr) -> bool:
    """`X.objects.filter(…)` goes on where it is the called or the object, not where it is an argument."""
    return above.value is chain if isinstance(above, ast.Attribute) else above.func is chain


def _names_shop(call: ast.Call) -> bool:
    method = _name(call.func)
    if method in {"for_shop", "none"}:
        return True
    if method in {"bulk_create", "bulk_update"}:
        return True  # rows that carry their shop: it is no table's to lack, and was asked for when they were read
    if method not in NARROWING:
        return False
    return any(_is_shops(word) for word in call.keywords)


def _is_shops(word: ast.keyword) -> bool:
    """`shop_id=…`, `order__in=…`, `hold__shop_id=…`, `pk=row.pk`. A bare `pk=` comes from who knows where."""
    if word.arg is None:
        return False
    parts = word.arg.removesuffix("__in").split("__")
    if parts[-1] in SHOPS or (parts[0] in NAMING and len(parts) == 1):
        return True
    return word.arg in {"pk", "id"} and isinstance(word.value, ast.Attribute) and word.value.attr in {"pk", "id"}


def _is_narrowed(above: ast.AST) -> bool:
    """Handed to a member of staff's scope, which keeps what is theirs: `scope.rows(…, "shop")`."""
    return isinstance(above, ast.Call) and isinstance(above.func, ast.Attribute) and (
        above.func.attr == "rows" and "scope" in ast.unparse(above.func.value)
    )  # fmt: skip


def _function(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> str:
    """The outermost function around a node: what it defines inside is its own business."""
    found = "module"
    while node in parents:
        node = parents[node]
        if isinstance(node, ast.FunctionDef):
            found = node.name
    return found
