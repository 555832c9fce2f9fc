"""The addresses of the cluster itself: all covered, never too many, and steady."""

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from wharfinger_crds.address_ranges import FLOOR, network, within
from wharfinger_operator.plan.cluster_ranges import MOST, cluster_ranges, public_blocks, steady_ranges

ADDRESSES = st.ip_addresses().map(str)
BLOCKS = st.one_of(ADDRESSES, st.tuples(st.ip_addresses(v=4).map(str), st.integers(8, 32)).map(lambda pair: f"{pair[0]}/{pair[1]}"))


def covered(text: str, ranges: tuple[str, ...]) -> bool:
    return any(within(network(text), network(block)) for block in (*ranges, *map(str, FLOOR)))


@given(st.lists(BLOCKS, max_size=40))
def test_everything_is_covered_and_the_form_is_canonical(texts: list[str]) -> None:
    found = cluster_ranges(texts)

    assert [text for text in texts if not covered(text, found)] == []
    assert found == tuple(str(network(block)) for block in found)
    assert cluster_ranges(reversed(texts)) == found
    assert cluster_ranges(found) == found


def test_a_thousand_scattered_addresses_become_few_blocks_that_cover_them_all() -> None:
    four = [ipaddress.IPv4Address(0x0B000000 + index * 655_357) for index in range(1000)]
    six = [ipaddress.IPv6Address((0x2600 << 112) + index * (2**63 - 1)) for index in range(1000)]

    found = [network(block) for block in cluster_ranges(map(str, (*four, *six)))]

    for version, addresses in ((4, four), (6, six)):
        spans = [(int(block[0]), int(block[-1])) for block in found if block.version == version]
        assert 0 < len(spans) <= MOST
        assert [a for a in addresses if not any(first <= int(a) <= last for first, last in spans)] == []


def test_blocks_of_pods_beside_each_other_become_one() -> None:
    assert cluster_ranges(f"34.118.{part}.0/24" for part in range(224, 240)) == ("34.118.224.0/20",)


def test_private_addresses_need_no_entry_and_what_is_no_address_is_left_out() -> None:
    assert cluster_ranges(["10.0.0.4", "10.96.0.0/12", "fd00::1", "169.254.1.1", "worker-0", "", "203.0.113.9"]) == ("203.0.113.9/32",)
    assert public_blocks(["::ffff:203.0.113.9", "192.168.0.1"]) == ("203.0.113.9/32",)


def test_a_node_that_goes_changes_nothing_and_one_that_comes_is_added() -> None:
    before = cluster_ranges(["203.0.113.9", "203.0.113.40"])

    assert steady_ranges(before, cluster_ranges(["203.0.113.9"])) == before
    assert steady_ranges(before, cluster_ranges(["203.0.113.9", "198.51.100.1"])) == ("198.51.100.1/32", *before)
