"""A server that has everything of MCP that the official conformance suite looks for, on every transport.

`python -m everything_server http ADDRESS` listens on a free port and prints it; `python -m everything_server stdio` talks over stdin and stdout.
"""

import asyncio
import sys

from aiohttp import web

from everything_server import stdio
from everything_server.http import application


async def serve_http(address: str) -> None:
    """Serve until killed."""
    # A client that leaves cancels its request, as the revision without a handshake has it; the other one keeps its own tasks.
    runner = web.AppRunner(application(address), access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, address, 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve_http(sys.argv[2]) if sys.argv[1] == "http" else stdio.serve())
