"""What stands in for a node in the bench of the operator: availability without pods, and one MCP server for all installations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.informer import ChangeType, Informer
from wharfinger_cluster.resource import DEPLOYMENT, Object, Scope
from wharfinger_cluster.workqueue import WorkQueue
from wharfinger_crds import names

TOOLS = [{"name": f"tool_{n}", "description": "x" * 200, "inputSchema": {"type": "object"}} for n in range(12)]
_MODERN = "2026-07-28"


@asynccontextmanager
async def hollow_node(cluster: Cluster, namespace: str) -> AsyncIterator[None]:
    """Say of each Deployment, as soon as it is there, that its pods are."""
    queue: WorkQueue[str] = WorkQueue()

    def changed(_: ChangeType, __: Object | None, new: Object | None) -> None:
        if new is not None and new.get("status", {}).get("observedGeneration") != new["metadata"]["generation"]:
            queue.add(new["metadata"]["name"])

    informer = Informer(cluster, DEPLOYMENT, Scope(namespace), on_change=changed)

    async def make_available(name: str) -> None:
        found = informer.get(name, namespace)
        if found is None:
            return
        wanted = found["spec"]["replicas"]
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), wanted)
        status = {"observedGeneration": found["metadata"]["generation"], **counts}
        try:
            await cluster.patch(DEPLOYMENT, name, {"status": status}, namespace, subresource="status")
        except NotFound:
            return

    tasks = [asyncio.create_task(informer.run()), asyncio.create_task(queue.run(make_available, 4))]
    try:
        yield
    finally:
        queue.shut_down()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def hollow_server() -> AsyncIterator[str]:
    """Run an MCP server with a dozen tools; give its URL."""

    async def answer(request: web.Request) -> web.Response:
        message = await request.json()
        result: dict[str, Any] = {"resultType": "complete", "tools": TOOLS}
        if message["method"] == "server/discover":
            result = {"resultType": "complete", "supportedVersions": [_MODERN], "capabilities": {"tools": {}}}
        return web.json_response({"jsonrpc": "2.0", "id": message.get("id"), "result": result})

    application = web.Application()
    application.router.add_post(names.MCP_PATH, answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{names.MCP_PATH}"
    finally:
        await runner.cleanup()
