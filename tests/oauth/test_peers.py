"""Who a request comes from, and how much he may ask before anybody is known."""

import pytest

from wharfinger_crds.address_ranges import network
from wharfinger_gateway.limits import Buckets
from wharfinger_oauth import paths
from wharfinger_oauth.peers import PER_MINUTE, Peers, peer_of
from wharfinger_oauth.request import Request

INGRESS = (network("10.1.0.0/16"), network("fd00:1::/64"))


def asked(path: str, peer: str = "203.0.113.7", *forwarded: str, verb: str = "POST") -> Request:
    return Request(verb, path, peer=peer, headers={"x-forwarded-for": forwarded})


@pytest.mark.parametrize(
    ("connected", "forwarded", "peer"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.1.2.3", ["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["192.0.2.66", "198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["198.51.100.1, 10.1.9.9"], "198.51.100.1"),
        ("10.1.2.3", ["192.0.2.66, 198.51.100.1, 10.1.9.9,10.1.9.8"], "198.51.100.1"),
        ("10.1.2.3", ["10.1.9.9"], "10.1.9.9"),
        ("10.1.2.3", ["198.51.100.1, unknown"], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.1, "], "10.1.2.3"),
        ("10.1.2.3", ["x" * 9_000], "10.1.2.3"),
        ("::ffff:10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("fd00:1::9", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("fd00:1::9", ["[2001:db8:1:2::6]:4711"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", [], "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("", ["198.51.100.1"], ""),
        ("@abstract", [], ""),
    ],
)
def test_a_peer_is_the_connections_address_or_whom_trusted_proxies_name_last(connected: str, forwarded: list[str], peer: str) -> None:
    assert peer_of(connected, forwarded, INGRESS) == peer


@pytest.mark.parametrize(
    "path", [paths.REGISTER, paths.AUTHORIZE, paths.LOGIN, paths.CALLBACK, paths.DEVELOPMENT, paths.TOKEN, paths.REVOKE]
)
def test_a_flood_from_one_address_is_told_to_wait_and_nobody_else_is(path: str) -> None:
    peers = Peers(Buckets())
    count = next(number for number in range(10_000) if peers.wait(path, asked(path), INGRESS, 0.0))
    assert count in PER_MINUTE.values()
    assert peers.wait(path, asked(path, "203.0.113.8"), INGRESS, 0.0) == 0
    assert peers.wait(path, asked(path), INGRESS, 1.5) == 0
    through = [peers.wait(path, asked(path, "10.1.2.3", f"198.51.100.{number % 200}"), INGRESS, 2.0) for number in range(2 * count)]
    assert set(through) == {0}


def test_addresses_of_one_customer_count_together_and_what_costs_nothing_is_not_counted() -> None:
    peers = Peers(Buckets())
    waits = [peers.wait(paths.REGISTER, asked(paths.REGISTER, f"2001:db8::{number:x}"), (), 0.0) for number in range(601)]
    assert waits[:600] == [0] * 600
    assert waits[600] == 1
    for path in (paths.JWKS, paths.SERVER_METADATA, paths.CONSENT):
        assert peers.wait(path, asked(path, "2001:db8::1"), (), 0.0) == 0
    assert peers.wait(paths.REGISTER, asked(paths.REGISTER, "2001:db8::1", verb="OPTIONS"), (), 0.0) == 0
