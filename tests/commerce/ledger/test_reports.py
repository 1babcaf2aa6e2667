"""Statement and trial balance on the page, as CSV and as a command; `tie_out` against Stripe's own books."""

from __future__ import annotations

import csv
import json
import random
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from commerce.ledger.statements import Period, period_of_days, statement, totals
from commerce.ledger.tie_out import tie_out
from commerce.models import JournalEntry, Order
from commerce.returns.claiming import ReturnCommand
from commerce.returns.refunding import return_order
from tenants.audit import Actor
from tenants.context import bind_shop, load_shop
from tenants.errors import InvalidRequest
from tenants.models import Host, ShopSettings, StripeObject
from tests.commerce.backoffice import desk, html, text
from tests.commerce.ledger.story import Story
from tests.fixtures.payments import at_stripe, balances, paid_order
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

PAGE = "/admin/commerce/journalentry/statement/"


def today() -> Period:
    return period_of_days(timezone.now().date(), timezone.now().date(), "UTC")


def refund(order: Order, amount: int) -> None:
    shop = load_shop(order.shop_id)
    with bind_shop(shop):
        command = ReturnCommand(order_id=order.pk, reason="A test", key="k", amount=amount)
        return_order(shop=shop, command=command, acting=Actor("staff", "olga"))


def rows(shop_id: str, period: Period) -> dict[str, tuple[int, int, int, int]]:
    return {
        line.account: (line.opening, line.debit, line.credit, line.closing)
        for line in statement(shop_id=shop_id, period=period)
    }


def test_a_statement_says_what_was_and_what_came(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin, 2)
    paid_order(other_trade, standin, 1)
    refund(order, 1000)
    assert rows("band", today()) == {
        "stripe_clearing": (0, 5000, 1175, 3825),
        "revenue": (0, 0, 5000, -5000),
        "sales_returns": (0, 1000, 0, 1000),
        "stripe_fees": (0, 175, 0, 175),
    }
    now = timezone.now()
    tomorrow = Period(now + timedelta(hours=1), now + timedelta(days=2))
    assert rows("band", tomorrow)["stripe_clearing"] == (3825, 0, 0, 3825)
    assert rows("band", Period(None, now + timedelta(days=1)))["revenue"] == (0, 0, 5000, -5000)
    assert rows("band", Period(None, now - timedelta(days=1))) == {}
    (total,) = totals(statement(shop_id="band", period=today()))
    assert (total.currency, total.debit, total.credit, total.closing) == ("EUR", 6175, 6175, 0)


def test_a_day_is_the_shops_own() -> None:
    period = period_of_days(date(2026, 3, 29), date(2026, 3, 29), "Europe/Berlin")  # the clocks go forward
    assert (period.since, period.until) == (
        datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC),
    )  # fmt: skip
    with pytest.raises(InvalidRequest):
        period_of_days(date(2026, 3, 2), date(2026, 3, 1), "UTC")


