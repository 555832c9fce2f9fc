"""Everything that providers make is accepted by a real API server with the providers' own definitions, and kept as it was written."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from golden import cases
from provider_crds import KIND_OF, VERSIONS, serve, withdraw
from provider_fence import scene_of
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import ClusterError
from wharfinger_cluster.kubeconfig import from_kubeconfig
from wharfinger_operator.diff import added, is_settled, stamped
from wharfinger_operator.execute import RESOURCES

CASES = cases(str(Path(__file__).parents[1] / "plan/providers/test_golden.py"))
SELECTOR = {"matchLabels": {"app": "x"}}


@pytest.fixture(scope="module", params=VERSIONS, ids=[version for _, version in VERSIONS])
def version(request: pytest.FixtureRequest, control_plane: str) -> Iterator[tuple[str, str]]:
    """A provider, and the version of its kind that is served: once for all tests, since an API server takes seconds to take one in."""
    provider, name = request.param
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, with_cluster(control_plane, serve, name)).result()
        try:
            yield provider, name
        finally:
            thread.submit(asyncio.run, with_cluster(control_plane, withdraw, name)).result()


async def with_cluster(kubeconfig: str, work: Callable[[Cluster, str], Coroutine[None, None, None]], version: str) -> None:
    async with Cluster(await from_kubeconfig(kubeconfig)) as cluster:
        await work(cluster, version)


@pytest.mark.requirement("ENV-3", "ENV-4", "ENV-5")
async def test_every_golden_object_is_accepted_whole_and_settles(version: tuple[str, str], cluster: Cluster, namespace: str) -> None:
    provider, _ = version
    wrong = []
    for case in CASES:
        for manifest in scene_of(case, namespace).policies(provider):
            resource, where = RESOURCES[manifest["kind"]], f"{case.name} {manifest['kind']}"
            try:
                stored = await cluster.apply(resource, stamped(manifest))
                again = await cluster.apply(resource, stamped(manifest))
            except ClusterError as error:
                wrong.append(f"{where}: {error}")
                continue
            if not is_settled(manifest, stored) or added(manifest, stored):
                wrong.append(f"{where}: something was changed, pruned or filled in: {added(manifest, stored)}")
            if stored["metadata"]["resourceVersion"] != again["metadata"]["resourceVersion"]:
                wrong.append(f"{where}: applied twice is written twice")

    assert wrong == []


def cilium(**egress: Any) -> dict[str, Any]:
    return {"endpointSelector": SELECTOR, "egress": [egress]}


def aws(domain: str) -> dict[str, Any]:
    return {"podSelector": SELECTOR, "policyTypes": ["Egress"], "egress": [{"to": [{"domainNames": [domain]}]}]}


def gke(match: dict[str, str], **port: Any) -> dict[str, Any]:
    return {"podSelector": SELECTOR, "egress": [{"matches": [match], "ports": [{"protocol": "TCP", "port": 443, **port}]}]}


NOTHING = {"endpointSelector": SELECTOR}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("Cilium", cilium(toFQDNs=[{"matchName": "a.b"}], toPorts=[{"ports": [{"port": 443, "protocol": "TCP"}]}]), "port"),
    ("Cilium", cilium(toFQDNs=[{"matchName": "*.a.b"}]), "matchName"),
    ("Cilium", cilium(toFQDNs=[{"matchName": "a.b"}], toPorts=[{"ports": [{"port": str(i)} for i in range(1, 42)]}]), "ports"),
    ("Cilium from 1.17", NOTHING, "spec"),
    ("AWS", aws("*"), "domainNames"),
    ("AWS", aws("**.x.example"), "domainNames"),
    ("AWS", aws("a.*.example"), "domainNames"),
    ("AWS", aws("localhost"), "domainNames"),
    ("GKE", {"podSelector": SELECTOR, "egress": []}, "spec.egress"),
    ("GKE", gke({"name": "*.x.example"}), "name"),
    ("GKE", gke({"name": "x.example"}, protocol="SCTP"), "protocol"),
    ("GKE", gke({"name": "x.example"}, endPort=444), "endPort"),
]


@pytest.mark.requirement("ENV-5")
async def test_what_the_provider_s_schema_forbids_is_refused(version: tuple[str, str], cluster: Cluster, namespace: str) -> None:
    provider, name = version
    here = {provider, "" if name == "cilium-v1.16.9" else f"{provider} from 1.17"}
    accepted = []
    for _, spec, words in (row for row in REFUSED if row[0] in here):
        try:
            await cluster.create(KIND_OF[provider], {"metadata": {"name": "x", "namespace": namespace}, "spec": spec}, dry_run=True)
        except ClusterError as error:
            assert words in str(error), error
        else:
            accepted.append(spec)

    assert accepted == []


MISREAD: list[tuple[str, dict[str, Any]]] = [
    ("Cilium", {**NOTHING, "egress": []}),
    ("Cilium", cilium(toFQDNs=[{"matchName": "a.b"}], toCIDR=["192.0.2.0/24"])),
    ("AWS", {"podSelector": SELECTOR, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 53}]}]}),
    ("GKE", gke({"pattern": "**.x.example"})),
]
"""What agents and controllers refuse, drop or read as something else."""


@pytest.mark.requirement("ENV-5")
async def test_what_only_agents_refuse_is_accepted(version: tuple[str, str], cluster: Cluster, namespace: str) -> None:
    """So our own checks of what is written are all there is against it: tests/operator/plan/providers/test_agents.py."""
    provider, _ = version
    for _, spec in (row for row in MISREAD if row[0] == provider):
        body = {"metadata": {"name": "x", "namespace": namespace}, "spec": spec}
        assert await cluster.create(KIND_OF[provider], body, dry_run=True)
