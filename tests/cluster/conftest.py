"""A proxy that fails on demand in front of the API server, and a client behind it."""

from collections.abc import AsyncIterator

import pytest

from faulty_proxy import FaultyProxy
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login


@pytest.fixture
async def proxy(admin: Login) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(admin) as running:
        yield running


@pytest.fixture
async def through(proxy: FaultyProxy) -> AsyncIterator[Cluster]:
    async with Cluster(Login(server=proxy.url)) as cluster:
        yield cluster
