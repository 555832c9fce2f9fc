"""A gateway process against a real API server: what it follows, and what it outlives."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from faulty_proxy import FaultyProxy
from gateway_platform import RESOURCES, GatewayPlatform
from gateway_process import GatewayProcess, gateway_process
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, BOB, DEFAULT_TOOLS, by_entry, gateway, namespace, pinned, root_key, settings, token
from served_crds import serve_crds
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.resource import CONFIG_MAP, SECRET
from wharfinger_crds import names

WITHIN = 1.0
"""Seconds within which a change must count."""
Start = Callable[[], AbstractAsyncContextManager[GatewayProcess]]
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


@pytest.fixture(scope="module")
def crds(control_plane: str) -> None:
    asyncio.run(serve_crds(control_plane))


@pytest.fixture
async def platform(crds: None, cluster: Cluster) -> AsyncIterator[GatewayPlatform]:
    made = GatewayPlatform(cluster, secrets.token_hex(4))
    await made.namespaces()
    yield made
    await made.close()


@pytest.fixture
async def proxy(admin: Login) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(admin) as running:
        yield running


@pytest.fixture
def start(platform: GatewayPlatform, proxy: FaultyProxy, tmp_path: Path) -> Start:
    kubeconfig = platform.kubeconfig(tmp_path / "kubeconfig", proxy.url)

    @asynccontextmanager
    async def run() -> AsyncIterator[GatewayProcess]:
        arguments = ["-m", "wharfinger_gateway", "--kubeconfig", kubeconfig]
        async with gateway_process(arguments, {"WHARFINGER_NAMESPACE": platform.system}) as process:
            yield process

    return run


@pytest.fixture
async def serving(start: Start, platform: GatewayPlatform, legacy_server: UpstreamServer) -> AsyncIterator[GatewayProcess]:
    await platform.everything(legacy_server.url)
    async with start() as process:
        await process.ready()
        yield process


async def status(process: GatewayProcess, platform: GatewayPlatform, text: str = ALICE, tool: str = "bot__echo") -> int:
    """Return the HTTP status of a call, 0 where the tool failed."""
    params = {"name": tool, "arguments": {}, "_meta": META}
    headers = {"Authorization": f"Bearer {text}", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    url = f"{process.url}/v1/mcp/{platform.gateway_id}"
    async with aiohttp.ClientSession() as session, session.post(url, json=message, headers=headers) as response:
        failed = response.status == 200 and (await response.json())["result"].get("isError")
        return 0 if failed else response.status


async def becomes(expected: object, value: Callable[[], Awaitable[object]], seconds: float = WITHIN) -> None:
    """Wait until a value is as expected, and fail with what it is instead."""
    end = time.monotonic() + seconds
    while (found := await value()) != expected:
        assert time.monotonic() < end, f"{found} after {seconds} s"
        await asyncio.sleep(0.01)


async def metric(process: GatewayProcess, name: str) -> float:
    _, text = await process.probe("/metrics")
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


@pytest.mark.requirement("GW-1")
async def test_a_gateway_is_ready_once_it_has_read_the_cluster_and_serves_what_is_there(
    serving: GatewayProcess, platform: GatewayPlatform, legacy_server: UpstreamServer
) -> None:
    assert await status(serving, platform) == 200
    assert len(legacy_server.calls()) == 1
    assert await status(serving, platform, BOB) == 401
    assert await metric(serving, "wharfinger_gateway_snapshot_age_seconds") < 60
    assert await metric(serving, "wharfinger_gateway_settings_valid") == 1


async def test_a_gateway_without_root_key_waits_and_says_so(start: Start, platform: GatewayPlatform, legacy_server: UpstreamServer) -> None:
    await platform.everything(legacy_server.url)
    await platform.cluster.delete(SECRET, names.ROOT_KEY_SECRET, platform.system)
    async with start() as process:
        await process.listening()
        missing = f"Secret {platform.system}/{names.ROOT_KEY_SECRET} is missing; waiting for it"
        await becomes(True, lambda: _said(process, missing), 20)
        assert (await process.probe("/readyz"))[0] == 503
        assert (await process.probe("/livez"))[0] == 200
        assert await status(process, platform) == 503
        await platform.apply(root_key())
        await process.ready()
        assert await status(process, platform) == 200


async def _said(process: GatewayProcess, text: str) -> bool:
    return any(text in line for line in process.err)


@pytest.mark.requirement("AUT-4")
async def test_a_deleted_token_is_refused_within_a_second(serving: GatewayProcess, platform: GatewayPlatform) -> None:
    assert await status(serving, platform) == 200
    await platform.cluster.delete(RESOURCES["McpToken"], "alice", platform.system)
    await becomes(401, lambda: status(serving, platform))


@pytest.mark.requirement("AUT-4")
async def test_a_new_token_counts_within_a_second_and_only_in_the_system_namespace(
    serving: GatewayProcess, platform: GatewayPlatform
) -> None:
    stray = token("bob", BOB, user="okta:bob")
    stray["metadata"]["namespace"] = platform.tenant
    await platform.cluster.apply(RESOURCES["McpToken"], stray)
    await platform.apply(token("twin", ALICE, user="okta:carol"))
    await becomes(401, lambda: status(serving, platform))  # both claim alice's hash now
    assert await status(serving, platform, BOB) == 401
    await platform.apply(token("bob", BOB, user="okta:bob"))
    await becomes(200, lambda: status(serving, platform, BOB))


@pytest.mark.requirement("GW-1", "GW-3")
async def test_what_changes_in_the_cluster_counts_within_a_second(
    serving: GatewayProcess, platform: GatewayPlatform, legacy_server: UpstreamServer, modern_server: UpstreamServer
) -> None:
    async def now(text: str = ALICE) -> int:
        return await status(serving, platform, text)

    assert await now() == 200
    await platform.connect(modern_server.url, secret="rotated")
    await becomes(True, lambda: _reaches(now, modern_server))
    assert modern_server.calls()[0].header("Authorization") == ["Bearer rotated"]
    await platform.apply(gateway("tools", pinned("bot", exclude=["echo"]), namespace=platform.tenant))
    await becomes(400, now)
    await platform.apply(gateway("tools", pinned("bot"), namespace=platform.tenant, teams=["sales"]))
    await becomes(404, now)
    await platform.apply(gateway("tools", pinned("bot"), namespace=platform.tenant, teams=["engineering"]))
    await becomes(200, now)
    await platform.apply(namespace(platform.tenant, teams="sales", users="", organization="false"))
    await becomes(404, now)
    await platform.apply(namespace(platform.tenant))
    await becomes(200, now)
    await platform.apply(settings(teams={}))
    await becomes(404, now)
    await platform.apply(settings())
    await becomes(200, now)
    await platform.cluster.delete(SECRET, names.connection_name(platform.tenant, "bot"), platform.system)
    await becomes(400, now)
    await platform.cluster.delete(RESOURCES["McpGateway"], "tools", platform.tenant)
    await becomes(404, now)


async def _reaches(call: Callable[[], Awaitable[int]], server: UpstreamServer) -> bool:
    await call()
    return bool(server.calls())


@pytest.mark.requirement("OPS-7")
async def test_without_the_api_server_it_serves_on_stays_ready_and_shows_the_age(
    serving: GatewayProcess, platform: GatewayPlatform, proxy: FaultyProxy
) -> None:
    await proxy.refuse()
    before = await metric(serving, "wharfinger_gateway_snapshot_age_seconds")
    await becomes(True, lambda: _older(serving, before + 1), 10)
    assert (await serving.probe("/readyz"))[0] == 200
    assert await status(serving, platform) == 200
    await platform.cluster.delete(RESOURCES["McpToken"], "alice", platform.system)
    assert await status(serving, platform) == 200
    await proxy.accept()
    await becomes(401, lambda: status(serving, platform), 60)


async def _older(process: GatewayProcess, age: float) -> bool:
    return await metric(process, "wharfinger_gateway_snapshot_age_seconds") > age


async def test_bad_settings_at_the_start_end_it_with_the_fields_path(start: Start, platform: GatewayPlatform) -> None:
    bad = settings()
    bad["data"][names.SETTINGS_KEY] = bad["data"][names.SETTINGS_KEY].replace("https://mcp.example.com", "mcp.example.com")
    await platform.apply(bad, root_key())
    async with start() as process:
        assert await process.ended(30) == 1
    assert "publicUrl" in process.err[-1]
    assert names.SETTINGS_CONFIGMAP in process.err[-1]
    assert not any("Traceback" in line for line in process.err)


async def test_bad_settings_later_leave_the_last_good_ones_in_use(serving: GatewayProcess, platform: GatewayPlatform) -> None:
    bad = settings()
    bad["data"][names.SETTINGS_KEY] = "teams: 7"
    await platform.apply(bad)
    await becomes(0.0, lambda: metric(serving, "wharfinger_gateway_settings_valid"))
    assert any("the last good one stays in use" in line for line in serving.err)
    assert await status(serving, platform) == 200
    await platform.cluster.delete(CONFIG_MAP, names.SETTINGS_CONFIGMAP, platform.system)
    await becomes(True, lambda: _said(serving, "is missing; the last good one stays in use"))
    assert await status(serving, platform) == 200
    await platform.apply(settings(teams={}))
    await becomes(1.0, lambda: metric(serving, "wharfinger_gateway_settings_valid"))


async def test_a_status_that_changes_makes_no_new_snapshot(serving: GatewayProcess, platform: GatewayPlatform) -> None:
    before = await metric(serving, "wharfinger_gateway_snapshots_total")
    patch = {"status": {"observedGeneration": 7}}
    await platform.cluster.patch(RESOURCES["McpInstallation"], "bot", patch, platform.tenant, subresource="status")
    # The change that follows is in order behind the one that must not count.
    await platform.apply(gateway("tools", by_entry(), pinned("bot"), namespace=platform.tenant))
    await becomes(before + 1, lambda: metric(serving, "wharfinger_gateway_snapshots_total"))
    await platform.apply(gateway("tools", pinned("bot"), namespace=platform.tenant))
    await becomes(before + 2, lambda: metric(serving, "wharfinger_gateway_snapshots_total"))


async def test_an_object_that_cannot_count_is_named_with_its_reason(serving: GatewayProcess, platform: GatewayPlatform) -> None:
    await platform.apply(namespace(platform.tenant, teams="engineering", users="", organization="false"))
    await becomes(True, lambda: _said(serving, f"does not count: McpGateway {platform.tenant}/tools: its visibility is not granted"))
    await becomes(1.0, lambda: metric(serving, 'wharfinger_gateway_refused_objects{kind="McpGateway"}'))


@pytest.mark.requirement("OPS-7")
async def test_two_replicas_serve_one_session(start: Start, serving: GatewayProcess, platform: GatewayPlatform) -> None:
    async with start() as other, aiohttp.ClientSession() as session:
        await other.ready()
        headers = {"Authorization": f"Bearer {ALICE}"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        path = f"/v1/mcp/{platform.gateway_id}"
        async with session.post(serving.url + path, json=message, headers=headers) as response:
            headers["Mcp-Session-Id"] = response.headers["Mcp-Session-Id"]
        async with session.post(other.url + path, json={"jsonrpc": "2.0", "id": 2, "method": "tools/list"}, headers=headers) as response:
            listed = (await response.json())["result"]["tools"]
    assert [one["name"] for one in listed] == [f"bot__{one['name']}" for one in DEFAULT_TOOLS]


async def test_sigterm_ends_it_without_a_complaint(serving: GatewayProcess) -> None:
    serving.stop()
    assert await serving.ended() == 0
    assert not any("Traceback" in line or "ERROR" in line for line in serving.err)
