"""What tests start from: golden files; a real API server, an open client, a namespace of their own, our CRDs.

Imports are in the fixtures, so that pure tests neither need nor load what talks to a cluster.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import golden as golden_files

if TYPE_CHECKING:
    from wharfinger_cluster.client import Cluster
    from wharfinger_cluster.connection import Login

WORKERS = 3
"""Of pytest-xdist on this machine or a smaller one: an API test waits for most of its time."""


# Before anything of the launcher is imported: a worker of pytest-xdist has a control plane of its own.
if WORKER := os.environ.get("PYTEST_XDIST_WORKER", ""):
    os.environ["WHARFINGER_LOCAL_NUMBER"] = str(int(WORKER.removeprefix("gw")) + 1)


def pytest_xdist_auto_num_workers() -> int:
    """How many workers `-n auto` means: none where the API tests share a cluster that somebody named, or kind."""
    import cluster_access  # noqa: PLC0415

    return WORKERS if cluster_access.has_control_planes_beside() else 0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    own = any("case" in str(mark.args[0]) for mark in metafunc.definition.iter_markers("parametrize"))
    if "case" in metafunc.fixturenames and not own:
        found = golden_files.cases(str(metafunc.module.__file__))
        metafunc.parametrize("case", found, ids=[one.name.removesuffix(".in.yaml") for one in found])


@pytest.fixture
def golden(case: Path, pytestconfig: pytest.Config) -> golden_files.Golden:
    def compare(actual: Any) -> None:
        golden_files.compare(case, actual, update=bool(pytestconfig.getoption("--update-golden")))

    return compare


@pytest.fixture(scope="session")
def control_plane() -> Iterator[str]:
    """The path of an administrator's kubeconfig."""
    import cluster_access  # noqa: PLC0415
    from local_cluster import lifecycle  # noqa: PLC0415

    if WORKER:
        # What a session left that was cut off is not what tests begin with.
        lifecycle.down()
    reached = cluster_access.control_plane()
    if isinstance(reached, cluster_access.Unavailable):
        pytest.skip(str(reached))
    yield str(reached.kubeconfig)
    if WORKER:
        lifecycle.down()


@pytest.fixture
async def admin(control_plane: str) -> Login:
    from wharfinger_cluster.kubeconfig import from_kubeconfig  # noqa: PLC0415

    return await from_kubeconfig(control_plane)


@pytest.fixture
async def cluster(admin: Login) -> AsyncIterator[Cluster]:
    from wharfinger_cluster.client import Cluster  # noqa: PLC0415

    async with Cluster(admin) as client:
        yield client


@pytest.fixture
async def namespace(cluster: Cluster) -> AsyncIterator[str]:
    from wharfinger_cluster.resource import NAMESPACE  # noqa: PLC0415

    name = f"test-{secrets.token_hex(4)}"
    await cluster.create(NAMESPACE, {"metadata": {"name": name}})
    yield name
    await cluster.delete(NAMESPACE, name)


@pytest.fixture(scope="session")
def crds(control_plane: str) -> None:
    """Our CRDs, served; in a thread, since the loops of the tests are not running yet and a session outlives them."""
    from served_crds import serve_crds  # noqa: PLC0415

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, serve_crds(control_plane)).result()


@pytest.fixture(scope="session")
def alone(control_plane: str) -> Iterator[None]:
    """No other operator: that of an installed chart would judge the same cluster-scoped objects by its own settings."""
    from operator_process import scale_installed_operator  # noqa: PLC0415

    with ThreadPoolExecutor(1) as thread:
        before = thread.submit(asyncio.run, scale_installed_operator(control_plane, 0)).result()
        yield
        thread.submit(asyncio.run, scale_installed_operator(control_plane, before)).result()
