"""An operator that cannot see the policies of a provider, or whether there are any: it works, says so, and leaves alone what it made before."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faulty_proxy import FaultyProxy, lists
from operator_platform import Platform, until
from provider_crds import CILIUM, KIND_OF, served
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.resource import Object, Scope
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION

RULES: dict[str, Any] = {"mode": "Restricted", "provider": "Cilium", "domains": [{"name": "api.example"}]}

UNSEEN = {
    "/customresourcedefinitions": "cannot see whether the cluster serves ciliumnetworkpolicies.cilium.io",
    "/ciliumnetworkpolicies": "has not seen the ciliumnetworkpolicies.cilium.io that are there",
}
"""What may not be listed, and how it is said."""


def kubeconfig(proxy: FaultyProxy, folder: Path) -> str:
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": proxy.url}}], "users": [{"name": "x", "user": {}}],
    }  # fmt: skip
    path = folder / "proxy.kubeconfig"
    path.write_text(json.dumps(config))
    return str(path)


async def policies(platform: Platform) -> tuple[Object, ...]:
    return await platform.cluster.list(KIND_OF["Cilium"], Scope(platform.spaces.servers))


async def message(platform: Platform) -> str:
    found = await platform.ready(ENVIRONMENT, f"env-{platform.mark}")
    return str(found.get("message", "")) if found.get("reason") == "ProviderMissing" else ""


async def is_installed(platform: Platform, name: str) -> bool:
    return bool(await platform.ready(INSTALLATION, name))


@pytest.mark.requirement("ENV-5")
@pytest.mark.parametrize("unseen", UNSEEN)
async def test_what_cannot_be_seen_is_said_and_left_alone(
    unseen: str, platform: Platform, admin: Login, cluster: Cluster, tmp_path: Path
) -> None:
    async with served(cluster, CILIUM[-1]), FaultyProxy(admin) as proxy:
        behind = replace(platform, kubeconfig=kubeconfig(proxy, tmp_path))
        operator = await behind.operator()
        await behind.install(**RULES)
        (before,) = await until(lambda: policies(behind))
        await operator.stop()
        proxy.answer(403, lambda request: request.path.endswith(unseen) and lists(request), times=math.inf)

        operator = await behind.operator()
        try:
            said = await until(lambda: message(behind), 60)
            await behind.install("another", **RULES)
            await until(lambda: is_installed(behind, "another"))
            await operator.settled()
        finally:
            await operator.stop()

        assert UNSEEN[unseen] in said
        assert [o["metadata"]["uid"] for o in await policies(behind)] == [before["metadata"]["uid"]]
