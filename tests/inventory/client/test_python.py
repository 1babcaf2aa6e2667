"""What only the Python client has: its configuration, TLS, and that it needs nothing but Python (I12)."""

from __future__ import annotations

import datetime
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from inventory.client import (
    AuthorityConflict,
    AuthorityError,
    AuthorityShort,
    AuthorityTimeout,
    AuthorityUnavailable,
    InventoryAuthorityClient,
    Item,
    Validation,
)
from inventory.client.backoff import delay_before_ms
from tests.house.code import ROOT
from tests.inventory.client.authority import Authority, hangs, problem, says
from tests.inventory.client.callers import Node

SECRET = "tok_very_secret"


def test_it_needs_nothing_but_python():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from inventory.client import InventoryAuthorityClient\n"
        "foreign = {name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names - {'inventory', '__main__'}\n"
        "print(sorted(name for name in foreign if not name.startswith('_')))"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_the_environment_configures_it(monkeypatch: pytest.MonkeyPatch):
    ok = {"ok": True, "shopId": "acme", "items": [{"sku": "A", "variantKey": "A", "requested": 1, "available": 1}]}
    with Authority([says(200, ok), hangs]) as authority:
        monkeypatch.setenv("INVENTORY_AUTHORITY_URL", authority.url + "/below/")
        monkeypatch.setenv("INVENTORY_AUTHORITY_TOKEN", SECRET)
        monkeypatch.setenv("INVENTORY_AUTHORITY_TIMEOUT", "60000")
        assert InventoryAuthorityClient().validate([Item("A", 1)])
        monkeypatch.setenv("INVENTORY_AUTHORITY_TIMEOUT", "200")
        client = InventoryAuthorityClient()
        with pytest.raises(AuthorityTimeout, match="200 ms"):
            client.validate([Item("A", 1)])
    line, headers, _ = authority.asked[0]
    assert (line, headers["authorization"]) == ("POST /below/api/inventory/validate", f"Bearer {SECRET}")


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"url": ""}, "INVENTORY_AUTHORITY_URL"),
        ({"url": "ftp://a.test"}, "INVENTORY_AUTHORITY_URL"),
        ({"url": "https://user:word@a.test"}, "INVENTORY_AUTHORITY_URL"),
        ({"url": "https://a.test/?x=1"}, "INVENTORY_AUTHORITY_URL"),
        ({"url": "https://a.test:99999"}, "INVENTORY_AUTHORITY_URL"),
        ({"url": "https://"}, "INVENTORY_AUTHORITY_URL"),
        ({"token": f"{SECRET}\r\nX-Shop-Id: other"}, "INVENTORY_AUTHORITY_TOKEN"),
        ({"timeout_ms": 0}, "INVENTORY_AUTHORITY_TIMEOUT"),
        ({"timeout_ms": "5s"}, "INVENTORY_AUTHORITY_TIMEOUT"),
        ({"shop_id": "a\r\nb"}, "shop_id"),
    ],
)
def test_a_configuration_that_makes_no_sense(more: dict[str, Any], named: str):
    with pytest.raises(ValueError, match=named) as refused:
        InventoryAuthorityClient(**{"url": "https://a.test", "token": "", **more})
    assert SECRET not in str(refused.value)


def test_the_token_is_in_nothing_that_is_printed(caplog: pytest.LogCaptureFixture):
    caplog.set_level(0)
    with Authority([problem(401, "unauthenticated")]) as authority:
        client = InventoryAuthorityClient(url=authority.url, token=SECRET, timeout_ms=60_000)
        with pytest.raises(AuthorityError) as refused:
            client.health()
    assert SECRET not in f"{client!r} {client} {refused.value!r} {vars(refused.value)} {caplog.text}"


def test_an_error_carries_the_key_that_was_made():
    with Authority([problem(503, "inventory_unavailable")]) as authority:
        client = InventoryAuthorityClient(url=authority.url, token="", timeout_ms=60_000)
        with pytest.raises(AuthorityUnavailable) as failed:
            client.hold([Item("A", 1)])
    assert authority.asked[0][2]["idempotencyKey"] == failed.value.idempotency_key


def test_errors_say_what_they_are():
    assert issubclass(AuthorityShort, AuthorityConflict)
    assert issubclass(AuthorityTimeout, AuthorityUnavailable)
    assert (AuthorityUnavailable.code, AuthorityUnavailable.status) == ("service_unavailable", 503)
    assert (AuthorityTimeout.code, AuthorityTimeout.status) == ("inventory_timeout", 504)
    assert not Validation(ok=False)


@pytest.mark.parametrize(
    ("retry", "first", "jitter", "expected"),
    [
        (0, 250, 0.0, 125),
        (0, 250, 0.5, 250),
        (0, 250, 0.999, 375),
        (1, 250, 0.5, 500),
        (4, 250, 0.5, 4_000),
        (5, 250, 0.5, 5_000),
        (5, 250, 0.999, 7_495),
        (200, 250, 0.0, 2_500),
        (3, 0, 0.7, 0),
    ],
)
def test_the_delay_doubles_with_jitter_up_to_a_cap(retry: int, first: int, jitter: float, expected: int):
    assert delay_before_ms(retry, first_ms=first, jitter=lambda: jitter) == expected


def test_both_clients_wait_alike(node: Node):
    for retry in (0, 1, 2, 7, 40):
        for first in (1, 33, 250, 5_000):
            for jitter in (0.0, 0.123, 0.5, 0.98):
                said = node.call("", "delayBefore", retry, first, jitter)["value"]
                assert said == delay_before_ms(retry, first_ms=first, jitter=lambda j=jitter: j)


@pytest.mark.parametrize(
    "options",
    [
        {"url": "ftp://a.test"},
        {"url": "https://u@a.test"},
        {"url": "https://a.test?x"},
        {"timeoutMs": 0},
        {"token": "a b"},
    ],
)
def test_the_twin_refuses_nonsense_too(node: Node, options: dict[str, Any]):
    url = options.pop("url", "https://a.test")
    assert "refused" in node.call(url, "health", **options)


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"ok": true}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of `localhost` with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "localhost.pem"
    plain = serialization.NoEncryption()
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return file


def test_tls_is_checked(certificate: Path, monkeypatch: pytest.MonkeyPatch):
    server = HTTPServer(("127.0.0.1", 0), _Healthy)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"https://localhost:{server.server_port}"
        with pytest.raises(AuthorityUnavailable):
            InventoryAuthorityClient(url=url, token="", timeout_ms=60_000).health()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        InventoryAuthorityClient(url=url, token="", timeout_ms=60_000).health()
        with pytest.raises(AuthorityUnavailable):
            InventoryAuthorityClient(url=url.replace("localhost", "127.0.0.1"), token="").health()
    finally:
        server.shutdown()
        server.server_close()
