"""The house rules, on the project and on samples: a rule that never bites is no rule."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command

from config.celery import app as worker
from tenants.scoping import ShopQuerySet, path_to_shop
from tenants.task_roles import ShopTask, SystemTask
from tests.house import rules, tasks, tenancy
from tests.house.code import APPS, ROOT, shown, sources, tree

Rule = Callable[[ast.Module, str], list[str]]

# (rule, path it pretends to be at, source that is fine, source that isn't)
SAMPLES: list[tuple[Rule, str, str, str]] = [
    (rules.rightward_imports, "inventory/x.py", "from tenants.models import Shop", "from commerce.models import Order"),
    (rules.rightward_imports, "tenants/x.py", "import inventoryless", "def f():\n    import config.settings"),
    (rules.rightward_imports, "webhooks/x.py", "from checkout.settle import f", "from config import problems"),
    (rules.foreign_imports, "commerce/gateway/client.py", "import stripe", "from unfold.admin import ModelAdmin"),
    (rules.foreign_imports, "checkout/start.py", "import striped", "from stripe import StripeClient"),
    (rules.foreign_imports, "tenants/backoffice.py", "from unfold import admin", "import stripe.error"),
    (rules.floats, "commerce/x.py", "half = amount // 2", "half = amount / 2"),
    (rules.floats, "checkout/x.py", "total = int(raw)", "total = float(raw)"),
    (rules.floats, "inventory/x.py", "path = root / 'a' / name", "held /= 2"),
    (rules.floats, "commerce/x.py", "rate = Decimal('0.19')", "gross = net + net * rate / 100"),
    (
        rules.network_in_transactions,
        "checkout/x.py",
        "from commerce.gateway.sessions import create_session\n"
        "with transaction.atomic():\n    claim()\ncreate_session()",
        "from commerce.gateway.sessions import create_session\nwith transaction.atomic():\n    create_session()",
    ),
    (
        rules.network_in_transactions,
        "checkout/x.py",
        "from commerce.gateway.failures import classify\n@transaction.atomic(durable=True)\ndef f():\n    classify(1)",
        "import requests\n@transaction.atomic(durable=True)\ndef f():\n    requests.post('x')",
    ),
    (
        rules.hidden_flow,
        "commerce/x.py",
        "class Order(models.Model):\n    def total(self): ...\nclass F(forms.ModelForm):\n    def save(self): ...",
        "class Order(models.Model):\n    def save(self): ...",
    ),
    (rules.hidden_flow, "commerce/x.py", "from celery.signals import x", "from django.db.models.signals import a"),
    (rules.default_shops, "checkout/x.py", "shop = 'acme'", "shop = 'cochlearfit'"),
    (rules.default_shops, "tenants/x.py", "default_locale = 'en'", "shop = settings.DEFAULT_SHOP_ID"),
    (rules.naive_times, "checkout/x.py", "datetime.now(UTC)", "datetime.now()"),
    (rules.naive_times, "checkout/x.py", "timezone.now()", "date.today()"),
    (rules.long_functions, "checkout/x.py", "def f():\n" + "    a()\n" * 59, "def f():\n" + "    a()\n" * 60),
    (rules.unscoped_queries, "commerce/x.py", "Order.objects.for_shop(s).get(pk=1)", "Order.objects.get(pk=order_id)"),
    (
        rules.unscoped_queries,
        "inventory/x.py",
        "StockRow.objects.filter(owner_id=s, pk=1)",
        "StockRow.objects.filter()",
    ),
    (
        rules.unscoped_queries,
        "checkout/x.py",
        "Hold.objects.filter(pk=hold.pk)",
        "Hold.objects.filter(pk=command.hold_id)",
    ),
    (
        rules.unscoped_queries,
        "commerce/x.py",
        "OrderLine.objects.filter(order_id=order.pk).update(x=1)\nShop.objects.get(pk=1)",
        "models.Order.objects.all().order_by('x')",
    ),
    (
        rules.unscoped_queries,
        "config/x.py",
        "scope.rows(Order.objects.filter(status='x'), 'shop')",
        "rows(Order.objects.exclude(shop_id='x'))",
    ),
    (
        rules.unscoped_queries,
        "tenants/credentials.py",
        "def shop_of_account():\n    ShopCredential.objects.get(pk=1)",
        "def taken():\n    Order._base_manager.count()",
    ),
    (
        rules.unbound_tasks,
        "inventory/x.py",
        "@shared_task(base=ShopTask, name='x')\ndef f(*, shop_id: str): ...",
        "@shared_task(name='x')\ndef f(*, shop_id: str): ...",
    ),
    (
        rules.unbound_tasks,
        "inventory/x.py",
        "@shared_task(base=task_roles.SystemTask, name='inventory.reap_holds')\ndef f(): ...",
        "@shared_task(base=SystemTask, name='inventory.of_everybody')\ndef f(): ...",
    ),
    (
        rules.unbound_tasks,
        "inventory/x.py",
        "@app.task(base=ShopTask)\ndef f(alert: int, *, shop_id: str): ...",
        "@app.task(base=ShopTask)\ndef f(shop_id: str): ...",
    ),
    (rules.unbound_tasks, "inventory/x.py", "class Task(Model): ...", "class Mine(celery.Task): ..."),
    (rules.unbound_tasks, "inventory/x.py", "def f(): ...", "@app.task\ndef f(): ..."),
    (
        rules.unscoped_commands,
        "inventory/management/commands/x.py",
        "class Command:\n    @as_system()\n    def handle(self): ...",
        "class Command:\n    def handle(self): ...",
    ),
]


@pytest.mark.parametrize(("rule", "path", "fine", "wrong"), SAMPLES, ids=[f"{s[0].__name__}" for s in SAMPLES])
def test_a_rule_tells_good_from_bad(rule: Rule, path: str, fine: str, wrong: str):
    assert rule(ast.parse(fine), path) == []
    assert len(rule(ast.parse(wrong), path)) >= 1


def test_every_rule_has_a_sample():
    assert {sample[0] for sample in SAMPLES} == set(rules.RULES)


def test_the_tables_of_shops_are_those_of_the_models():
    models = [model for app in APPS[:-1] for model in apps.get_app_config(app).get_models()]
    found = {model.__name__ for model in models if path_to_shop(model) not in {None, "pk"}}
    assert found == tenancy.SHOP_TABLES


def test_each_of_them_is_asked_by_shop():
    for app in APPS[:-1]:
        for model in apps.get_app_config(app).get_models():
            if path_to_shop(model) in {"shop", "owner__shop"}:
                assert isinstance(model._default_manager.all(), ShopQuerySet), model


def test_no_query_is_allowed_that_is_not_made():
    made = {(shown(path), where) for path in sources() for _, _, where in tenancy.queries(tree(path))}
    used = {path for path, _ in made} | {f"{path}:{where}" for path, where in made}
    assert tenancy.ALLOWED.keys() - used == set()


@pytest.mark.django_db
def test_a_worker_knows_no_other_tasks():
    """What the source doesn't show: tasks of packages, made by calls, registered by configuration."""
    worker.loader.import_default_modules()
    ours = {name: task for name, task in worker.tasks.items() if not name.startswith(("celery.", "tests."))}
    assert {name for name, task in ours.items() if not isinstance(task, ShopTask | SystemTask)} == set()
    assert {name for name, task in ours.items() if isinstance(task, SystemTask)} == set(tasks.PLATFORM_TASKS)


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_project_keeps_it(rule: Rule):
    offences = [f"{shown(path)}:{offence}" for path in sources() for offence in rule(tree(path), shown(path))]
    assert offences == []


