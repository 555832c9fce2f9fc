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
from refusal import is_granted, refusal, refused_with
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.kubeconfig import from_kubeconfig
from wharfinger_cluster.resource import NAMESPACE, Object
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, INSTALLATION, REGISTRY_ENTRY

TENANTS = 90
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
    values = {
        "namespaces": {
            "catalog": {"name": f"{mark}-catalog"},
            "servers": [{"name": "unused"}],
            "tenants": [{"name": name} for name in tenants],
        }
    }
    manifests = of_kind(renamed(render(helm, values), mark), "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    try:
        in_thread(enforce(control_plane, manifests, tenants.pop(), f"{mark}-catalog"))
        yield tenants
    finally:
        in_thread(withdraw(control_plane, manifests, f"{mark}-catalog"))


@pytest.fixture(scope="session")
def catalog(policies: list[str]) -> str:
    """The catalog namespace of the policies."""
    return f"{policies[0].rpartition('-')[0]}-catalog"


async def enforce(kubeconfig: str, manifests: list[Object], tenant: str, catalog: str) -> None:
    """Return when the API server obeys: that takes it some seconds."""
    async with Cluster(await from_kubeconfig(kubeconfig)) as cluster:
        for manifest in manifests:
            await cluster.apply(RESOURCES[manifest["kind"]], manifest)
        await cluster.create(NAMESPACE, {"metadata": {"name": tenant, "annotations": GRANTS}})
        await cluster.create(NAMESPACE, {"metadata": {"name": catalog}})
        meta = {"name": "probe", "namespace": tenant}
        spec = {"entryRef": {"name": "x"}, "owner": {"team": "x"}}
        installation = {"metadata": meta, "spec": spec}
        gateway = {"metadata": meta, "spec": {"title": "X", "visibility": {"scope": "Org"}, "authentication": {}}}
        entry = {"metadata": {"name": tenant}, "spec": {"title": "X", "type": "Remote", "remote": {"url": "https://mcp.invalid/mcp"}}}
        limits = {"title": "X", "egress": {"mode": "DenyAll"}, "allowedNamespaces": {"names": ["nobody"]}}
        environment = {"metadata": {"name": tenant}, "spec": limits}
        resource = kind_resource(REGISTRY_ENTRY)

        async def deletion_is_refused() -> bool:
            await cluster.apply(resource, entry)
            await cluster.patch(resource, tenant, {"status": {"observedGeneration": 1, "installations": 1}}, subresource="status")
            return await refusal(cluster.delete(resource, tenant)) is not None

        # What the API server knows of kinds it may keep for half a minute: parameters of a new one are not known before.
        await cluster.create(kind_resource(ENVIRONMENT), environment)
        # Of several refusals the API server says one, whichever policy comes first: this owner is granted, so that there is only one.
        there = {"metadata": meta, "spec": {**spec, "owner": {"team": "engineering"}, "environmentRef": {"name": tenant}}}
        words = "does not allow installations of namespace"
        await until(lambda: refused_with(cluster.create(kind_resource(INSTALLATION), there, dry_run=True), words), 180.0)
        await until(lambda: is_granted(cluster.create(resource, entry, dry_run=True)))
        await cluster.delete(kind_resource(ENVIRONMENT), tenant)
        await until(lambda: refusal(cluster.create(kind_resource(INSTALLATION), installation, dry_run=True)))
        await until(lambda: refusal(cluster.create(kind_resource(GATEWAY), gateway, dry_run=True)))
        await until(deletion_is_refused)
        await cluster.patch(resource, tenant, {"metadata": {"annotations": {names.ALLOW_DELETION: "true"}}})
        await cluster.delete(resource, tenant)
        await cluster.delete(NAMESPACE, tenant)


async def withdraw(kubeconfig: str, manifests: list[Object], catalog: str) -> None:
    async with Cluster(await from_kubeconfig(kubeconfig)) as cluster:
        await cluster.delete(NAMESPACE, catalog)
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
