"""A release comes, changes, goes back and goes, on a real API server; pods are not waited for."""

import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import CHART
from operator_platform import until
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.resource import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, NAMESPACE, Object, Resource
from wharfinger_crds import names
from wharfinger_crds.kinds import KINDS

SYSTEM = "wharfinger-release-test"
FIRST: dict[str, Any] = {
    "namespaces": {
        "catalog": {"name": f"{SYSTEM}-catalog", "create": True},
        "servers": [{"name": f"{SYSTEM}-servers", "create": True}],
        "tenants": [{"name": f"{SYSTEM}-a", "create": True, "teams": ["a"]}],
    },
    "operator": {"replicas": 0},
    "gateway": {"replicas": 0},
}
SECOND = {
    **FIRST,
    "publicUrl": "https://mcp.acme.dev",
    "namespaces": {**FIRST["namespaces"], "tenants": [*FIRST["namespaces"]["tenants"], {"name": f"{SYSTEM}-b", "create": True}]},
}
Helm = Callable[..., str]


@pytest.fixture
async def run(helm: Path, crds: None, control_plane: str, cluster: Cluster, tmp_path: Path) -> AsyncIterator[Helm]:
    """Helm in the cluster; the release is gone afterwards."""

    def run_helm(*arguments: str, values: dict[str, Any] | None = None) -> str:
        command = [str(helm), *arguments, "-n", SYSTEM, *(["-f", "-"] if values else [])]
        environment = {"KUBECONFIG": control_plane, "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            command, input=json.dumps(values or {}), env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stderr}"
        return done.stdout

    others = [release for release in json.loads(run_helm("list", "-A", "-o", "json")) if release["chart"].startswith("wharfinger-")]
    if others:
        pytest.skip(f"the cluster has a release of the chart, and takes one only; `helm uninstall {others[0]['name']}` or `make demo-down`")
    await cluster.create(NAMESPACE, {"metadata": {"name": SYSTEM}})
    yield run_helm
    run_helm("uninstall", "wharfinger", "--ignore-not-found")
    await cluster.delete(NAMESPACE, SYSTEM)


def installed(run: Helm) -> list[Object]:
    return [document for document in yaml.safe_load_all(run("get", "manifest", "wharfinger")) if document]


async def tenants(cluster: Cluster) -> list[str]:
    found = await cluster.get(CONFIG_MAP, names.SETTINGS_CONFIGMAP, SYSTEM)
    listed: list[str] = yaml.safe_load(found["data"][names.SETTINGS_KEY])["namespaces"]["tenants"]
    return listed


async def exists(cluster: Cluster, manifest: Object) -> bool:
    group, _, version = manifest["apiVersion"].rpartition("/")
    kind, namespace = manifest["kind"], manifest["metadata"].get("namespace")
    plural = f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s"
    resource = Resource(group, version, plural, kind, namespaced=namespace is not None)
    try:
        await cluster.get(resource, manifest["metadata"]["name"], namespace)
    except NotFound:
        return False
    return True


@pytest.mark.requirement("OPS-2")
async def test_a_release_is_installed_upgraded_rolled_back_and_gone_and_the_crds_stay(run: Helm, cluster: Cluster) -> None:
    # The CRDs may be there without Helm.
    run("install", "wharfinger", str(CHART), "--take-ownership", values=FIRST)
    first = installed(run)
    assert [m["metadata"]["name"] for m in first if not await exists(cluster, m)] == []
    assert await tenants(cluster) == [f"{SYSTEM}-a"]

    run("upgrade", "wharfinger", str(CHART), values=SECOND)
    second = installed(run)
    assert await tenants(cluster) == [f"{SYSTEM}-a", f"{SYSTEM}-b"]

    run("rollback", "wharfinger", "1")
    assert await tenants(cluster) == [f"{SYSTEM}-a"]
    versions = {m["metadata"]["name"]: m for m in first}
    assert {m["metadata"]["name"]: m for m in installed(run)} == versions

    run("uninstall", "wharfinger")
    kept = {kind.resource for kind in KINDS}

    async def nothing_else_is_left() -> bool:
        return {m["metadata"]["name"] for m in (*first, *second) if await exists(cluster, m)} == kept

    await until(nothing_else_is_left, 60)
    for name in kept:
        assert (await cluster.get(CUSTOM_RESOURCE_DEFINITION, name))["status"]["conditions"]
