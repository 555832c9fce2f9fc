"""The gateway's process over manifests with other bounds: `python gateway_bounded.py MANIFESTS MODULE.NAME[.FIELD]=NUMBER…`; see gateway_offline."""

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from gateway_offline import main
from gateway_process import GatewayProcess, gateway_process
from gateway_world import Manifest, dump
from wharfinger_gateway.__main__ import loop_factory


@asynccontextmanager
async def bounded(path: Path, manifests: list[Manifest], bounds: Mapping[str, float]) -> AsyncIterator[GatewayProcess]:
    """Run the program with these bounds, by module and name, in place of its own."""
    path.write_text(dump(manifests))  # noqa: ASYNC240 - before anything runs
    async with gateway_process([__file__, str(path), *(f"{name}={value}" for name, value in bounds.items())]) as process:
        await process.ready()
        yield process


def put_in_place(bound: str) -> None:
    """Replace a number of one module, or one that a class is made with there."""
    name, _, value = bound.partition("=")
    module, constant, *field = name.split(".")
    found = importlib.import_module(f"wharfinger_gateway.{module}")
    own = getattr(found, constant)
    setattr(found, constant, partial(own, **{field[0]: float(value)}) if field else type(own)(float(value)))


if __name__ == "__main__":
    for one in sys.argv[2:]:
        put_in_place(one)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main(Path(sys.argv[1])))
