"""Counters of the inbox, by the contract's names. `shop_id` is empty where no shop is known."""

from prometheus_client import Counter, Histogram

SIGNATURE_REFUSED = Counter("webhook_signature_refused_total", "Deliveries without a valid signature.", ["shop_id"])
TENANT_MISMATCH = Counter("webhook_tenant_mismatch_total", "Events of another shop, or of two.", ["shop_id"])
TENANT_UNRESOLVABLE = Counter("webhook_tenant_unresolvable_total", "Events of no known shop.", ["shop_id"])
PROCESS_SECONDS = Histogram("webhook_process_seconds", "Handling of one event.", ["shop_id", "type"])
