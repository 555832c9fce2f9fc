"""Servers to talk to: scripted TCP, aiohttp, and the official SDK in a process of its own."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from recording_server import Http, serving
from scripted_server import Script, Tcp
from wharfinger_mcp.endpoint import Endpoint, parse_endpoint
from wharfinger_mcp.http_client import HttpClient

# Times of a busy machine are no property of what is tested.
settings.register_profile("mcp", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mcp")


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what touches sockets itself on both event loops."""
    both: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return both if item.path.name.startswith("test_http_") else {"asyncio": asyncio.new_event_loop}


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    http_client = HttpClient()
    yield http_client
    await http_client.close()


@pytest.fixture
async def tcp() -> AsyncIterator[Tcp]:
    """Start a server that runs a script for each connection."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(script: Script, host: str = "127.0.0.1", port: int = 0) -> Endpoint:
            scripts: set[asyncio.Task[None]] = set()

            async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = asyncio.current_task()
                assert task is not None
                scripts.add(task)
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    await script(reader, writer)
                writer.transport.abort()

            async def stop() -> None:
                server.close()
                for task in scripts:
                    task.cancel()
                await asyncio.gather(*scripts, return_exceptions=True)

            server = await asyncio.start_server(run, host, port)
            stack.push_async_callback(stop)
            return parse_endpoint(f"http://{host}:{server.sockets[0].getsockname()[1]}/mcp")

        yield start


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with serving() as start:
        yield start


@pytest.fixture(scope="session")
def sdk_server() -> Iterator[str]:
    """Return the base URL of `sdk_server.py`; its paths are the variants."""
    program = Path(__file__).with_name("sdk_server.py")
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()