def test_names_say_what_is_inside():
    folders = {folder for path in sources() for folder in path.relative_to(ROOT).parent.parts}
    assert (folders | {path.stem for path in sources()}) & rules.VAGUE == set()


def test_files_stay_readable():
    lengths = {shown(path): len(path.read_text().splitlines()) for path in sources()}
    assert {path: length for path, length in lengths.items() if length > 400} == {}


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ('<script src="/static/cart.js" defer></script><link rel="stylesheet" href="/static/shop.css">', []),
        ('{# <script> #}<script type="application/json" id="cart">{}</script><p class="style">onion = 1</p>', []),
        ("<script>alert(1)</script>", ["<script>"]),
        ("<style>p{}</style>", ["<style"]),
        ('<p style="color:red">', ["style="]),
        ('<button onclick="buy()">', ["onclick="]),
        ('<a href="javascript:buy()">', ['href="javascript:']),
    ],
)
def test_inline_code_is_found(template: str, found: list[str]):
    assert rules.inline_code(template) == found


def test_pages_of_a_shop_have_no_inline_code():
    pages = sorted((ROOT / "templates" / "storefront").rglob("*.html"))
    assert {shown(page): found for page in pages if (found := rules.inline_code(page.read_text()))} == {}


def test_the_import_contracts_hold():
    linter = Path(sys.executable).with_name("lint-imports")
    told = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 0, told.stdout


@pytest.mark.django_db
def test_migrations_are_complete():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_migrations_are_linear():
    for app in APPS:
        found = sorted((ROOT / app / "migrations").glob("0*.py")) if (ROOT / app / "migrations").exists() else []
        assert [path.name[:4] for path in found] == [f"{n:04}" for n in range(1, len(found) + 1)]
