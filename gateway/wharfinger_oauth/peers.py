"""How much one peer may ask before anybody is known: registrations, authorization requests, logins, token requests. Pure but for the count.

A peer is an address; of IPv6 the first 64 bits, which is what one customer of a network has. It is the connection's address, unless that is
of a proxy which the settings trust (`oauth.trustedProxies`): then it is whom that proxy names in X-Forwarded-For. Behind a proxy that is not
named there everybody is one peer.

The limits are for floods, and generous: thousands of people behind one address, who all log in at nine, stay below them.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

from wharfinger_crds.address_ranges import Address, Network
from wharfinger_oauth import paths
from wharfinger_oauth.request import Request

PER_MINUTE: Final[Mapping[str, int]] = MappingProxyType({"register": 600, "authorize": 1_200, "login": 2_400, "token": 6_000})
"""By what is asked for, in each replica; as many may come at once."""
MAX_HOPS: Final = 16
"""Of X-Forwarded-For that are read."""
_NETWORK_BITS: Final = 64
_COUNTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        paths.REGISTER: "register",
        paths.AUTHORIZE: "authorize",
        paths.LOGIN: "login",
        paths.DEVELOPMENT: "login",
        paths.CALLBACK: "login",
        paths.TOKEN: "token",
        paths.REVOKE: "token",
    }
)


class Buckets(Protocol):
    """Counts, for a bounded number of keys."""

    def take(self, key: tuple[str, str], per_minute: int, count: int, now: float, /) -> float:
        """Take so many at `now` (monotonic seconds); return 0, or the seconds after which they can be had, and then take none."""


class Peers:
    """What peers have asked for in the last minute."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def wait(self, path: str, request: Request, proxies: Iterable[Network], now: float) -> int:
        """Count a request to a path at `now` (monotonic seconds); return 0, or after how many seconds it may come again."""
        what = _COUNTED.get(path)
        if what is None or request.verb == "OPTIONS":
            return 0
        peer = peer_of(request.peer, request.headers.get("x-forwarded-for", ()), tuple(proxies))
        return math.ceil(self._buckets.take((what, peer), PER_MINUTE[what], 1, now))


def peer_of(connected: str, forwarded: Sequence[str], proxies: Sequence[Network]) -> str:
    """Return the peer of a connection whose other end says whom it forwards for.

    What a proxy adds stands behind what it was told, so that the last one counts which is no trusted proxy itself.
    """
    address = _address(connected)
    hops = [hop.strip() for field in forwarded for hop in field.split(",")]
    for hop in reversed(hops[-MAX_HOPS:]):
        if address is None or not any(address in network for network in proxies):
            break
        named = _address(hop)
        if named is None:
            break
        address = named
    return _shown(address)


def _address(text: str) -> Address | None:
    # Some proxies add the port: 192.0.2.1:4711, [2001:db8::1]:4711.
    bare = text.removeprefix("[").partition("]")[0] if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def _shown(address: Address | None) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(address), _NETWORK_BITS), strict=False))
    return str(address or "")
