"""Our CRDs, on the API server under test."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from served_crds import serve_crds


@pytest.fixture(scope="session")
def crds(control_plane: str) -> None:
    # In a thread: the loops of the tests are not running yet, and a session outlives them.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, serve_crds(control_plane)).result()
