"""Wiring: arguments, environment, login, event loop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence

from wharfinger_cluster.errors import LoginError
from wharfinger_cluster.login import login
from wharfinger_crds.settings import SettingsError as PlatformSettingsError
from wharfinger_gateway.app import run
from wharfinger_gateway.settings import Settings, SettingsError, description


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the gateway until it is told to stop."""
    parser = argparse.ArgumentParser(
        prog="wharfinger-gateway",
        description="Serves MCP from the gateways, installations and tokens of a cluster.",
        epilog=description(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kubeconfig", default="", metavar="FILE", help="how to reach the cluster from outside of it")
    parser.add_argument("--context", default="", metavar="NAME", help="the kubeconfig's context, if not its current one")
    chosen = parser.parse_args(arguments)
    try:
        settings = Settings.from_environment(os.environ)
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
        # They tell of each request, whose URL can hold a code, and of each token that is given out.
        for name in ("httpx", "authlib"):
            logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_run(settings, chosen.kubeconfig, chosen.context))
    except (SettingsError, PlatformSettingsError, LoginError, OSError) as error:
        sys.exit(f"wharfinger-gateway: {error}")


async def _run(settings: Settings, kubeconfig: str, context: str) -> None:
    await run(settings, await login(os.environ, kubeconfig=kubeconfig, context=context))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop: uvloop's where there is one for this machine."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - optional
    except ImportError:
        return asyncio.new_event_loop
    return new_event_loop


if __name__ == "__main__":
    main()
