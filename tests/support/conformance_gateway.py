"""The conformance suite through a running gateway, in front of the server that has everything on each of its transports.

`python tests/support/conformance_gateway.py` (PYTHONPATH as in the Makefile) says what fails, over which transport, and why.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from bridge_process import OPERATOR, bridge
from conformance_adapter import adapter
from conformance_suite import CALL_TIMEOUT, REVISIONS, Verdicts, failed_checks, run_server_leg, tried_again
from discovered_tools import Tools, discovered_tools
from everything_process import STDIO, SUPPORT, everything_server
from everything_server.tools import definitions
from gateway_process import GatewayProcess
from gateway_world import ALICE, SECRET, Manifest, connection_of, dump, flat, gateway, installation, pinned
from node_tools import NodeTools, node_tools
from own_address import ADDRESS
from replica_client import replica

UpstreamName = Literal["legacy", "modern", "sse", "stdio", "session"]
UPSTREAMS: tuple[UpstreamName, ...] = ("legacy", "modern", "sse", "stdio", "session")
"""How the gateway reaches the server: streamable HTTP of either era, HTTP+SSE, and stdio behind the bridge, shared or one for a session."""
AT_ONCE = 4
PREFIX = "t"

Run = tuple[UpstreamName, str]
"""An upstream and a revision."""


async def run_all(
    tools: NodeTools, home: Path, lost: Callable[[Run, str], frozenset[str] | None] = lambda run, scenario: None
) -> Mapping[Run, Verdicts]:
    """Return the verdicts of every run; they wait for most of their time, so several go at once.

    A scenario in which other checks fail than are `lost` is tried again when the others are done; None: it is not of interest.
    """
    slots = asyncio.Semaphore(AT_ONCE)
    runs: list[Run] = [(upstream, revision) for upstream in UPSTREAMS for revision in REVISIONS]

    async def first(upstream: UpstreamName, revision: str) -> Verdicts:
        async with slots, suite_url(upstream) as url:
            return await asyncio.to_thread(run_server_leg, tools, url, revision, home / f"{upstream}-{revision}")

    async def again(one: Run, verdicts: Verdicts) -> Verdicts:
        expected = {scenario: lost(one, scenario) for scenario in verdicts}
        doubtful = [scenario for scenario, failed in verdicts.items() if expected[scenario] not in (None, failed_checks(failed))]
        async with suite_url(one[0]) as url:
            found = await asyncio.to_thread(tried_again, tools, url, one[1], home / f"{one[0]}-{one[1]}", doubtful)
        return {**verdicts, **found}

    async with upstreams(home) as urls, conformance_gateway(urls, home) as (running,):

        def suite_url(upstream: UpstreamName) -> AbstractAsyncContextManager[str]:
            return adapter(f"{running.url}/v1/mcp/dev.{upstream}", ALICE, PREFIX)

        tried = dict(zip(runs, await asyncio.gather(*(first(*one) for one in runs)), strict=True))
        return {one: await again(one, verdicts) for one, verdicts in tried.items()}


@asynccontextmanager
async def upstreams(home: Path) -> AsyncIterator[Mapping[str, str]]:
    """Give the URL of the server by each transport."""
    token_file = home / "bridge-token"
    token_file.write_text(SECRET)
    async with AsyncExitStack() as stack:
        base = stack.enter_context(everything_server(ADDRESS))

        async def bridged(*options: str) -> str:
            environment = {"PYTHONPATH": f"{OPERATOR}:{SUPPORT}"}
            starting = bridge(STDIO, "--listen", f"{ADDRESS}:0", *options, token_file=token_file, environment=environment)
            return f"http://{ADDRESS}:{(await stack.enter_async_context(starting)).url.rpartition(':')[2]}/mcp"

        yield {
            "legacy": f"{base}/legacy",
            "modern": f"{base}/modern",
            "sse": f"{base}/sse",
            "stdio": await bridged(),
            "session": await bridged("--max-sessions", "64"),
        }


@asynccontextmanager
async def conformance_gateway(urls: Mapping[str, str], home: Path, replicas: int = 1) -> AsyncIterator[Sequence[GatewayProcess]]:
    """Run replicas with one gateway of the transport's name in front of each server, and have them know of changed tools."""
    path, found = home / "manifests", {str(upstream): in_front(upstream, urls[upstream], definitions()) for upstream in UPSTREAMS}
    path.write_text(dump(flat(*found.values())))
    async with AsyncExitStack() as stack:
        running = [await replica(stack, path) for _ in range(replicas)]

        def put(name: str, tools: Tools) -> None:
            found[name] = in_front(name, urls[name], tools)
            # At once: a gateway may be reading what was put before.
            path.with_suffix(".next").write_text(dump(flat(*found.values())))
            path.with_suffix(".next").rename(path)
            for one in running:
                one.process.send_signal(signal.SIGHUP)

        await stack.enter_async_context(discovered_tools({name: connection_of(made) for name, made in found.items()}, put))
        yield running


def in_front(upstream: str, url: str, tools: Tools) -> list[Manifest]:
    """Return the manifests of a gateway of this name in front of a server with all that it has."""
    transport: Literal["Auto", "SSE"] = "SSE" if upstream == "sse" else "Auto"
    installed = installation(upstream, team="engineering", url=url, transport=transport, tools=tools)
    return [
        *installed,
        gateway(upstream, pinned(upstream, prefix=PREFIX, prompts=["*"], resources=["*"]), limits={"callTimeout": CALL_TIMEOUT}),
    ]


def _report(verdicts: Mapping[Run, Verdicts]) -> Iterator[str]:
    scenarios = sorted({(revision, scenario) for (_, revision), verdict in verdicts.items() for scenario in verdict})
    for revision, scenario in scenarios:
        reasons: dict[str, list[str]] = {}
        for upstream in UPSTREAMS:
            for reason in verdicts[upstream, revision].get(scenario, ("it did not run",)):
                reasons.setdefault(reason, []).append(upstream)
        yield from (f"{revision} {scenario} ({', '.join(over)}): {reason}" for reason, over in reasons.items())


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:
        print("\n".join(_report(asyncio.run(run_all(node_tools(), Path(scratch))))))
