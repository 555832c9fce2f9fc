"""Egress rules in their one form, and what may be connected to because of them."""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_crds import conditions as c
from wharfinger_crds.address_ranges import FLOOR, METADATA, carried, holes, in_any, network
from wharfinger_crds.domain import normalized
from wharfinger_crds.egress_rules import EgressRules, egress_rules
from wharfinger_crds.environment import Egress
from wharfinger_crds.presets import presets
from wharfinger_crds.reach import Refused, may_reach

CLUSTER = ("10.244.0.0/16", "34.118.224.0/20", "203.0.113.7/32")
WORLD = "93.184.216.34"


def rules(*, cluster: tuple[str, ...] = (), **spec: Any) -> EgressRules:
    found = egress_rules(Egress.model_validate({"mode": "Restricted", **spec}), cluster)
    assert isinstance(found, EgressRules), found
    return found


def problem(**spec: Any) -> c.Finding:
    found = egress_rules(Egress.model_validate({"mode": "Restricted", **spec}))
    assert isinstance(found, c.Finding)
    return found


def answer(of: EgressRules, host: str, addresses: str = WORLD, port: int = 443) -> str:
    """What may be connected to, or why nothing may."""
    found = may_reach(of, host, [ipaddress.ip_address(a) for a in addresses.split()], port)
    return f"{found.reason}: {found.message}" if isinstance(found, Refused) else " ".join(str(a) for a in found)


def form(address: str) -> str:
    return str(ipaddress.ip_address(address))


@pytest.mark.requirement("ENV-3")
def test_rules_have_one_form_however_they_are_written() -> None:
    one = rules(
        cidrs=[{"cidr": "203.0.113.77/24", "except": ["203.0.113.129/25"], "ports": [{"port": 443, "endPort": 443}, {"port": 80}]}],
        domains=[{"name": "B.example."}, {"name": "a.example", "ports": [{"port": 8443}]}, {"name": "A.example"}],
        services=[{"namespace": "data", "podSelector": {"b": "1", "a": "2"}}, {"namespace": "ai"}],
    )
    other = rules(
        cidrs=[{"cidr": "203.0.113.0/24", "except": ["203.0.113.128/25"], "ports": [{"port": 80}, {"port": 443}]}],
        domains=[{"name": "a.example", "ports": [{"port": 443}, {"port": 8443}]}, {"name": "b.example", "ports": [{"port": 443}]}],
        services=[{"namespace": "ai"}, {"namespace": "data", "podSelector": {"a": "2", "b": "1"}}, {"namespace": "ai"}],
    )

    assert one == other
    assert one.model_dump_json(by_alias=True) == other.model_dump_json(by_alias=True)


@pytest.mark.requirement("ENV-3")
def test_all_is_the_internet_without_the_floor_and_the_cluster() -> None:
    found = rules(mode="AllowAll", cluster=CLUSTER)
    v4, v6 = found.blocks

    assert (v4.cidr, v6.cidr) == ("0.0.0.0/0", "::/0")
    shut = {*v4.except_, *v6.except_}
    assert {str(block) for block in FLOOR} <= shut
    assert {"34.118.224.0/20", "203.0.113.7/32"} <= shut
    assert "10.244.0.0/16" not in shut, "lies in 10.0.0.0/8 already"
    assert found.cluster_ranges == ("34.118.224.0/20", "203.0.113.7/32")
    assert rules(mode="DenyAll").opens_nothing


@pytest.mark.requirement("ENV-3")
@pytest.mark.parametrize(
    ("cidr", "shut"),
    [
        ("10.1.0.0/16", []),
        ("10.0.0.0/8", ["10.244.0.0/16"]),
        ("8.0.0.0/6", ["10.0.0.0/8"]),
        ("169.254.0.0/16", ["169.254.169.252/32", "169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32"]),
        ("100.100.0.0/16", ["100.100.100.200/32"]),
        ("168.63.0.0/16", ["168.63.129.16/32"]),
        ("203.0.113.0/24", ["203.0.113.7/32"]),
        ("203.0.113.7/32", []),
    ],
)
def test_a_block_opens_what_it_names_but_nothing_around_it_and_no_metadata(cidr: str, shut: list[str]) -> None:
    (block,) = rules(cidrs=[{"cidr": cidr}], cluster=CLUSTER).blocks

    assert [str(n) for n in block.except_] == shut


