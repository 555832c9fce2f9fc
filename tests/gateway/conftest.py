"""What gateway tests start from: a pipeline in this process, servers behind it, and golden files."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import gateway_served
import golden as golden_files
from gateway_served import Serve, Served
from gateway_upstream import UpstreamServer, upstream_server


def pytest_addoption(parser: pytest.Parser) -> None:
    # Another folder with golden files may have added it before.
    with suppress(ValueError):
        parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "golden" in metafunc.fixturenames:
        found = golden_files.cases(str(metafunc.module.__file__))
        metafunc.parametrize("case", found, ids=[one.name.removesuffix(".in.yaml") for one in found])


@pytest.fixture
def golden(case: Path, pytestconfig: pytest.Config) -> golden_files.Golden:
    update = bool(pytestconfig.getoption("--update-golden", default=False))

    def compare(actual: Any) -> None:
        golden_files.compare(case, actual, update=update)

    return compare


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    started: list[Served] = []

    def start(*parts: Any, **options: Any) -> Served:
        started.append(gateway_served.start(*parts, **options))
        return started[-1]

    yield start
    for one in started:
        await one.upstreams.close()


@pytest.fixture
async def legacy_server() -> AsyncIterator[UpstreamServer]:
    async with upstream_server("legacy") as server:
        yield server


@pytest.fixture
async def modern_server() -> AsyncIterator[UpstreamServer]:
    async with upstream_server("modern") as server:
        yield server
