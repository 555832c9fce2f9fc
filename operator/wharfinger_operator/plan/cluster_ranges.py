"""The addresses of the cluster itself as blocks that `AllowAll` and wide blocks never open.

Invariants: nothing of what was given is left out, but what is private anyway; there are at most `MOST` blocks of each IP version, so that a
policy stays small in any cluster; a node that goes changes nothing, and one that comes only where it is not covered.
"""

from __future__ import annotations

import bisect
import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from wharfinger_crds.address_ranges import FLOOR, Network, network, within

N = TypeVar("N", ipaddress.IPv4Network, ipaddress.IPv6Network)
MOST: Final = 128
"""Blocks of each IP version."""


def public_blocks(texts: Iterable[str]) -> tuple[str, ...]:
    """Return addresses and blocks in their one form, without those that are private anyway; what is neither is left out."""
    found: list[str] = []
    for text in texts:
        try:
            block = network(text)
        except ValueError:
            continue
        if not any(within(block, floor) for floor in FLOOR):
            found.append(str(block))
    return tuple(found)


def cluster_ranges(texts: Iterable[str]) -> tuple[str, ...]:
    """Return blocks that cover all of these addresses and blocks, sorted; where there are too many, larger ones."""
    blocks = {network(text) for text in public_blocks(texts)}
    four = [block for block in blocks if isinstance(block, ipaddress.IPv4Network)]
    six = [block for block in blocks if isinstance(block, ipaddress.IPv6Network)]
    few4 = _few(tuple(ipaddress.collapse_addresses(four)))
    few6 = _few(tuple(ipaddress.collapse_addresses(six)))
    return (*map(str, ipaddress.collapse_addresses(few4)), *map(str, ipaddress.collapse_addresses(few6)))


def steady_ranges(before: Sequence[str], now: Sequence[str]) -> tuple[str, ...]:
    """Return the blocks to go on with: those from before where they still cover everything, else both together."""
    old = [network(text) for text in before]
    if all(any(within(network(text), block) for block in old) for text in now):
        return tuple(before)
    return cluster_ranges((*before, *now))


def _few(blocks: tuple[N, ...]) -> tuple[N, ...]:
    """Return at most `MOST` blocks: all that are smaller than one size grow to it, so that one more of them seldom changes the others."""
    if len(blocks) <= MOST:
        return blocks
    length = bisect.bisect_right(range(blocks[0].max_prefixlen + 1), MOST, key=lambda size: len(_grown(blocks, size))) - 1
    return tuple(block.supernet(new_prefix=length) if block.prefixlen > length else block for block in blocks)


def _grown(blocks: Iterable[Network], length: int) -> set[tuple[int, int]]:
    bits = [(int(b.network_address), b.prefixlen, b.max_prefixlen) for b in blocks]
    return {(address >> (most - length), length) if size > length else (address >> (most - size), size) for address, size, most in bits}
