"""One run of the server's command: a process group of its own, lines in, lines out.

- Standard error is the container's own, so nothing the server logs can block the bridge, or be lost with it.
- Neither direction grows without bound: lines in have a limit, and so has what waits to be written.
- `ended` is done only when the process is gone, its group is dead and its last lines were handed over.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from io import FileIO
from typing import Any, Final

from wharfinger_bridge.lines import LineSplitter, Oversized
from wharfinger_bridge.reaper import Reaper

WRITE_LIMIT: Final = 32 * 1024 * 1024
"""Bytes that may wait for a server that does not read."""

_LADDER = ((2.0, signal.SIGTERM), (3.0, signal.SIGKILL))
"""Seconds the process has to end, and what it gets when it does not; first of all its input is closed (MCP 2025-11-25, lifecycle, stdio)."""
_LAST_LINES_WAIT = 1.0

_Line = bytes | Oversized


class StartError(Exception):
    """The command could not be started; the message names the program and the system's reason, never an argument."""


class Child:
    """A running server process."""

    def __init__(self, pid: int, exited: asyncio.Future[int]) -> None:
        self._pid = pid
        self._exited = exited
        loop = asyncio.get_running_loop()
        self._output_closed: asyncio.Future[None] = loop.create_future()
        self._input_closed: asyncio.Future[None] = loop.create_future()
        self._quit: asyncio.Future[None] = loop.create_future()
        self._stdin: asyncio.WriteTransport
        self._stdout: asyncio.BaseTransport
        self.ended: asyncio.Task[str]
        """How it ended, for people: `exited with code 1`, `was killed by SIGKILL`."""

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: dict[bytes, bytes], reaper: Reaper, receive: Callable[[_Line], None]
    ) -> "Child":
        """Start the command; `receive` gets each line it prints. Raises StartError."""
        stdin_end, stdin = os.pipe()
        stdout, stdout_end = os.pipe()
        try:
            pid = _spawn(command, environment, stdin_end, stdout_end)
        except OSError as error:
            os.close(stdin)
            os.close(stdout)
            raise StartError(f"could not be started: {command[0]!r}: {error.strerror}") from error
        finally:
            os.close(stdin_end)
            os.close(stdout_end)
        child = cls(pid, reaper.watch(pid))
        await child._connect(os.fdopen(stdin, "wb", buffering=0), os.fdopen(stdout, "rb", buffering=0), receive)
        return child

    async def _connect(self, stdin: FileIO, stdout: FileIO, receive: Callable[[_Line], None]) -> None:
        loop = asyncio.get_running_loop()
        self._stdin, _ = await loop.connect_write_pipe(lambda: _Pipe(None, self._input_closed), stdin)
        self._stdout, _ = await loop.connect_read_pipe(lambda: _Pipe(receive, self._output_closed), stdout)
        self.ended = asyncio.create_task(self._end())

    def write(self, line: bytes) -> bool:
        """Send one line; False when it was not sent: too much is waiting already, or the server's input is closed."""
        if self._stdin.is_closing() or self._stdin.get_write_buffer_size() + len(line) > WRITE_LIMIT:
            return False
        self._stdin.write(line + b"\n")
        return True

    async def stop(self) -> str:
        """End the process and return how it ended."""
        _settle(self._quit)
        return await self.ended

    async def _end(self) -> str:
        ends: set[asyncio.Future[Any]] = {self._exited, self._output_closed, self._input_closed, self._quit}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        self._stdin.close()
        for wait, number in _LADDER:
            await asyncio.wait({self._exited}, timeout=wait)
            if self._exited.done():
                break
            self._signal_group(number)
        code = await self._exited
        self._signal_group(signal.SIGKILL)
        await asyncio.wait({self._output_closed}, timeout=_LAST_LINES_WAIT)
        if not self._input_closed.done():
            self._stdin.abort()
        self._stdout.close()
        return _described(code)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, number)


class _Pipe(asyncio.Protocol):
    def __init__(self, receive: Callable[[_Line], None] | None, lost: asyncio.Future[None]) -> None:
        self._receive = receive
        self._lost = lost
        self._lines = LineSplitter()

    def data_received(self, data: bytes) -> None:
        if self._receive is not None:
            for line in self._lines.feed(data):
                self._receive(line)

    def connection_lost(self, exc: Exception | None) -> None:
        _settle(self._lost)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _spawn(command: Sequence[str], environment: dict[bytes, bytes], stdin: int, stdout: int) -> int:
    return os.posix_spawnp(
        command[0],
        list(command),
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, stdout, 1)],
        setpgroup=0,
        setsigmask=(),
        setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # the interpreter ignores both, and ignoring is inherited
    )


def _described(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
    return f"was killed by {name}"
