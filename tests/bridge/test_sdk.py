"""The official SDK on either side of the bridge: its client in both eras, its server as the child."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Literal

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from bridge_process import TESTDATA, TOKEN, Bridge, Start, stdio_server

SDK_SERVER = (sys.executable, str(TESTDATA / "sdk_server.py"))
Mode = Literal["auto", "legacy", "2026-07-28"]
MODES: tuple[Mode, ...] = ("auto", "legacy", "2026-07-28")
WAIT = 30.0


@contextlib.asynccontextmanager
async def client(bridge: Bridge, mode: Mode) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=WAIT) as http,
        Client(streamable_http_client(f"{bridge.url}/mcp", http_client=http), mode=mode) as sdk,
    ):
        yield sdk


@pytest.mark.requirement("ORC-2")
@pytest.mark.parametrize("mode", MODES)
async def test_everything_of_an_sdk_server_works_through_the_bridge(start: Start, mode: Mode) -> None:
    bridge = await start(command=SDK_SERVER)
    async with asyncio.timeout(WAIT), client(bridge, mode) as sdk:
        assert {tool.name for tool in (await sdk.list_tools()).tools} == {"add", "work"}
        assert (await sdk.call_tool("add", {"a": 2, "b": 3})).structured_content == {"result": 5}
        assert (await sdk.call_tool("work", {"steps": 3}, progress_callback=_ignore)).structured_content == {"result": "done"}
        assert (await sdk.call_tool("add", {"a": "x"})).is_error
        assert [str(each.uri) for each in (await sdk.list_resources()).resources] == ["memo://one"]
        assert (await sdk.read_resource("memo://one")).contents[0].model_dump()["text"] == "the memo"
        assert (await sdk.get_prompt("greet", {"name": "you"})).messages[0].content.model_dump()["text"] == "Greet you"
        with pytest.raises(MCPError):
            await sdk.read_resource("memo://none")
        if mode != "2026-07-28":
            assert sdk.server_info is not None and sdk.server_info.name == "sdk-server"
            assert sdk.protocol_version == ("2025-11-25" if mode == "legacy" else "2026-07-28")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("server", ["legacy", "modern"])
async def test_its_client_and_a_server_of_either_era_understand_each_other(start: Start, server: str, mode: Mode) -> None:
    bridge = await start(command=stdio_server("--era", server))
    async with asyncio.timeout(WAIT), client(bridge, mode) as sdk:
        assert [tool.name for tool in (await sdk.list_tools()).tools] == ["echo"]
        results = await asyncio.gather(*(sdk.call_tool("sleep", {"seconds": (9 - each) / 50, "value": each}) for each in range(10)))
        assert [result.content[0].model_dump()["text"] for result in results] == [str(each) for each in range(10)]
        with pytest.raises(MCPError) as lost:
            await sdk.call_tool("exit", {"code": 9})
        assert "exited with code 9" in str(lost.value)


@pytest.mark.requirement("ORC-2")
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_cancelled_call_of_the_sdk_reaches_its_server_only_for_its_own_client(start: Start, mode: Mode) -> None:
    bridge = await start(command=stdio_server())
    async with asyncio.timeout(WAIT), client(bridge, mode) as one, client(bridge, mode) as other:
        hanging = []
        for times, sdk in enumerate((one, other), 1):
            hanging.append(asyncio.create_task(sdk.call_tool("hang")))
            await bridge.logged("hanging", times=times)
        second = await bridge.logged("hanging", times=2)
        hanging[1].cancel()
        heard = (await bridge.call("heard", method="notifications/cancelled", count=1)).value
        assert [f"hanging {each['params']['requestId']}" for each in heard] == [second]
        assert not hanging[0].done()
        hanging[0].cancel()
        await asyncio.wait(hanging)
        # The SDK breaks when it is closed while the answer to a cancelled call arrives: that answer is in before the next one.
        await bridge.call("heard", method="notifications/cancelled", count=2)
        for sdk in (one, other):
            await sdk.list_tools()


async def _ignore(progress: float, total: float | None, message: str | None) -> None:
    """Progress may or may not come."""
