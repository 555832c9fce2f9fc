"""A running gateway for tests: the process, what it wrote, and its addresses."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from eventually import eventually

ROOT = Path(__file__).parents[2]
_LISTENING = re.compile(r"listening for (\w+) on (\S+) port (\d+)")


@dataclass
class GatewayProcess:
    """The process and its output so far."""

    process: asyncio.subprocess.Process
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    def address(self, whom: str) -> str:
        """Return where it listens for `clients` or `probes`; empty until it does."""
        found = [match for line in self.err if (match := _LISTENING.search(line)) and match[1] == whom]
        return f"http://{found[0][2]}:{found[0][3]}" if found else ""

    @property
    def url(self) -> str:
        """Where clients connect."""
        return self.address("clients")

    async def probe(self, path: str = "/readyz") -> tuple[int, str]:
        """Return status and text of a probe."""
        async with aiohttp.ClientSession() as session, session.get(self.address("probes") + path) as response:
            return response.status, await response.text()

    async def ready(self) -> None:
        """Wait until it is ready; fail when it ends before."""
        async with asyncio.timeout(60):
            while not self.address("probes") or (await self.probe())[0] != 200:
                assert self.process.returncode is None, "\n".join(self.err)
                await asyncio.sleep(0.02)

    async def listening(self) -> None:
        """Wait until it listens, ready or not."""
        await eventually(lambda: self.url or self.process.returncode is not None)
        assert self.url, "\n".join(self.err)

    def stop(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    async def ended(self, seconds: float = 15.0) -> int:
        """Wait for the end and return the exit code."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def gateway_process(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> AsyncIterator[GatewayProcess]:
    """Run `python <arguments>` with free ports on the loopback interface."""
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": ":".join(str(ROOT / folder) for folder in ("crds", "gateway", "tests/support", "tests/local")),
        "WHARFINGER_LISTEN": "127.0.0.1:0",
        "WHARFINGER_PROBE_LISTEN": "127.0.0.1:0",
        **(environment or {}),
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, env=variables, stdout=pipe, stderr=pipe)
    running = GatewayProcess(process)
    readers = [
        asyncio.create_task(_collect(stream, lines)) for stream, lines in ((process.stdout, running.out), (process.stderr, running.err))
    ]
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(*readers)


async def _collect(stream: asyncio.StreamReader | None, lines: list[str]) -> None:
    assert stream is not None
    async for line in stream:
        lines.append(line.decode(errors="replace").rstrip("\n"))  # noqa: PERF401 - seen while the process runs
