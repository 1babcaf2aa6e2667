"""Our rules as functions: each reads one parsed module and answers its offences as `line: what`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.house.code import APPS
from tests.house.tasks import unbound_tasks, unscoped_commands
from tests.house.tenancy import unscoped_queries

VAGUE = {"utils", "util", "helpers", "helper", "common", "core", "misc", "shared", "lib"}
DEMO_SHOPS = ("cochlearfit", "cover-me-pretty", "cover_me_pretty")
MONEY_APPS = {"commerce", "checkout", "inventory", "webhooks"}
# What speaks to somebody else's machine. Of the gateway only the modules that call: its failures are data.
NETWORK_MODULES = {
    "stripe",
    "requests",
    "httpx",
    "urllib.request",
    "http.client",
    "smtplib",
    "socket",
    "django.core.mail",
}
GATEWAY = "commerce.gateway"
GATEWAY_DATA = {"commerce.gateway.failures", "commerce.gateway.contracts", "commerce.gateway.signatures"}


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """`(line, dotted module)` of every import, late ones included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module


def rightward_imports(tree: ast.Module, path: str) -> list[str]:
    """An app imports only leftwards, and nothing imports config."""
    app = path.split("/")[0]
    right = APPS[APPS.index(app) + 1 :]
    return [f"{line}: {app} imports {name}" for line, name in imported(tree) if name.split(".")[0] in right]


def foreign_imports(tree: ast.Module, path: str) -> list[str]:
    """Stripe's package belongs to the gateway, unfold to the back office base."""
    found = []
    for line, name in imported(tree):
        root = name.split(".")[0]
        if root == "stripe" and not path.startswith("commerce/gateway/"):
            found.append(f"{line}: stripe outside commerce/gateway")
        if root == "unfold" and path not in {"tenants/backoffice.py", "tenants/backoffice_site.py"}:
            found.append(f"{line}: unfold outside tenants/backoffice.py")
    return found


def floats(tree: ast.Module, path: str) -> list[str]:
    """Amounts and quantities are integers: no float(), no true division, no float literal beside an amount."""
    if path.split("/")[0] not in MONEY_APPS:
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
            found.append(f"{node.lineno}: float()")
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div) and not _joins_paths(node):
            found.append(f"{node.lineno}: true division")
    return found


def _joins_paths(node: ast.BinOp | ast.AugAssign) -> bool:
    """`folder / "name"`: a text on the right (or anywhere in the chain) makes it a path."""
    right = node.right if isinstance(node, ast.BinOp) else node.value
    texts = isinstance(right, ast.JoinedStr) or (isinstance(right, ast.Constant) and isinstance(right.value, str))
    return texts or (isinstance(node, ast.BinOp) and isinstance(node.left, ast.BinOp) and _joins_paths(node.left))


def network_in_transactions(tree: ast.Module, path: str) -> list[str]:
    """Nothing waits for another machine while it holds locks."""
    names = _network_names(tree)
    found = []
    for block in ast.walk(tree):
        if not _is_transaction(block):
            continue
        for node in ast.walk(block):
            if isinstance(node, ast.Call) and _root(node.func) in names:
                found.append(f"{node.lineno}: {ast.unparse(node.func)}() inside a transaction")
    return found


def _network_names(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(a.asname or a.name).split(".")[0] for a in node.names if a.name in NETWORK_MODULES}
        elif isinstance(node, ast.ImportFrom) and node.module:
            speaks = node.module in NETWORK_MODULES or (
                node.module.startswith(GATEWAY) and node.module not in GATEWAY_DATA
            )
            # Functions speak; classes and constants of the gateway are data.
            names |= {a.asname or a.name for a in node.names if speaks and a.name.islower()}
    return names


def _is_transaction(node: ast.AST) -> bool:
    if isinstance(node, ast.With):
        return any(_is_atomic(item.context_expr) for item in node.items)
    return isinstance(node, ast.FunctionDef) and any(_is_atomic(decorator) for decorator in node.decorator_list)


def _is_atomic(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else node
    return ast.unparse(called) in {"transaction.atomic", "atomic"}


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def hidden_flow(tree: ast.Module, path: str) -> list[str]:
    """No model signals and no save() or delete() that does more than it says."""
    found = [
        f"{line}: {name}"
        for line, name in imported(tree)
        if name in {"django.db.models.signals", "django.dispatch", "django.db.backends.signals"}
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any("Model" in ast.unparse(base) for base in node.bases):
            if any("Form" in ast.unparse(base) or "Admin" in ast.unparse(base) for base in node.bases):
                continue
            found += [
                f"{inner.lineno}: {node.name}.{inner.name}()"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef) and inner.name in {"save", "delete"}
            ]
    return found


def default_shops(tree: ast.Module, path: str) -> list[str]:
    """There is no default shop: the demonstration's names live in the demonstration (T8)."""
    if path.startswith(("commerce/demo/", "commerce/management/commands/seed_demo")):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and any(n in node.value for n in DEMO_SHOPS):
            found.append(f"{node.lineno}: {node.value!r}")
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if re.fullmatch(r"(?i)(default|fallback)_?(shop|tenant)(_?id)?", name):
                found.append(f"{node.lineno}: {name}")
    return found


def naive_times(tree: ast.Module, path: str) -> list[str]:
    """Every moment knows its zone."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called.endswith(("datetime.utcnow", "datetime.utcfromtimestamp", "date.today", "datetime.today")):
            found.append(f"{node.lineno}: {called}()")
        if called.endswith("datetime.now") and not node.args and not node.keywords:
            found.append(f"{node.lineno}: {called}() without a zone")
    return found


def long_functions(tree: ast.Module, path: str, *, most: int = 60) -> list[str]:
    """A function fits on a screen."""
    return [
        f"{node.lineno}: {node.name} has {length} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and (length := (node.end_lineno or 0) - node.lineno + 1) > most
    ]


RULES = (
    rightward_imports,
    foreign_imports,
    floats,
    network_in_transactions,
    hidden_flow,
    default_shops,
    naive_times,
    long_functions,
    unscoped_queries,
    unbound_tasks,
    unscoped_commands,
)

INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)[^>]*>|<style\b|\sstyle\s*=|\son[a-z]+\s*=|href\s*=\s*[\"']?\s*javascript:", re.IGNORECASE
)


def inline_code(template: str) -> list[str]:
    """What the storefront's content security policy would block: scripts and styles that aren't files."""
    without_comments = re.sub(r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}", "", template, flags=re.DOTALL)
    # Data for a script is no script.
    without_data = re.sub(r"<script[^>]*type=[\"']application/(ld\+)?json[\"'][^>]*>", "", without_comments)
    return [match.group().strip() for match in INLINE.finditer(without_data)]
