"""Whose rules count for a connection, and what a refusal says."""

import ipaddress
from pathlib import Path
from typing import Any

import pytest

from own_address import rules
from wharfinger_crds import names
from wharfinger_crds.connection import Connection, read_connection
from wharfinger_mcp.egress_guard import EgressGuard, guard_of
from wharfinger_mcp.errors import EgressRefusedError

pytestmark = pytest.mark.requirement("ENV-8")

WORLD = "93.184.216.34"
EARLIER = Path(__file__).parents[1] / "crds/testdata/earlier/connection-v1.json"
OWN = names.server_url("team-a", "jira", "servers")


def connection(url: str = "https://mcp.example/mcp", environment: str = "prod", **egress: Any) -> Connection:
    found = rules(**egress) if egress else None
    return Connection(namespace="team-a", name="jira", uid="u", entry="e", environment=environment, url=url, egress=found)


def answer(guard: EgressGuard, host: str, *addresses: str, port: int = 443) -> str:
    try:
        return " ".join(map(str, guard(host, port, tuple(ipaddress.ip_address(one) for one in addresses))))
    except EgressRefusedError as error:
        return error.message


@pytest.mark.parametrize(
    ("egress", "host", "address", "said"),
    [
        ({"mode": "AllowAll"}, "mcp.example", WORLD, WORLD),
        ({"mode": "DenyAll"}, "mcp.example", WORLD, "environment prod: no rule of mode DenyAll opens mcp.example:443"),
        (
            {"mode": "Restricted", "domains": [{"name": "other.example"}]},
            "mcp.example",
            WORLD,
            "environment prod: no rule of mode Restricted opens mcp.example:443",
        ),
        (
            {"mode": "Restricted", "domains": [{"name": "mcp.example"}]},
            "mcp.example",
            "10.0.0.7",
            "environment prod: mcp.example:443 leads into 10.0.0.0/8, which only a block in cidrs opens",
        ),
        ({"mode": "Restricted", "domains": [{"name": "mcp.example"}]}, "MCP.example.", WORLD, WORLD),
        ({"mode": "Restricted", "domains": [{"name": "faß.example"}]}, "xn--fa-hia.example", WORLD, WORLD),
    ],
)
def test_a_refusal_names_the_environment_and_what_its_rules_lack_and_no_address(
    egress: dict[str, Any], host: str, address: str, said: str
) -> None:
    assert answer(guard_of(connection(**egress)), host, address) == said


def test_a_server_of_ours_is_reached_at_its_own_service_whatever_the_environment_says() -> None:
    guard = guard_of(connection(OWN))
    host = f"{names.server_name('team-a', 'jira')}.servers.svc"

    assert answer(guard, host, "10.96.0.7", port=8080) == "10.96.0.7"
    assert answer(guard, host, "10.96.0.7", port=9090).startswith("environment prod: no rule of mode DenyAll opens")
    assert answer(guard, "elsewhere.example", WORLD, port=8080).startswith("environment prod: no rule")
    for shut in ("127.0.0.1", "169.254.169.254"):
        assert answer(guard, host, shut, port=8080).endswith("which no rule opens")


@pytest.mark.parametrize(
    "url",
    [
        "https://mcp.example/mcp",
        names.server_url("team-b", "jira", "servers"),
        OWN.replace(".servers.svc", ".servers.svc.evil.example"),
        OWN.replace(".servers.svc", ".evil.example"),
        OWN.replace("http://", "http://evil.example/"),
        "https://[::1/",
        "",
    ],
)
def test_without_rules_nothing_else_is_reached_and_the_refusal_says_what_to_upgrade(url: str) -> None:
    said = answer(guard_of(connection(url)), "mcp.example", WORLD)

    assert said.startswith("environment prod: no egress rules came with the connection")
    assert said.endswith("upgrade the operator")


@pytest.mark.requirement("OPS-9")
def test_a_server_of_ours_that_an_earlier_operator_connected_is_reached_and_a_remote_one_is_not() -> None:
    earlier = read_connection(EARLIER.read_bytes())
    guard = guard_of(earlier)

    assert answer(guard, earlier.url.removeprefix("http://").partition(":")[0], "10.96.0.7", port=8080) == "10.96.0.7"
    assert guard_of(earlier.model_copy(update={"url": "https://mcp.example/mcp"})).rules is None


def test_guards_are_equal_exactly_if_environment_and_rules_are() -> None:
    one, same = (guard_of(read_connection(connection(mode="AllowAll").text())) for _ in range(2))
    assert (one, hash(one)) == (same, hash(same))
    assert one.rules is same.rules
    others = [
        connection(mode="DenyAll"), connection(environment="staging", mode="AllowAll"), connection(), connection(OWN),
        connection(mode="Restricted", services=[{"namespace": "data", "podSelector": {"a": "b"}}]),
    ]  # fmt: skip
    assert len({one, *map(guard_of, others)}) == 6


def test_a_guard_replaces_one_of_the_same_environment_and_sort() -> None:
    remote, tighter, own = guard_of(connection(mode="AllowAll")), guard_of(connection(mode="DenyAll")), guard_of(connection(OWN))

    assert tighter.replaces(remote)
    assert not own.replaces(remote)
    assert not guard_of(connection(environment="staging", mode="AllowAll")).replaces(remote)
    assert "10.0.0.0/8" not in repr(remote)
