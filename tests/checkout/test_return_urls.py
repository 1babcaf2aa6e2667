"""Where a customer may be sent: the shop's own living hosts. Everything that has ever fooled such a check is tried."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from checkout.models import CheckoutAttempt
from tenants.hosts import host_map
from tenants.models import Host
from tests.checkout.test_hostile_input import UNTOUCHED
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

HERE = "http://band.localhost:8000"
REFUSED = {
    "elsewhere": "http://evil.test:8000/",
    "other shop": "http://other.localhost:8000/",
    "platform": "http://localhost:8000/admin/",
    "hooks": "http://hooks.localhost:8000/",
    "own expired host": "http://gone.localhost:8000/",
    "own host whose date has passed": "http://lapsed.localhost:8000/",
    "userinfo": "http://band.localhost:8000@evil.test:8000/",
    "userinfo, encoded": "http://band.localhost%3A8000@evil.test:8000/",
    "userinfo before us": "http://evil.test@band.localhost:8000/",
    "password before us": "http://a:b@band.localhost:8000/",
    "empty userinfo": "http://@band.localhost:8000/",
    "backslash for a slash": "http:\\\\evil.test:8000/",
    "backslash before the at": "http://evil.test:8000\\@band.localhost:8000/",
    "backslash after the host": "http://band.localhost:8000\\.evil.test/",
    "scheme-relative": "//evil.test:8000/",
    "scheme-relative, own": "//band.localhost:8000/",
    "three slashes": "http:///evil.test:8000/",
    "one slash": "http:/evil.test:8000/",
    "no slash": "http:evil.test:8000",
    "four slashes": "http:////band.localhost:8000/",
    "path alone": "/en/thank-you",
    "path that browsers read as host": "/\\evil.test",
    "javascript": "javascript:alert(1)",
    "javascript with our host": "javascript://band.localhost:8000/%0aalert(1)",
    "JavaScript": "JaVaScRiPt://band.localhost:8000/",
    "data": "data:text/html,<script>alert(1)</script>",
    "vbscript": "vbscript:msgbox(1)",
    "file": "file://band.localhost:8000/etc/passwd",
    "other scheme": "https://band.localhost:8000/",
    "ftp": "ftp://band.localhost:8000/",
    "no scheme": "band.localhost:8000/",
    "other port": "http://band.localhost:8001/",
    "no port": "http://band.localhost/",
    "port 0": "http://band.localhost:0/",
    "port beyond": "http://band.localhost:99999/",
    "port with a sign": "http://band.localhost:+8000/",
    "port that is none": "http://band.localhost:8000.evil.test/",
    "port in other digits": "http://band.localhost:٨٠٠٠/",
    "our name as a beginning": "http://band.localhost.evil.test:8000/",
    "our name as an end": "http://evilband.localhost:8000/",
    "below our name": "http://x.band.localhost:8000/",
    "two dots at the end": "http://band.localhost..:8000/",
    "host encoded": "http://b%61nd.localhost:8000/",
    "slash encoded in the host": "http://evil.test%2f.band.localhost:8000/",
    "wide dot": "http://band。localhost:8000/",
    "circled letter": "http://ⓑand.localhost:8000/",
    "Cyrillic letter": "http://bаnd.localhost:8000/",
    "punycode of it": "http://xn--bnd-5cd.localhost:8000/",
    "dotless i": "http://bıand.localhost:8000/",
    "soft hyphen": "http://band\u00ad.localhost:8000/",
    "zero width": "http://band\u200b.localhost:8000/",
    "slash of another script": "http://evil.test\u2215band.localhost:8000/",
    "at of another width": "http://band.localhost:8000\uff20evil.test/",
    "IP": "http://127.0.0.1:8000/",
    "IP as a number": "http://2130706433:8000/",
    "IPv6": "http://[::1]:8000/",
    "IPv6, open": "http://[::1:8000/",
    "IPv6 with us inside": "http://[band.localhost]:8000/",
    "fragment": f"{HERE}/#@evil.test",
    "empty fragment": f"{HERE}/#",
    "space before": f" {HERE}/",
    "space behind": f"{HERE}/ ",
    "tab within": "http://ev\til.test:8000/",
    "tab in the scheme": "ht\ttp://band.localhost:8000/",
    "line break": f"{HERE}/\r\nLocation: http://evil.test/",
    "NUL": f"{HERE}/\x00",
    "delete": f"{HERE}/\x7f",
    "next line": f"{HERE}/\x85",
    "no-break space": f"{HERE}/\u00a0",
    "other direction": f"{HERE}/\u202etset.live",
    "long": f"{HERE}/{'a' * 2000}",
    "empty": "",
    "a dot": ".",
    "only a scheme": "http://",
}  # fmt: skip
TAKEN = (
    f"{HERE}/done",
    f"{HERE}/done?next=http%3A%2F%2Fevil.test",
    "http://BAND.localhost:8000/",
    "http://alias.localhost:8000/x",
    "HTTP://band.localhost:8000/",
)


@pytest.fixture
def hosts(trade: Trade, other_trade: Trade) -> None:
    now = timezone.now()
    rows = (
        ("alias", {"role": Host.Role.ALIAS}),
        ("gone", {"role": Host.Role.ALIAS, "mode": Host.Mode.EXPIRED}),
        ("lapsed", {"role": Host.Role.ALIAS, "expires_at": now - timedelta(days=1)}),
    )
    for name, more in rows:
        Host.objects.create(hostname=f"{name}.localhost", shop=trade.shop, **more)
    Host.objects.create(hostname="localhost", role=Host.Role.PLATFORM)
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)
    host_map.forget()


def test_no_address_leads_elsewhere(trade: Trade, hosts: None, standin: StandIn) -> None:
    taken = []
    buyer = trade.buyer_with_cart()
    for name, url in REFUSED.items():
        for field in ("returnUrl", "cancelUrl"):
            answer = buyer.checkout({field: url})
            problem = answer.json()
            # A NUL is refused with the whole body, before anybody looks at fields.
            if problem.get("code") != "invalid_request" or list(problem.get("fields", [field])) != [field]:
                taken.append((name, field, answer.status_code))
    assert taken == []
    assert trade.facts() == UNTOUCHED
    assert standin.requests("/v1/") == []


@pytest.mark.parametrize("url", TAKEN)
def test_own_hosts_are_taken_as_they_are(trade: Trade, hosts: None, standin: StandIn, url: str) -> None:
    assert trade.buyer_with_cart().checkout({"returnUrl": url, "cancelUrl": url}).status_code == 201
    params = CheckoutAttempt.objects.get().stripe_params
    assert params["cancel_url"] == url
    assert params["success_url"] == f"{url}{'&' if '?' in url else '?'}session_id={{CHECKOUT_SESSION_ID}}"