def test_ipv4_written_as_ipv6_is_ipv4() -> None:
    assert rules(cidrs=[{"cidr": "::ffff:8.8.8.0/120"}]) == rules(cidrs=[{"cidr": "8.8.8.0/24"}])
    assert problem(cidrs=[{"cidr": "::ffff:169.254.169.254/128"}]).reason == c.FORBIDDEN


@pytest.mark.requirement("ENV-3")
@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"cidrs": [{"cidr": "10.0.0.1.2/8"}]}, c.INVALID, "spec.egress.cidrs[10.0.0.1.2/8]: 10.0.0.1.2/8 is not a CIDR"),
        ({"cidrs": [{"cidr": "10.0.0.0/8", "except": ["11.0.0.0/9"]}]}, c.INVALID, "except 11.0.0.0/9 is not a smaller block"),
        ({"cidrs": [{"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}]}, c.INVALID, "except 10.0.0.0/8 is not a smaller block"),
        ({"cidrs": [{"cidr": "169.254.169.254/32"}]}, c.FORBIDDEN, "169.254.169.254/32] is a metadata service"),
        ({"cidrs": [{"cidr": "64:ff9b::a9fe:a9fe/128"}]}, c.FORBIDDEN, "is a metadata service"),
        ({"cidrs": [{"cidr": "2002:a9fe:a9fe::/48"}]}, c.FORBIDDEN, "is a metadata service"),
        ({"domains": [{"name": "a.example"}, {"name": "☃.example"}]}, c.INVALID, "spec.egress.domains: '☃.example' has the label"),
        ({"domains": [{"name": "db.data.svc"}]}, c.INVALID, "'db.data.svc' is the name of a Service"),
        ({"domains": [{"name": "**.svc.cluster.local"}]}, c.INVALID, "is the name of a Service"),
        ({"presets": ["npm", "nmp", "foo"]}, c.INVALID, "there is no preset foo, nmp; there are: anthropic, "),
    ],
)
def test_what_the_api_server_cannot_judge_is_said_with_its_value(spec: dict[str, Any], reason: str, words: str) -> None:
    found = problem(**spec)

    assert (found.type, found.status, found.reason) == (c.ACCEPTED, "False", reason)
    assert words in found.message


@pytest.mark.requirement("ENV-3")
@pytest.mark.parametrize("name", sorted(presets().presets))
def test_each_preset_is_narrow_and_made_of_good_domains(name: str) -> None:
    domains = presets().presets[name].domains

    assert domains
    assert [d for d in domains if normalized(d) != d] == []
    assert [d for d in domains if d.removeprefix("**.").removeprefix("*.").count(".") < 1] == []
    assert [d.name for d in rules(presets=[name]).domains] == list(domains)


def test_a_reversed_name_is_turned_around_and_has_the_preset_s_ports() -> None:
    name = ".".join(reversed(["org", "debian", "deb"]))
    found = rules(presets=["debian-ubuntu"], domains=[{"name": name, "ports": [{"port": 8080}]}])

    assert {d.name: [p.port for p in d.ports] for d in found.domains}[name] == [80, 443, 8080]


def test_the_value_is_read_back_from_json_and_by_programs_that_know_less() -> None:
    found = rules(
        cidrs=[{"cidr": "0.0.0.0/0"}], domains=[{"name": "*.a.example"}], services=[{"namespace": "x"}], presets=["github"], cluster=CLUSTER
    )
    document = found.model_dump_json(by_alias=True, exclude_none=True)

    assert EgressRules.model_validate_json(document) == found
    assert EgressRules.model_validate_json(document[:-1] + ',"later":1}') == found


RESTRICTED = rules(
    cidrs=[{"cidr": "203.0.113.0/24", "ports": [{"port": 8000, "endPort": 8010}]}, {"cidr": "10.20.0.0/16"}],
    domains=[{"name": "api.example"}, {"name": "*.one.example"}, {"name": "**.any.example", "ports": [{"port": 8443}]}],
    services=[
        {"namespace": "data", "ports": [{"port": 8080}]},
        {"namespace": "fine", "podSelector": {"app": "x"}},
        {"namespace": "udp", "ports": [{"port": 443, "protocol": "UDP"}]},
    ],
    cluster=CLUSTER,
)


@pytest.mark.requirement("ENV-3")
@pytest.mark.parametrize(
    ("host", "addresses", "port", "allowed"),
    [
        ("api.example", WORLD, 443, WORLD),
        ("API.Example.", WORLD, 443, WORLD),
        ("a.one.example", f"{WORLD} 2606:2800::1", 443, f"{WORLD} 2606:2800::1"),
        ("a.b.any.example", WORLD, 8443, WORLD),
        ("203.0.113.9", "203.0.113.9", 8005, "203.0.113.9"),
        ("whatever.example", "203.0.113.9 8.8.8.8", 8005, "203.0.113.9"),
        ("203.0.113.9", "::ffff:203.0.113.9", 8005, form("::ffff:203.0.113.9")),
        ("203.0.113.9", "64:ff9b::cb00:7109", 8005, "64:ff9b::cb00:7109"),
        ("api.example", "10.20.1.1", 443, "10.20.1.1"),
        ("api.example", f"10.0.0.1 {WORLD}", 443, WORLD),
        ("api.example", "64:ff9b::5db8:d822", 443, "64:ff9b::5db8:d822"),
        ("mcp.data.svc", "10.96.3.4", 8080, "10.96.3.4"),
        ("mcp-0.mcp.data.svc.cluster.local", "10.244.3.4", 8080, "10.244.3.4"),
        ("mcp.data.svc", "34.118.224.9", 8080, "34.118.224.9"),
    ],
)
def test_what_a_rule_opens_may_be_reached(host: str, addresses: str, port: int, allowed: str) -> None:
    assert answer(RESTRICTED, host, addresses, port) == allowed


@pytest.mark.requirement("ENV-3")
@pytest.mark.parametrize(
    ("host", "addresses", "port", "refusal"),
    [
        ("other.example", WORLD, 443, "NoRule: no rule of mode Restricted opens other.example:443"),
        ("one.example", WORLD, 443, "NoRule"),
        ("a.b.one.example", WORLD, 443, "NoRule"),
        ("api.example", WORLD, 444, "NoRule"),
        ("a.any.example", WORLD, 443, "NoRule"),
        ("203.0.113.9", "203.0.113.9", 443, "NoRule"),
        ("api.example", "", 443, "NoRule: no rule of mode Restricted opens api.example:443, which resolves to nothing"),
        (
            "api.example",
            "10.0.0.1",
            443,
            "AddressShut: api.example:443 resolves to 10.0.0.1, in 10.0.0.0/8, which only a block in cidrs opens",
        ),
        ("api.example", "::ffff:10.0.0.1", 443, "AddressShut"),
        ("api.example", "64:ff9b::a00:1", 443, "AddressShut"),
        ("api.example", "2002:a00:1::1", 443, "AddressShut"),
        ("api.example", "64:ff9b:1::808:808", 443, "AddressShut"),
        ("api.example", "127.0.0.1", 443, "AddressShut"),
        ("api.example", "::1", 443, "AddressShut"),
        ("api.example", "0.0.0.0", 443, "AddressShut"),  # noqa: S104 - an address
        ("api.example", "fe80::1%eth0", 443, "AddressShut"),
        ("api.example", "34.118.224.9", 443, "AddressShut: api.example:443 resolves to 34.118.224.9, in 34.118.224.0/20, which only"),
        ("203.0.113.7", "203.0.113.7", 8005, "NoRule"),
        (
            "api.example",
            "169.254.169.254",
            443,
            "AddressShut: api.example:443 resolves to 169.254.169.254, in 169.254.169.254/32: a metadata",
        ),
        ("mcp.data.svc", "10.96.3.4", 80, "NoRule"),
        ("mcp.other.svc", "10.96.3.4", 8080, "NoRule"),
        ("mcp.data.svc.evil.example", "10.96.3.4", 8080, "NoRule"),
        ("mcp.data.svc", "127.0.0.1", 8080, "AddressShut"),
        ("mcp.data.svc", "169.254.169.254", 8080, "AddressShut"),
        ("mcp.fine.svc", "10.96.3.4", 8080, "NoRule: the rule for services of namespace fine selects pods"),
        ("mcp.udp.svc", "10.96.3.4", 443, "NoRule"),
        ("data", "10.96.3.4", 8080, "NoRule"),
        ("data.svc", "10.96.3.4", 8080, "NoRule"),
    ],
)
def test_everything_else_is_refused_by_name_and_by_address(host: str, addresses: str, port: int, refusal: str) -> None:
    assert answer(RESTRICTED, host, addresses, port).startswith(refusal)


@pytest.mark.requirement("ENV-3")
@pytest.mark.parametrize("address", [str(block.network_address) for block in METADATA])
def test_nothing_opens_a_metadata_service(address: str) -> None:
    widest = rules(
        cidrs=[{"cidr": "0.0.0.0/0"}, {"cidr": "::/0"}, {"cidr": "169.254.0.0/16"}, {"cidr": "64:ff9b::/96"}, {"cidr": "fc00::/7"}],
        domains=[{"name": "**.any.example"}],
        services=[{"namespace": "data"}],
    )

    for host in (address, "x.any.example", "x.data.svc"):
        assert answer(widest, host, address).startswith("AddressShut")
        assert answer(rules(mode="AllowAll"), host, address).startswith("AddressShut")


@pytest.mark.requirement("ENV-3")
def test_modes_open_everything_and_nothing() -> None:
    everything, nothing = rules(mode="AllowAll", cluster=CLUSTER), rules(mode="DenyAll", services=[{"namespace": "data"}])

    assert answer(everything, "anything.example") == WORLD
    assert answer(everything, WORLD, port=22) == WORLD
    assert answer(everything, "x.example", "64:ff9b::808:808") == "64:ff9b::808:808"
    for shut in ("10.0.0.1", "203.0.113.7", "34.118.224.9", "::ffff:192.168.0.1", "2002:c0a8:1::", "fd00::1"):
        assert answer(everything, "x.example", shut).startswith("NoRule")
    assert answer(nothing, "anything.example").startswith("NoRule: no rule of mode DenyAll opens")
    assert answer(nothing, "db.data.svc", "10.96.0.7") == "10.96.0.7"


@pytest.mark.requirement("ENV-3")
@given(st.ip_addresses(v=4), st.sampled_from(["{}", "::ffff:{}", "64:ff9b::{}"]))
def test_an_ipv4_address_is_judged_alike_in_every_form(address: ipaddress.IPv4Address, form: str) -> None:
    written = ipaddress.ip_address(form.format(address))

    assert carried(written) == address
    for of in (RESTRICTED, rules(mode="AllowAll", cluster=CLUSTER)):
        assert isinstance(may_reach(of, "api.example", [written], 443), Refused) == isinstance(
            may_reach(of, "api.example", [address], 443), Refused
        )


@given(
    st.lists(st.integers(0, 32).flatmap(lambda n: st.ip_addresses(v=4).map(lambda a: network(f"{a}/{n}"))), max_size=6),
    st.ip_addresses(v=4),
)
def test_holes_shut_what_they_are_made_of_and_no_more(shut: list[Any], address: ipaddress.IPv4Address) -> None:
    world = network("0.0.0.0/0")
    found = holes(world, shut)

    assert bool(in_any(address, found)) == bool(in_any(address, [block for block in shut if block != world]))
    assert not any(a != b and a.overlaps(b) for a in found for b in found)
