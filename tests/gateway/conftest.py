"""What gateway tests start from: a pipeline in this process, servers behind it, and golden files."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

import gateway_served
from asking_server import AskingServer, asking_server
from gateway_served import Serve, Served
from gateway_upstream import UpstreamServer, upstream_server


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    started: list[Served] = []

    def start(*parts: Any, **options: Any) -> Served:
        started.append(gateway_served.start(*parts, **options))
        return started[-1]

    yield start
    for one in started:
        await one.upstreams.close()


@pytest.fixture
async def legacy_server() -> AsyncIterator[UpstreamServer]:
    async with upstream_server("legacy") as server:
        yield server


@pytest.fixture
async def modern_server() -> AsyncIterator[UpstreamServer]:
    async with upstream_server("modern") as server:
        yield server


@pytest.fixture(params=["legacy", "modern"])
async def asking(request: pytest.FixtureRequest) -> AsyncIterator[AskingServer]:
    async with asking_server(request.param) as running:
        yield running


@pytest.fixture
async def old_asking() -> AsyncIterator[AskingServer]:
    async with asking_server("legacy") as running:
        yield running


@pytest.fixture
async def new_asking() -> AsyncIterator[AskingServer]:
    async with asking_server("modern") as running:
        yield running
