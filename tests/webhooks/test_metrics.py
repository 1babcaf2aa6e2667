"""What /metrics says of the inbox."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.webhooks.deliver import deliver, event
from webhooks.metrics import InboxGauges


def test_backlog_and_dead_letters_by_shop(trade: Trade, standin: StandIn) -> None:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(InboxGauges())  # type: ignore[arg-type]
    assert registry.get_sample_value("webhook_backlog", {"shop_id": "-"}) == 0
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.fault(path="/v1/checkout/sessions", method="GET", kind="drop_before")
    deliver(event("checkout.session.completed", {"id": session_id, "metadata": {"shop_id": "band"}}))
    deliver(event("checkout.session.completed", {"id": "cs_test_foreign"}, event_id="evt_2"))
    assert registry.get_sample_value("webhook_backlog", {"shop_id": "band"}) == 1
    assert registry.get_sample_value("webhook_dead_letters", {"shop_id": "-"}) == 1
