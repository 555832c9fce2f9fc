"""Helm, the chart's policies in force, and its roles."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from chart import RESOURCES, applied, of_kind, renamed, render
from local_cluster import binaries
from operator_platform import until
from refusal import refusal
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.kubeconfig import from_kubeconfig
from wharfinger_cluster.resource import NAMESPACE, Object
from wharfinger_crds import names
from wharfinger_crds.kinds import GATEWAY, INSTALLATION, REGISTRY_ENTRY

TENANTS = 60
GRANTS = {names.TEAMS_GRANT: "engineering", names.USERS_GRANT: "okta:alice"}


def in_thread(work: Coroutine[Any, Any, None]) -> None:
    """Run before the loops of the tests do, and after them."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def helm() -> Path:
    found = shutil.which("helm")
    return Path(found) if found else binaries.build(binaries.HELM)


@pytest.fixture(scope="session")
def policies(helm: Path, crds: None, control_plane: str) -> Iterator[list[str]]:
    """The chart's admission policies in force for these tenants, which are names of namespaces that are not there yet."""
    mark = f"test-{secrets.token_hex(4)}"
    tenants = [f"{mark}-{i}" for i in range(TENANTS)]
    values = {"namespaces": {"servers": [{"name": "unused"}], "tenants": [{"name": name} for name in tenants]}}
    manifests = of_kind(renamed(render(helm, values), mark), "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    try:
        in_thread(enforce(control_plane, manifests, tenants.pop()))
        yield tenants
    finally:
        in_thread(withdraw(control_plane, manifests))


async def enforce(kubeconfig: str, manifests: list[Object], tenant: str) -> None:
    """Return when the API server obeys: that takes it some seconds."""
    async with Cluster(await from_kubeconfig(kubeconfig)) as cluster:
        for manifest in manifests:
            await cluster.apply(RESOURCES[manifest["kind"]], manifest)
        await cluster.create(NAMESPACE, {"metadata": {"name": tenant}})
        meta = {"name": "probe", "namespace": tenant}
        installation = {"metadata": meta, "spec": {"entryRef": {"name": "x"}, "owner": {"team": "x"}}}
        gateway = {"metadata": meta, "spec": {"title": "X", "visibility": {"scope": "Org"}, "authentication": {}}}
        entry = {"metadata": {"name": tenant}, "spec": {"title": "X", "type": "Remote", "remote": {"url": "https://mcp.invalid/mcp"}}}
        resource = kind_resource(REGISTRY_ENTRY)

        async def deletion_is_refused() -> bool:
            await cluster.apply(resource, entry)
            await cluster.patch(resource, tenant, {"status": {"observedGeneration": 1, "installations": 1}}, subresource="status")
            return await refusal(cluster.delete(resource, tenant)) is not None

        await until(lambda: refusal(cluster.create(kind_resource(INSTALLATION), installation, dry_run=True)))
        await until(lambda: refusal(cluster.create(kind_resource(GATEWAY), gateway, dry_run=True)))
        await until(deletion_is_refused)
        await cluster.patch(resource, tenant, {"metadata": {"annotations": {names.ALLOW_DELETION: "true"}}})
        await cluster.delete(resource, tenant)
        await cluster.delete(NAMESPACE, tenant)


async def withdraw(kubeconfig: str, manifests: list[Object]) -> None:
    async with Cluster(await from_kubeconfig(kubeconfig)) as cluster:
        for manifest in reversed(manifests):
            await cluster.delete(RESOURCES[manifest["kind"]], manifest["metadata"]["name"])


@pytest.fixture
async def tenant(policies: list[str], cluster: Cluster) -> AsyncIterator[str]:
    """A tenant namespace for team engineering and user okta:alice."""
    name = policies.pop()
    await cluster.create(NAMESPACE, {"metadata": {"name": name, "annotations": GRANTS}})
    yield name
    await cluster.delete(NAMESPACE, name)


@pytest.fixture
async def roles(helm: Path, crds: None, cluster: Cluster) -> AsyncIterator[str]:
    """The chart's roles for people; the mark that their names begin with."""
    mark = f"test-{secrets.token_hex(4)}"
    people = {f"{mark}-{role}" for role in ("view", "install", "publish", "admin")}
    async with applied(cluster, [m for m in renamed(render(helm, {}), mark) if m["metadata"]["name"] in people]):
        yield mark
