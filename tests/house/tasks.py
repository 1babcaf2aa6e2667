"""A Celery task is one shop's or the platform's, and says which (T1, T8)."""

from __future__ import annotations

import ast
from collections.abc import Iterator

DECORATORS = {"shared_task", "task"}
OWN_MODULE = "tenants/task_roles.py"

# Name of a task → why it spans shops. Each finds what is due for every shop, and acts on each part for its own shop.
PLATFORM_TASKS = {
    "inventory.reap_holds": "Overdue holds of every shop, in turns; each batch is one shop's transaction.",
    "inventory.sweep_imports": "Imports of every shop that stand still; each is handed on to its own shop's task.",
    "inventory.work_on_pool_import": "An import of a pool, which is the platform's, by its id.",
    "inventory.verify_stock": "Proves every stock row of the platform, and repairs nothing.",
    "inventory.watch_stock": "Low stock of every shop and pool, in turns; each batch is one owner's transaction.",
    "inventory.deliver_alert": "One alert by its key: a pool's is no one shop's. It acts for the row's own owner.",
    "inventory.mail_drift": "Tells the platform's people what a proof of the whole platform found.",
    "commerce.resolve_refunds": "Refunds of every shop that nobody waits for; each is looked at under its own shop.",
    "commerce.work_on_charges": "Charges on saved cards of every shop; each is worked on under its own shop.",
    "commerce.work_on_rentals_money": "Finds the shops that rent out; each is handed on to its own shop's tasks.",
    "commerce.tell_subscribers": "Mails of every shop that are due; each is about its own shop's row.",
    "commerce.resolve_operations": "Operations of every shop that nobody waits for; each is asked about under its own.",
    "commerce.post_fees": "Paid orders of every shop whose fee isn't booked yet; each is read under its own shop.",
    "commerce.look_after_rentals": "Overdue and canceled rentals of every shop; each is its own shop's transaction.",
    "inventory.prune_days": "Days that are over, of every shop's rows: nothing reads them any more.",
    "checkout.remove_abandoned_carts": "Carts of every shop, in turns; each batch is one shop's transaction.",
    "checkout.resolve_attempts": "Unfinished attempts of every shop; each is resolved under its own shop.",
    "checkout.work_on_shortages": "Orders of every shop that were paid without stock; each is its own shop's work.",
    "webhooks.catch_up": "Lists the events of every Stripe account; whose each is, is asked when it is handled.",
    "webhooks.reconcile": "Compares the books of every Stripe account; what is found belongs to a shop or to nobody.",
    "webhooks.tie_out": "Hands every shop with a journal on to its own shop's task.",
    "webhooks.sweep_events": "Events that are due, some of them before their shop is known.",
}


def unbound_tasks(tree: ast.Module, path: str) -> list[str]:
    """`base=ShopTask` with a keyword-only `shop_id`, or `base=SystemTask` and a reason in the list above."""
    found = [f"{node.lineno}: {node.name} is a kind of its own" for node in _kinds(tree) if path != OWN_MODULE]
    for node, decorator in _tasks(tree):
        words = {word.arg: word.value for word in decorator.keywords} if isinstance(decorator, ast.Call) else {}
        kind = ast.unparse(words["base"]).rpartition(".")[2] if "base" in words else ""
        if kind == "ShopTask":
            if "shop_id" not in {argument.arg for argument in node.args.kwonlyargs}:
                found.append(f"{node.lineno}: {node.name}() takes no shop_id by keyword alone")
        elif kind != "SystemTask":
            found.append(f"{node.lineno}: {node.name}() is neither a ShopTask nor a SystemTask")
        elif (name := _text(words.get("name"))) not in PLATFORM_TASKS:
            found.append(f"{node.lineno}: {name or node.name} spans shops, and nobody says why")
    return found


def unscoped_commands(tree: ast.Module, path: str) -> list[str]:
    """A command names the scope of its statements, as a task does by its base: `@as_system()` on its `handle`, or
    `as_shop(…)` inside.
    """
    if "/management/commands/" not in path:
        return []
    return [
        f"{node.lineno}: handle() names no scope"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "handle" and not _named_scopes(node)
    ]


def _named_scopes(node: ast.AST) -> set[str]:
    called = {ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
    return called & {"as_system", "as_shop"}


def _tasks(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef, ast.expr]]:
    """Functions with the decorator that makes a task, `app.task` included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                made_by = decorator.func if isinstance(decorator, ast.Call) else decorator
                if ast.unparse(made_by).rpartition(".")[2] in DECORATORS:
                    yield node, decorator


def _kinds(tree: ast.Module) -> Iterator[ast.ClassDef]:
    """Classes made of Celery's own, or of one of ours."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}
            if bases & {"Task", "DjangoTask", "ShopTask", "SystemTask"}:
                yield node


def _text(node: ast.expr | None) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""
