"""`python -m bench`: measure the platform in the local cluster, print a table, and keep it in RESULTS.md with the machine's name."""

import asyncio
import base64
import json
import statistics
import time
from typing import Any

import aiohttp
from bench.results import write_section

from cluster_access import Unavailable, node
from platform_cluster import SERVERS, SYSTEM, TENANT, PlatformCluster
from quickstart.steps import IMAGES, published_token, up
from wharfinger_crds import names

ROUNDS, CALLS, STARTS = 9, 200, 5
RSS = "print(next(int(l.split()[1]) for l in open('/proc/1/status') if l.startswith('VmRSS')) // 1024)"


def main() -> int:
    """Bring the demo up, measure, and write the table; return the exit code."""
    up()
    found = node(IMAGES)
    if isinstance(found, Unavailable):
        print(found)
        return 1
    cluster = PlatformCluster(found)
    operator_rss, gateway_rss = (_resident(cluster, program) for program in ("wharfinger-operator", "wharfinger-gateway"))
    direct, through = asyncio.run(_latencies(cluster))
    starts = [_start(cluster, number) for number in range(STARTS)]
    rows = [
        (
            "`kubectl apply` to Ready, stdio server, image present",
            f"{statistics.median(starts):.1f} s (of {STARTS}: {min(starts):.1f} to {max(starts):.1f})",
            "",
        ),
        ("`tools/call` at one connection, p50, straight to the server", f"{direct:.2f} ms", ""),
        ("the same through the gateway", f"{through:.2f} ms", ""),
        ("added by the gateway, p50", f"{through - direct:.2f} ms, {through / direct:.2f} times", ""),
        ("gateway RSS, the demo's objects, idle", f"{gateway_rss} MiB", "≤ 60 MiB"),
        ("operator RSS, the demo's objects", f"{operator_rss} MiB", "≤ 80 MiB"),
    ]
    notes = f"Latencies are medians of {ROUNDS} interleaved rounds of {CALLS} calls each to the time server,\nwhich runs behind the stdio bridge; client and cluster share the machine."
    print(write_section("The demo", "make bench", notes, ("what", "measured", "goal"), rows))
    return 0


def _resident(cluster: PlatformCluster, program: str) -> int:
    return int(cluster.run("exec", "-n", SYSTEM, f"deployment/{program}", "--", "python", "-c", RSS))


def _start(cluster: PlatformCluster, number: int) -> float:
    name = f"bench-{number}"
    manifest = {
        "apiVersion": names.API_VERSION, "kind": "McpInstallation", "metadata": {"name": name, "namespace": TENANT},
        "spec": {"entryRef": {"name": "time"}, "owner": {"team": "quickstart"}},
    }  # fmt: skip
    started = time.monotonic()
    cluster.apply(manifest)
    try:
        cluster.ready("mcpinstallation", name)
        return time.monotonic() - started
    finally:
        cluster.run("delete", "mcpinstallation", name, "-n", TENANT)


async def _latencies(cluster: PlatformCluster) -> tuple[float, float]:
    """Return the p50 in milliseconds straight to the server and through the gateway, each the median of interleaved rounds."""
    connection = cluster.get("secret", names.connection_name(TENANT, "time"), "-n", SYSTEM)["data"][names.CONNECTION_KEY]
    headers = {h["name"]: h["value"] for h in json.loads(base64.b64decode(connection))["headers"]}
    server = _address(cluster, names.server_name(TENANT, "time"), SERVERS)
    gateway = _address(cluster, "wharfinger-gateway", SYSTEM)
    straight = (f"http://{server}:{names.SERVER_PORT}/mcp", headers, "get_current_time")
    governed = (f"http://{gateway}/v1/mcp/{TENANT}.demo", {"authorization": f"Bearer {published_token()}"}, "time__get_current_time")
    direct, through = [], []
    async with aiohttp.ClientSession() as session:
        for _ in range(ROUNDS):
            direct.append(await _p50(session, *straight))
            through.append(await _p50(session, *governed))
    return statistics.median(direct), statistics.median(through)


async def _p50(session: aiohttp.ClientSession, url: str, headers: dict[str, str], tool: str) -> float:
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    params: dict[str, Any] = {"name": tool, "arguments": {"timezone": "UTC"}, "_meta": meta}
    own = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
    }
    taken = []
    for number in range(CALLS):
        started = time.perf_counter()
        body = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
        async with session.post(url, json=body, headers={**headers, **own}) as answer:
            text = await answer.text()
        taken.append((time.perf_counter() - started) * 1000)
        assert "datetime" in text, text
    return statistics.median(taken)


def _address(cluster: PlatformCluster, service: str, namespace: str) -> str:
    address: str = cluster.get("service", service, "-n", namespace)["spec"]["clusterIP"]
    return address


if __name__ == "__main__":
    raise SystemExit(main())
