"""Everything that providers make is accepted by a real API server with the providers' own definitions, and kept as it was written."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from golden import cases
from provider_crds import KIND_OF, VERSIONS, served
from provider_fence import scene_of
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import ClusterError, Invalid
from wharfinger_operator.diff import added, is_settled, stamped
from wharfinger_operator.execute import RESOURCES

CASES = cases(str(Path(__file__).parents[1] / "plan/providers/test_golden.py"))
SELECTOR = {"matchLabels": {"app": "x"}}


@pytest.fixture(params=VERSIONS, ids=[version for _, version in VERSIONS])
async def version(request: pytest.FixtureRequest, cluster: Cluster) -> AsyncIterator[tuple[str, str]]:
    """A provider, and the version of its kind that is served."""
    provider, name = request.param
    async with served(cluster, name):
        yield provider, name


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


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("Cilium", cilium(toFQDNs=[{"matchName": "a.b"}], toPorts=[{"ports": [{"port": 443, "protocol": "TCP"}]}]), "port"),
    ("Cilium", cilium(toFQDNs=[{"matchName": "*.a.b"}]), "matchName"),
    ("Cilium", cilium(toFQDNs=[{"matchName": "a.b"}], toPorts=[{"ports": [{"port": str(i)} for i in range(1, 42)]}]), "ports"),
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
    provider, _ = version
    accepted = []
    for _, spec, words in (row for row in REFUSED if row[0] == provider):
        try:
            await cluster.create(KIND_OF[provider], {"metadata": {"name": "x", "namespace": namespace}, "spec": spec}, dry_run=True)
        except ClusterError as error:
            assert words in str(error), error
        else:
            accepted.append(spec)

    assert accepted == []


@pytest.mark.requirement("ENV-5")
async def test_what_only_cilium_s_agent_refuses_is_accepted(version: tuple[str, str], cluster: Cluster, namespace: str) -> None:
    """So our own checks of what is written are all there is against it: tests/operator/plan/providers/test_agents.py."""
    provider, name = version
    if provider != "Cilium":
        return
    for spec in ({"endpointSelector": SELECTOR, "egress": []}, cilium(toFQDNs=[{"matchName": "a.b"}], toCIDR=["192.0.2.0/24"])):
        body = {"metadata": {"name": "x", "namespace": namespace}, "spec": spec}
        assert await cluster.create(KIND_OF[provider], body, dry_run=True)
    nothing = {"metadata": {"name": "x", "namespace": namespace}, "spec": {"endpointSelector": SELECTOR}}
    if name == "cilium-v1.16.9":
        assert await cluster.create(KIND_OF[provider], nothing, dry_run=True)
    else:
        with pytest.raises(Invalid):
            await cluster.create(KIND_OF[provider], nothing, dry_run=True)
