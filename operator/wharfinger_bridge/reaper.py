"""Collects every process that ends as a child of this one.

The bridge is process 1 of its container: orphans of the server become its children and would stay behind as zombies. So it waits for
any process, not for those it knows, and nothing else in this program may wait for one.
"""

import asyncio
import os
import signal


class Reaper:
    """Turns SIGCHLD into futures; belongs to the running event loop's main thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watched: dict[int, asyncio.Future[int]] = {}
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def watch(self, pid: int) -> asyncio.Future[int]:
        """Return a future of a child's exit code, negative for a signal; call it in the turn that started the child."""
        return self._watched.setdefault(pid, self._loop.create_future())

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended = self._watched.pop(pid, None)
            if ended is not None and not ended.done():
                ended.set_result(os.waitstatus_to_exitcode(status))
