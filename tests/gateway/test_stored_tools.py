"""Stored definitions as the gateway reads them: packed ones, and lists from which something is withheld."""

import pytest

from gateway_served import Serve
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, SYSTEM, gateway, installation, pinned, snapshot_of, tool, tools_config_map, translated
from wharfinger_crds import names
from wharfinger_crds.tool_definitions import definitions_of, definitions_text

MANY = [tool(f"tool-{number:03}", description="x" * 3000) for number in range(500)]


@pytest.mark.requirement("INS-3")
def test_packed_definitions_are_read_like_plain_ones() -> None:
    packed = definitions_of(MANY)
    data = packed.data()
    assert data.keys() == {"binaryData"}
    stored = {"kind": "ConfigMap", "metadata": {"name": names.tools_name(packed.hash), "namespace": SYSTEM}, **data}

    assert snapshot_of(stored).tools == snapshot_of(tools_config_map(definitions_text(MANY))).tools


def test_packed_definitions_that_cannot_be_unpacked_are_refused_alone() -> None:
    broken = {"kind": "ConfigMap", "metadata": {"name": "tools-x", "namespace": SYSTEM}, "binaryData": {names.PACKED_TOOLS_KEY: "AAAA"}}

    result = translated(broken, tools_config_map(definitions_text(MANY)))

    assert [one.name for one in result.refused] == ["tools-x"]
    assert len(result.snapshot.tools) == 1


@pytest.mark.requirement("REG-11")
async def test_a_tool_that_is_withheld_is_neither_listed_nor_called(serve: Serve, legacy_server: UpstreamServer) -> None:
    unchanged, changed = tool("echo"), tool("get_me", description="changed")
    offered = installation("bot", team="engineering", url=legacy_server.url, tools=[unchanged])
    caller = serve(offered, tools_config_map(definitions_text([unchanged, changed])), gateway("tools", pinned("bot"))).caller(ALICE)

    listed = (await caller.modern("tools/list", {})).result["tools"]
    answered = await caller.call("bot__get_me")

    assert [one["name"] for one in listed] == ["bot__echo"]
    assert answered.error["code"] == -32602
    assert legacy_server.calls() == []
