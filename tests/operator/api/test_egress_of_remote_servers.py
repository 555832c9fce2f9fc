"""An environment's egress rules and a remote server, with operator and gateway at work on a real API server."""

import os
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from announcing_server import AnnouncingServer
from gateway_process import GatewayProcess, gateway_process
from operator_platform import Platform, until
from own_address import EGRESS
from recording_server import Http
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, INSTALLATION, REGISTRY_ENTRY, TOKEN
from wharfinger_crds.token import token_hash, token_text

pytestmark = pytest.mark.requirement("ENV-8")

TOKEN_TEXT = token_text("team", "e" * 30)
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


async def environment(platform: Platform, egress: dict[str, Any]) -> None:
    await platform.apply(ENVIRONMENT, f"env-{platform.mark}", {"title": "X", "egress": egress})


async def discovered(platform: Platform) -> tuple[str, str, str]:
    found = (await platform.get(INSTALLATION, "remote") or {}).get("status", {}).get("conditions", [])
    return next(((c["status"], c["reason"], c["message"]) for c in found if c["type"] == "Discovered"), ("", "", ""))


@pytest.fixture
async def server(platform: Platform, https: Http) -> AnnouncingServer:
    """A remote server that an installation of the test's environment is of, and a gateway that has its tool."""
    made = AnnouncingServer([{"name": "echo", "inputSchema": {"type": "object"}}])
    url = f"https://{(await https(made)).host}/mcp"
    spec = {"title": "X", "type": "Remote", "remote": {"url": url}, "environmentRef": {"name": f"env-{platform.mark}"}}
    await environment(platform, {"mode": "DenyAll"})
    await platform.apply(REGISTRY_ENTRY, f"entry-{platform.mark}", spec)
    await platform.apply(INSTALLATION, "remote", {"entryRef": {"name": f"entry-{platform.mark}"}, "owner": {"team": "engineering"}})
    tools = {"tools": [{"installationRef": {"name": "remote"}, "include": ["*"]}], "authentication": {"bearerTokens": {"enabled": True}}}
    await platform.apply(GATEWAY, "tools", {"title": "X", "visibility": {"scope": "Team", "teams": ["engineering"]}, **tools})
    token = {"subject": {"team": "engineering"}, "tokenHash": token_hash(TOKEN_TEXT)}
    await platform.cluster.create(
        kind_resource(TOKEN), {"metadata": {"name": "engineering", "namespace": platform.spaces.system}, "spec": token}
    )
    return made


@pytest.fixture
async def gateway(server: AnnouncingServer, platform: Platform) -> AsyncIterator[GatewayProcess]:
    variables = {"WHARFINGER_NAMESPACE": platform.spaces.system, "SSL_CERT_FILE": os.environ["SSL_CERT_FILE"]}
    async with gateway_process(["-m", "wharfinger_gateway", "--kubeconfig", platform.kubeconfig], variables) as process:
        yield process


async def called(gateway: GatewayProcess, platform: Platform) -> str:
    """Call the server's tool, and return what the gateway answers."""
    tool = "remote__echo"
    headers = {"Authorization": f"Bearer {TOKEN_TEXT}", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}, "_meta": META}}
    url = f"{gateway.url}{names.endpoint_path(platform.spaces.tenant, 'tools')}"
    async with aiohttp.ClientSession() as session, session.post(url, json=message, headers=headers) as response:
        return await response.text()


async def test_an_environment_opens_and_shuts_a_remote_server_for_operator_and_gateway(
    platform: Platform, server: AnnouncingServer, gateway: GatewayProcess
) -> None:
    name, where = f"env-{platform.mark}", (await _host(platform))
    refusal = f"environment {name}: no rule of mode DenyAll opens {where}"

    async def is_shut() -> bool:
        return await discovered(platform) == ("False", "EgressRefused", f"{refusal}: see spec.egress of Environment {name}")

    async def is_open() -> bool:
        return (await discovered(platform))[0] == "True" and bool(server.streams)

    async def serves() -> bool:
        return '"called":"tools/call"' in (await called(gateway, platform)).replace(" ", "")

    async def refuses() -> bool:
        return refusal in await called(gateway, platform)

    async def is_not_listened_to() -> bool:
        return not server.streams

    running = await platform.operator()
    try:
        await until(running.leads, 60)
        await until(is_shut)
        assert server.messages == []

        await environment(platform, EGRESS)
        await until(is_open)
        await gateway.ready()
        await until(serves)

        await environment(platform, {"mode": "DenyAll"})
        await until(refuses)
        await until(is_not_listened_to)
        await until(is_shut)
        heard = len(server.messages)
        assert await refuses()
        assert len(server.messages) == heard

        await environment(platform, EGRESS)
        await until(serves)
        await until(is_open)
    finally:
        await running.stop()

    found = await platform.get(INSTALLATION, "remote") or {}
    enforced = next(c for c in found["status"]["conditions"] if c["type"] == "EgressEnforced")
    assert (enforced["status"], enforced["reason"]) == ("True", "Succeeded")


async def _host(platform: Platform) -> str:
    found = await platform.get(REGISTRY_ENTRY, f"entry-{platform.mark}") or {}
    return str(found["spec"]["remote"]["url"]).removeprefix("https://").removesuffix("/mcp")
