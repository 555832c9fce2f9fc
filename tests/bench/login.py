"""`python -m bench.login`: what a login costs, what an access token costs at each call, and what ten thousand grants cost."""

import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import httpx
from bench.results import write_section

import authorization_scene
import cluster_access
from authorization_scene import GRANTS, META, Client, Scene
from cluster_access import Unavailable
from gateway_process import GatewayProcess
from gateway_upstream import upstream_server
from gateway_world import ALICE, root_key, token
from served_crds import serve_crds
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.kubeconfig import from_kubeconfig
from wharfinger_oauth.grant_record import GrantRecord, grant_name, manifest
from wharfinger_oauth.subject import Subject

ROUNDS, CALLS = 15, 200
MANY = 10_000
AT_ONCE = 32
ROOT_KEY = bytes([7]) * 32


def main() -> int:
    """Measure and write the table; return the exit code."""
    found = cluster_access.control_plane()
    if isinstance(found, Unavailable):
        print(found)
        return 1
    with TemporaryDirectory() as folder:
        rows = asyncio.run(_measured(str(found.kubeconfig), Path(folder)))
    notes = (
        f"Rates are medians of {ROUNDS} interleaved pairs of {CALLS} calls at one connection, by the same gateway to the same server.\n"
        "Round trips are those of a client that knows the gateway's URL; the identity provider's own are not counted.\n"
        "Memory is that of a gateway outside of a cluster, with the library that reads kubeconfig files, which pods do not have."
    )
    print(write_section("Login", "make bench-login", notes, ("what", "measured", "goal"), rows))
    return 0


async def _measured(kubeconfig: str, folder: Path) -> list[tuple[str, ...]]:
    await serve_crds(kubeconfig)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(Cluster(await from_kubeconfig(kubeconfig)))
        server = await stack.enter_async_context(upstream_server("legacy"))
        scene = await stack.enter_async_context(authorization_scene.scene(cluster))
        # A static token has no groups.
        groups = [{"identityProvider": "okta", "group": "engineering"}]
        await scene.prepare(server.url, teams=[{"name": "engineering", "groups": groups, "members": ["okta:alice"]}])
        await scene.platform.apply(root_key(), token("alice", ALICE, user="okta:alice"))
        few = await _started(scene, kubeconfig)
        rows = await _with_few(scene, kubeconfig)
        print("making grants …", flush=True)
        await _fill(scene)
        many = await _started(scene, kubeconfig)
        return [
            *rows,
            ("gateway: ready after, no grants", f"{few[0]:.2f} s, {few[1]:.0f} MiB", ""),
            (f"the same, {MANY} grants", f"{many[0]:.2f} s, {many[1]:.0f} MiB", ""),
            ("memory of a grant", f"{(many[1] - few[1]) * 1024 / MANY:.1f} KiB", ""),
        ]


async def _with_few(scene: Scene, kubeconfig: str) -> list[tuple[str, ...]]:
    async with authorization_scene.running(scene, Path(kubeconfig)):
        trips: list[str] = []

        async def count(request: httpx.Request) -> None:
            if str(request.url).startswith(scene.url):
                trips.append(request.url.path)

        async with httpx.AsyncClient(event_hooks={"request": [count]}) as http:
            unknown = await http.post(scene.resource, json={})
            assert unknown.status_code == 401
            for path in (
                "/.well-known/oauth-protected-resource" + scene.resource.removeprefix(scene.url),
                "/.well-known/oauth-authorization-server",
            ):
                await http.get(scene.url + path)
            body = {"client_name": "Bench", "redirect_uris": [authorization_scene.REDIRECT]}
            registered = (await http.post(f"{scene.url}/oauth/register", json=body)).json()
            client = Client(scene, registered["client_id"], http)
            tokens = await client.tokens()
        access = tokens["access_token"]
        assert (await scene.call(access)).status_code == 200
        pairs = await _pairs(scene, ALICE, access)
    ratio = statistics.median(pairs)
    return [
        ("round trips from the gateway's URL to the first call", f"{len(trips) + 1}", ""),
        ("`tools/call` with an access token, as share of the rate with a static token", f"{ratio:.3f}", "≥ 0.95"),
    ]


async def _pairs(scene: Scene, static: str, access: str) -> list[float]:
    found = []
    async with aiohttp.ClientSession() as session:
        for _ in range(ROUNDS + 1):
            first = await _seconds(session, scene, static)
            found.append(first / await _seconds(session, scene, access))
    return found[1:]


async def _seconds(session: aiohttp.ClientSession, scene: Scene, bearer: str) -> float:
    headers = {
        "Authorization": f"Bearer {bearer}",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "bot__echo",
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "bot__echo", "arguments": {}, "_meta": META}}
    url = f"{scene.replicas[0].url}/v1/mcp/{scene.platform.gateway_id}"
    started = time.perf_counter()
    for _ in range(CALLS):
        async with session.post(url, json=message, headers=headers) as answer:
            await answer.read()
            assert answer.status == 200
    return time.perf_counter() - started


async def _started(scene: Scene, kubeconfig: str) -> tuple[float, float]:
    """Start a replica; return the seconds until it is ready, and its memory in MiB."""
    started = time.perf_counter()
    async with authorization_scene.running(scene, Path(kubeconfig)):
        return time.perf_counter() - started, _resident(scene.replicas[0])


def _resident(process: GatewayProcess) -> float:
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


async def _fill(scene: Scene) -> None:
    now, slots = int(time.time()), asyncio.Semaphore(AT_ONCE)

    async def make(number: int) -> None:
        subject = Subject(
            f"okta:user-{number}",
            "okta",
            scene.provider.issuer,
            f"user-{number}",
            now,
            f"user-{number}@example.com",
            ("engineering", "staff"),
        )
        record = GrantRecord(
            grant_name("code", str(number)),
            subject,
            "0" * 32,
            "Bench",
            "127.0.0.1:7777",
            scene.platform.gateway_id,
            "OAuth",
            ("mcp",),
            now + 86_400,
        )
        async with slots:
            await scene.platform.cluster.create(GRANTS, manifest(record, scene.platform.system, ROOT_KEY))

    await asyncio.gather(*(make(number) for number in range(MANY)))


if __name__ == "__main__":
    raise SystemExit(main())
