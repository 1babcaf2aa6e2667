"""Whose address counts behind proxies: what a trusted one wrote, never what a client did."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from tenants.client_ip import UNKNOWN, bucket_of, client_address, client_bucket

PEER = "198.51.100.7"

# depth, X-Forwarded-For, address
TABLE = [
    (0, "", PEER),
    (0, "192.0.2.1", PEER),
    (1, "", PEER),
    (1, "192.0.2.1", "192.0.2.1"),
    (1, "1.1.1.1, 192.0.2.1", "192.0.2.1"),
    (1, "1.1.1.1,2.2.2.2,192.0.2.1", "192.0.2.1"),
    (2, "1.1.1.1, 192.0.2.1, 203.0.113.9", "192.0.2.1"),
    (2, "192.0.2.1, 203.0.113.9", "192.0.2.1"),
    # Fewer hops than there should be: it didn't come the way it should have.
    (2, "192.0.2.1", PEER),
    (3, "192.0.2.1, 203.0.113.9", PEER),
    # The entry that counts is no address; the ones beside it don't step in.
    (1, "192.0.2.1, unknown", PEER),
    (1, "192.0.2.1, ", PEER),
    (1, "192.0.2.1, _hidden", PEER),
    (1, "192.0.2.1, 192.0.2.256", PEER),
    (1, "192.0.2.1, 192.0.2", PEER),
    (1, "192.0.2.1, 3221225985", PEER),
    (1, "192.0.2.1, 0300.0.2.1", PEER),
    (1, "192.0.2.1, 192.0.2.1.", PEER),
    (1, "192.0.2.1, 192.0.2.1/32", PEER),
    (1, "192.0.2.1, ١٩٢.0.2.1", PEER),
    (1, "192.0.2.1, 203.0.113.9:x", PEER),
    (1, "192.0.2.1, 203.0.113.9:", PEER),
    (1, "192.0.2.1, [203.0.113.9]", PEER),
    (1, "192.0.2.1, [2001:db8::1", PEER),
    (1, "192.0.2.1, [2001:db8::1]80", PEER),
    (1, "192.0.2.1, 203.0.113.9%eth0", PEER),
    (1, '192.0.2.1, "203.0.113.9"', PEER),
    (1, "192.0.2.1, 203.0.113.9\n", PEER),
    (1, "192.0.2.1 203.0.113.9", PEER),
    (2, "192.0.2.1, rubbish, 203.0.113.9", PEER),
    # An unusable entry on the client's side changes nothing.
    (1, "rubbish, 192.0.2.1", "192.0.2.1"),
    # As proxies write them.
    (1, "192.0.2.1:4711", "192.0.2.1"),
    (1, "\t 192.0.2.1 ", "192.0.2.1"),
    (1, "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
    (1, "[2001:db8::1]", "2001:db8::1"),
    (1, "[2001:db8::1]:4711", "2001:db8::1"),
    (1, "fe80::1%eth0", "fe80::1"),
    (1, "[fe80::1%eth0]:4711", "fe80::1"),
    (1, "::ffff:192.0.2.1", "192.0.2.1"),
    (1, "::FFFF:c000:201", "192.0.2.1"),
]


@pytest.mark.parametrize(("depth", "forwarded_for", "address"), TABLE)
def test_the_table(depth: int, forwarded_for: str, address: str):
    assert client_address(peer=PEER, forwarded_for=forwarded_for, depth=depth) == address


@pytest.mark.parametrize(
    ("peer", "address"),
    [("", UNKNOWN), ("unix:", UNKNOWN), ("@", UNKNOWN), ("::1", "::1"), ("::ffff:127.0.0.1", "127.0.0.1")],
)
def test_a_peer_may_have_no_address(peer: str, address: str):
    assert client_address(peer=peer, forwarded_for="", depth=1) == address


addresses = st.ip_addresses().map(str)
headers = st.text(max_size=200) | st.lists(addresses | st.text(max_size=20), max_size=8).map(", ".join)


@given(peer=st.text(max_size=60) | addresses, header=headers, depth=st.integers(0, 10))
def test_whatever_is_sent_an_address_comes_out_and_has_a_bucket(peer: str, header: str, depth: int):
    address = client_address(peer=peer, forwarded_for=header, depth=depth)
    assert str(ip_address(address)) == address
    assert bucket_of(bucket_of(address)) == bucket_of(address)


@given(sent=st.text(max_size=200), hops=st.lists(addresses, min_size=1, max_size=5))
def test_what_a_client_sends_never_counts(sent: str, hops: list[str]):
    """`hops` are what the trusted proxies appended, the client's own address first."""
    chain = ", ".join([sent, *hops])
    honest = client_address(peer=PEER, forwarded_for=", ".join(hops), depth=len(hops))
    assert client_address(peer=PEER, forwarded_for=chain, depth=len(hops)) == honest


@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"),
        ("2001:db8:1:3::", "2001:db8:1:3::"),
        ("::1", "::"),
    ],
)
def test_buckets(address: str, bucket: str):
    assert bucket_of(address) == bucket


@pytest.mark.parametrize(("depth", "bucket"), [(0, "198.51.100.7"), (1, "2001:db8::"), (2, "192.0.2.1")])
def test_of_a_request(settings: Settings, depth: int, bucket: str):
    settings.TRUSTED_PROXY_DEPTH = depth
    request = RequestFactory().get("/", REMOTE_ADDR=PEER, headers={"X-Forwarded-For": "192.0.2.1, 2001:db8::1"})
    assert client_bucket(request) == bucket
