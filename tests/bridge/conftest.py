"""Bridges that end with their test."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bridge_process import TOKEN, Bridge, Start, bridge, stdio_server


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture
async def start(token_file: Path) -> AsyncIterator[Start]:
    """Start bridges: server options, or a whole command, and the bridge's own options; ready ones unless told not to wait."""
    async with contextlib.AsyncExitStack() as stack:

        async def start_bridge(
            *server: str, command: Sequence[str] = (), options: Sequence[str] = (), ready: bool = True, **rest: object
        ) -> Bridge:
            running = await stack.enter_async_context(bridge(command or stdio_server(*server), *options, token_file=token_file, **rest))  # type: ignore[arg-type]
            if ready:
                await running.ready()
            return running

        yield start_bridge
