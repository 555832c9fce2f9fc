"""The whole platform, installed once: the chart and the quickstart in a cluster that runs pods."""

from collections.abc import Iterator

import pytest

from cluster_access import Unavailable, node
from platform_cluster import SYSTEM, PlatformCluster
from quickstart.forward import forwarded
from quickstart.progress import follow
from quickstart.steps import EXAMPLE, IMAGES, READY_SECONDS, WAITED_FOR, install

TEST_IMAGES = ("localhost/musl-server:test", "localhost/distroless-server:test")


@pytest.fixture(scope="session")
def platform() -> PlatformCluster:
    found = node((*IMAGES, *TEST_IMAGES))
    if isinstance(found, Unavailable):
        pytest.skip(f"{found.reason}: {found.remedy}")
    install(found)
    cluster = PlatformCluster(found)
    cluster.run("apply", "-f", str(EXAMPLE))
    follow(lambda *arguments: cluster.run(*arguments, check=False), WAITED_FOR, READY_SECONDS)
    return cluster


@pytest.fixture
def endpoint(platform: PlatformCluster) -> Iterator[str]:
    with forwarded(platform.node.kubectl, platform.node.kubeconfig, SYSTEM, "service/wharfinger-gateway", 80) as port:
        yield f"http://127.0.0.1:{port}/v1/mcp/quickstart.demo"
