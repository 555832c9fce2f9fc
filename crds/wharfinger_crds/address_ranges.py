"""Ranges of addresses: the canonical form of a block, and what no rule opens unless it names it.

Sources: the IANA special-purpose registries for IPv4 and IPv6, and the metadata services of the clouds.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


@functools.lru_cache(maxsize=4096)
def network(text: str) -> Network:
    """Return a block in its one form: host bits zero, IPv4 also where it was written as IPv4-mapped IPv6. Raises ValueError."""
    found = ipaddress.ip_network(text, strict=False)
    if isinstance(found, ipaddress.IPv6Network) and found.subnet_of(_MAPPED):
        return ipaddress.IPv4Network((int(found.network_address) & 0xFFFFFFFF, found.prefixlen - 96))
    return found


def _networks(*blocks: str) -> tuple[Network, ...]:
    return tuple(network(block) for block in blocks)


FLOOR: Final = _networks(
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
    "::/127", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "fc00::/7", "fe80::/10", "ff00::/8",
)  # fmt: skip
"""What is never part of the internet: metadata services, private, link-local and translated ranges. A rule opens them by naming them only."""
_METADATA: Final = _networks(
    "168.63.129.16/32", "169.254.169.252/32", "169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", "100.100.100.200/32",
    "192.0.0.192/32", "fd00:ec2::/64", "fd20:ce::254/128",
)  # fmt: skip


def _translated(block: Network) -> tuple[Network, ...]:
    """Return a block and, of IPv4, its forms behind NAT64 (RFC 6052) and 6to4 (RFC 3056)."""
    if block.version == 6:
        return (block,)
    address, length = int(block.network_address), block.prefixlen
    behind_nat64 = ipaddress.IPv6Network((int(_NAT64.network_address) | address, 96 + length))
    return (block, behind_nat64, ipaddress.IPv6Network((0x2002 << 112 | address << 80, 16 + length)))


METADATA: Final = tuple(form for block in _METADATA for form in _translated(block))
"""Metadata services, which give out a node's credentials: nothing opens them."""
LOCAL: Final = _networks(
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "::/127", "fe80::/10", "ff00::/8",
)  # fmt: skip
"""Loopback, link-local and multicast addresses: what a program of ours that connects for an environment never reaches, whatever rules say."""


def within(inner: Network, outer: Network) -> bool:
    """Tell whether a block lies in another one."""
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # same version, checked before


def holes(block: Network, shut: Iterable[Network]) -> tuple[Network, ...]:
    """Return what of `shut` is a smaller part of the block: the outermost ones, sorted."""
    inside = sorted({part for part in shut if part != block and within(part, block)}, key=lambda n: (int(n.network_address), n.prefixlen))
    outermost: list[Network] = []
    for part in inside:
        if not outermost or not within(part, outermost[-1]):
            outermost.append(part)
    return tuple(outermost)


def in_any(address: Address, blocks: Iterable[Network]) -> Network | None:
    """Return the first of the blocks in which an address lies."""
    return next((block for block in blocks if address.version == block.version and address in block), None)


def carried(address: Address) -> Address:
    """Return where packets to an address end: the IPv4 address in a mapped, NAT64, 6to4 or Teredo one, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
