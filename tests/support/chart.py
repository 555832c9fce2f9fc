"""The Helm chart: rendered, and parts of it in a cluster under names of their own, beside whatever release is there."""

import json
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.resource import VALIDATING_ADMISSION_POLICY, VALIDATING_ADMISSION_POLICY_BINDING, Object, Resource

CHART = Path(__file__).parents[2] / "charts/wharfinger"
_RBAC = "rbac.authorization.k8s.io"
RESOURCES = {
    "ClusterRole": Resource(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
    "ClusterRoleBinding": Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    "Role": Resource(_RBAC, "v1", "roles", "Role"),
    "RoleBinding": Resource(_RBAC, "v1", "rolebindings", "RoleBinding"),
    "ValidatingAdmissionPolicy": VALIDATING_ADMISSION_POLICY,
    "ValidatingAdmissionPolicyBinding": VALIDATING_ADMISSION_POLICY_BINDING,
}
"""What tests put into a cluster, in this order."""


def template(helm: Path, values: dict[str, Any], namespace: str = "wharfinger-system") -> subprocess.CompletedProcess[str]:
    """Run `helm template` with these values beside the chart's own."""
    command = [str(helm), "template", "wharfinger", str(CHART), "-n", namespace, "-f", "-"]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False, timeout=60)


def render(helm: Path, values: dict[str, Any], namespace: str = "wharfinger-system") -> list[Object]:
    """Return what the chart makes of the values; fail with what Helm says."""
    done = template(helm, values, namespace)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(manifests: Iterable[Object], *kinds: str) -> list[Object]:
    """Return the manifests of these kinds."""
    return [m for m in manifests if m["kind"] in kinds]


def renamed(manifests: Iterable[Object], mark: str) -> list[Object]:
    """Return the manifests of RESOURCES with `wharfinger-` of their names replaced, and without the release's labels, which gather roles."""
    text = json.dumps([m for kind in RESOURCES for m in of_kind(manifests, kind)])
    for field in ("name", "policyName"):
        text = text.replace(f'"{field}": "wharfinger-', f'"{field}": "{mark}-')
    found: list[Object] = json.loads(text)
    for manifest in found:
        for subject in manifest.get("subjects", ()):
            subject["name"] = subject["name"].replace(f"{mark}-", "wharfinger-")
    return found


@asynccontextmanager
async def applied(cluster: Cluster, manifests: Iterable[Object]) -> AsyncIterator[None]:
    """Have the manifests in the cluster, and take them away afterwards."""
    applied_ones = list(manifests)
    for manifest in applied_ones:
        await cluster.apply(RESOURCES[manifest["kind"]], manifest)
    try:
        yield
    finally:
        for manifest in reversed(applied_ones):
            await cluster.delete(RESOURCES[manifest["kind"]], manifest["metadata"]["name"], manifest["metadata"].get("namespace"))
