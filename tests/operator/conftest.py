"""Servers to ask."""

from collections.abc import AsyncIterator

import pytest

from own_address import ADDRESS
from recording_server import Http, serving
from wharfinger_operator.ask_server import ServerAsker


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with serving(host=ADDRESS) as start:
        yield start


@pytest.fixture
async def asker() -> AsyncIterator[ServerAsker]:
    made = ServerAsker("0.1.0")
    yield made
    await made.close()