def test_the_page_shows_it_and_gives_it_as_csv(trade: Trade, standin: StandIn) -> None:
    paid_order(trade, standin, 2)
    office = desk()
    assert f'href="{PAGE}"' in html(office.client.get(reverse("admin:commerce_journalentry_changelist")))
    assert "come to nothing" in text(office.client.get(PAGE))
    asked: dict[str, Any] = {"shop": "band", "first": "", "last": str(timezone.now().date())}
    shown = text(office.client.get(PAGE, asked))
    for said in ("Stripe balance €0.00 €50.00 €1.75 €48.25", "Revenue €0.00 €0.00 €50.00 -€50.00", "Total EUR"):
        assert said in shown
    answer = office.client.get(PAGE, asked | {"format": "csv"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    lines = list(csv.DictReader(StringIO(answer.content.decode())))
    assert lines[0] == {
        "account": "stripe_clearing", "title": "Stripe balance", "currency": "EUR", "opening": "0.00", "debit": "50.00",
        "credit": "1.75", "closing": "48.25",
    }  # fmt: skip
    assert lines[-1]["title"] == "Total"
    backwards = asked | {"first": "2030-01-01"}
    assert "ends before it begins" in text(office.client.get(PAGE, backwards))
    for bad in ({"shop": "nobody"}, {"last": "tomorrow"}, {"first": "x"}, {"shop": ""}):
        assert "Stripe balance" not in text(office.client.get(PAGE, asked | bad))
    assert desk("commerce.view_order").client.get(PAGE, asked).status_code == 403


def test_the_command_writes_it(trade: Trade, standin: StandIn, tmp_path: Path) -> None:
    paid_order(trade, standin, 2)
    out = StringIO()
    call_command("ledger_statement", "--shop", "band", stdout=out)
    assert out.getvalue().splitlines()[0].split() == ["Stripe", "balance", "€0.00", "€50.00", "€1.75", "€48.25"]
    call_command("ledger_statement", "--shop", "band", "--csv", str(tmp_path / "s.csv"), stdout=out)
    assert (tmp_path / "s.csv").read_text().startswith("account,title,currency,opening,debit,credit,closing\n")
    for bad in (["--shop", "nobody"], ["--shop", "band", "--from", "2030-01-02", "--to", "2030-01-01"]):
        with pytest.raises(CommandError):
            call_command("ledger_statement", *bad, stdout=out)


# ---------------------------------------------------------------- tie_out
def test_the_journal_ties_out_and_says_so(trade: Trade, other_trade: Trade, standin: StandIn, tmp_path: Path) -> None:
    refund(paid_order(trade, standin, 2), 1000)
    paid_order(other_trade, standin, 1)
    out = StringIO()
    call_command("tie_out", "--json", str(tmp_path / "t.json"), stdout=out)
    assert out.getvalue().splitlines() == [
        "band acct_standin: 2 objects, Stripe €38.25, journal €38.25",
        "other acct_standin: 1 objects, Stripe €23.97, journal €23.97",
    ]
    before = StringIO()
    call_command("tie_out", "--shop", "band", "--to", "2020-01-01", stdout=before)
    assert before.getvalue() == "band acct_standin: nothing moved in that time\n"
    report = json.loads((tmp_path / "t.json").read_text())
    assert [(one["shopId"], one["compared"], one["differences"], one["unowned"]) for one in report] == [
        ("band", 2, [], []), ("other", 1, [], []),
    ]  # fmt: skip


def test_what_is_missing_on_either_side_is_found(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin, 2)
    standin.call("options", {"refundStatus": "succeeded"})
    Story([trade], standin, random.Random(1))._api(
        "/v1/refunds", {"payment_intent": order.payment_intent_id, "amount": 700}
    )
    since, until = timezone.now() - timedelta(days=1), timezone.now() + timedelta(days=1)
    (report,) = tie_out(shop=load_shop("band"), since=since, until=until)
    assert [(gap.at_stripe, gap.in_journal) for gap in report.unowned] == [(-700, 0)], "no event has told of it"
    with pytest.raises(CommandError):
        call_command("tie_out", "--shop", "band", stdout=StringIO(), stderr=StringIO())
    assert StripeObject.objects.filter(kind="charge").update(object_id="ch_lost") == 1
    (report,) = tie_out(shop=load_shop("band"), since=since, until=until)
    gaps = {(gap.source, gap.at_stripe, gap.in_journal) for gap in report.differences}
    assert gaps == {(order.charge_id, 0, 4825)}
    assert {gap.at_stripe for gap in report.unowned} == {-700, 4825}


def test_entries_from_before_sources_were_kept_are_found_by_their_charge(trade: Trade, standin: StandIn) -> None:
    paid_order(trade, standin, 2)
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE commerce_journalentry DISABLE TRIGGER journal_entry_append_only")
        cursor.execute("UPDATE commerce_journalentry SET source = '' WHERE kind = 'capture'")
        cursor.execute("ALTER TABLE commerce_journalentry ENABLE TRIGGER journal_entry_append_only")
    assert JournalEntry.objects.filter(source="").count() == 1
    since, until = timezone.now() - timedelta(days=1), timezone.now() + timedelta(days=1)
    (report,) = tie_out(shop=load_shop("band"), since=since, until=until)
    assert (report.differences, report.at_stripe) == ([], {"EUR": 4825})


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_month_of_trade_ties_out_to_the_minor_unit(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    """Thirty days of two shops, with what goes wrong in a month; then every cent is where Stripe says."""
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)
    ShopSettings.objects.update(time_zone="Europe/Berlin")
    story = Story([trade, other_trade], standin, random.Random(30))
    began = timezone.now()
    for day in range(30):
        with time_machine.travel(began + timedelta(days=day), tick=True):
            story.buy()
            story.act()
            story.act()
        standin.advance(86_400)
    with time_machine.travel(began + timedelta(days=30), tick=True):
        story.quiet()
        story.judge()
        whole = sum(balances(shop_id).get("stripe_clearing", 0) for shop_id in ("band", "other"))
        assert whole == at_stripe(standin)
        for shop_id in ("band", "other"):
            first, last = began.date(), (began + timedelta(days=31)).date()
            lines = statement(shop_id=shop_id, period=period_of_days(first, last, "Europe/Berlin"))
            assert [total.closing for total in totals(lines)] == [0]
            closing = {line.account: line.closing for line in lines if line.closing}
            assert closing == balances(shop_id)
        call_command("tie_out", "--from", str(began.date()), stdout=StringIO())
