"""`spec.egress.provider` through a running operator: policies appear, are repaired, change hands without a gap, and go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from operator_platform import Platform, until
from operator_process import OperatorProcess
from provider_crds import KIND_OF, serve, served, withdraw
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import DEPLOYMENT, NETWORK_POLICY, Object, Resource, Scope
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION

CILIUM = "cilium-v1.20.2"
SECONDS = 5.0
DOMAINS: dict[str, Any] = {
    "mode": "Restricted",
    "cidrs": [{"cidr": "203.0.113.0/24"}],
    "domains": [{"name": "api.example"}],
}


@pytest.fixture
async def definitions(cluster: Cluster) -> AsyncIterator[None]:
    """Every provider's kind, served."""
    async with served(cluster, CILIUM), served(cluster, "aws"), served(cluster, "gke"):
        yield


async def policies(platform: Platform) -> dict[str, Object]:
    """Return the policies around servers by their kind."""
    found: list[Object] = []
    for resource in (*KIND_OF.values(), NETWORK_POLICY):  # the base layer last: it is what the change of the others ends with
        # A kind that a provider brings may come and go; what closes the namespace for every pod is nobody's.
        with suppress(NotFound):
            found += await platform.cluster.list(resource, Scope(platform.spaces.servers, fields="metadata.name!=default-deny"))
    return {o["kind"]: o for o in found}


def kinds(platform: Platform, *expected: str) -> Any:
    """Return the condition that exactly these kinds of policy are there."""

    async def condition() -> dict[str, Object]:
        found = await policies(platform)
        return found if set(found) == set(expected) else {}

    return condition


async def all_gone(platform: Platform) -> bool:
    return not await policies(platform)


async def is_deployed(platform: Platform) -> bool:
    return "Deployment" in await platform.kinds()


async def condition(platform: Platform, kind: str) -> tuple[str, str, str]:
    found = await platform.get(ENVIRONMENT, f"env-{platform.mark}") or {}
    said: dict[str, str] = next((c for c in found.get("status", {}).get("conditions", ()) if c["type"] == kind), {})
    return (said.get("status", ""), said.get("reason", ""), said.get("message", ""))


def says(platform: Platform, kind: str, status: str, reason: str) -> Any:
    async def holds() -> bool:
        return (await condition(platform, kind))[:2] == (status, reason)

    return holds


def domains_of(policy: Object) -> str:
    return str(policy["spec"]["egress"])


@pytest.mark.requirement("ENV-3", "ENV-4", "ENV-5")
@pytest.mark.parametrize("provider", sorted(KIND_OF))
async def test_a_provider_s_policy_appears_is_repaired_and_goes_with_the_installation(
    provider: str, definitions: None, platform: Platform, operator: OperatorProcess
) -> None:
    resource = KIND_OF[provider]
    await platform.install(provider=provider, **DOMAINS)
    found = await until(kinds(platform, resource.kind, "NetworkPolicy"))
    before, base = found[resource.kind], found["NetworkPolicy"]

    assert "api.example" in domains_of(before)
    assert "api.example" not in str(base)
    assert ("203.0.113.0/24" in str(base["spec"])) is (provider != "Cilium")
    assert before["metadata"]["name"] == names.egress_policy_name(platform.spaces.tenant, "time") != base["metadata"]["name"]
    await until(says(platform, "DomainRulesEnforced", "Unknown", "AwaitingProvider"))
    assert (await condition(platform, "ProviderResolved"))[0] == "True"
    await until(lambda: is_deployed(platform))

    for edit in (edited, widened, relabelled):
        await platform.cluster.replace(resource, edit(await live(platform, resource, before)))
        await until(lambda: is_like(platform, resource, before), SECONDS)
    await platform.cluster.delete(resource, before["metadata"]["name"], platform.spaces.servers)
    await until(kinds(platform, resource.kind, "NetworkPolicy"), SECONDS)

    await platform.environment(provider=provider, **{**DOMAINS, "domains": [{"name": "other.example"}]})
    await until(lambda: holds_domain(platform, resource, "other.example"))
    await platform.cluster.delete(kind_resource(INSTALLATION), "time", platform.spaces.tenant)
    await until(lambda: all_gone(platform))


async def live(platform: Platform, resource: Resource, before: Object) -> Object:
    return await platform.cluster.get(resource, before["metadata"]["name"], platform.spaces.servers)


def edited(found: Object) -> Object:
    text = str(found["spec"]["egress"]).replace("api.example", "evil.example")
    return {**found, "spec": {**found["spec"], "egress": eval(text)}}  # noqa: S307 - our own literal


def widened(found: Object) -> Object:
    return {**found, "spec": {**found["spec"], "egress": [*found["spec"]["egress"], found["spec"]["egress"][-1]]}}


def relabelled(found: Object) -> Object:
    return {**found, "metadata": {**found["metadata"], "labels": {}}}


async def is_like(platform: Platform, resource: Resource, before: Object) -> bool:
    found = await live(platform, resource, before)
    return bool(found["spec"] == before["spec"] and found["metadata"].get("labels") == before["metadata"]["labels"])


async def holds_domain(platform: Platform, resource: Resource, domain: str) -> bool:
    found = (await policies(platform)).get(resource.kind)
    return found is not None and domain in domains_of(found)


async def deleted_at(platform: Platform, resource: Resource, since: str) -> int:
    """Return the resource version of the deletion of the first object of a resource that is deleted."""
    async with asyncio.timeout(30), platform.cluster.watch(resource, Scope(platform.spaces.servers), resource_version=since) as events:
        async for event in events:
            if event.type == "DELETED":
                return int(event.object["metadata"]["resourceVersion"])
    raise AssertionError("the watch ended")


@pytest.mark.requirement("ENV-4", "ENV-5")
async def test_when_the_provider_changes_the_new_policies_are_there_before_the_old_ones_go(
    definitions: None, platform: Platform, operator: OperatorProcess
) -> None:
    await platform.install(provider="Cilium", **DOMAINS)
    old = await until(kinds(platform, "CiliumNetworkPolicy", "NetworkPolicy"))
    base = old["NetworkPolicy"]["metadata"]
    for provider, kind in (("AWS", "ApplicationNetworkPolicy"), ("GKE", "FQDNNetworkPolicy"), ("Cilium", "CiliumNetworkPolicy")):
        (gone,) = set(old) - {"NetworkPolicy"}
        resource = next(r for r in KIND_OF.values() if r.kind == gone)
        watching = asyncio.create_task(deleted_at(platform, resource, old[gone]["metadata"]["resourceVersion"]))

        await platform.environment(provider=provider, **DOMAINS)
        old = await until(kinds(platform, kind, "NetworkPolicy"))

        at = await watching
        assert int(old[kind]["metadata"]["resourceVersion"]) < at
        assert int(old["NetworkPolicy"]["metadata"]["resourceVersion"]) < at
        assert old["NetworkPolicy"]["metadata"]["uid"] == base["uid"], "the base layer was there throughout"
    await platform.environment(provider="NetworkPolicy", **DOMAINS)
    only = await until(kinds(platform, "NetworkPolicy"))
    assert "203.0.113.0/24" in str(only["NetworkPolicy"]["spec"])
    await until(says(platform, "DomainRulesEnforced", "False", "NoFQDNProvider"))


@pytest.mark.requirement("ENV-4", "ENV-5")
async def test_a_provider_that_the_cluster_has_not_is_said_and_used_from_when_on_it_has(
    platform: Platform, operator: OperatorProcess, cluster: Cluster
) -> None:
    await platform.install(provider="Cilium", **DOMAINS)
    shut = await until(kinds(platform, "NetworkPolicy"))
    await until(says(platform, "Ready", "False", "ProviderMissing"))
    assert "serves no ciliumnetworkpolicies.cilium.io: install Cilium" in (await condition(platform, "ProviderResolved"))[2]
    assert "203.0.113.0/24" in str(shut["NetworkPolicy"]["spec"])
    try:
        await serve(cluster, CILIUM)

        found = await until(kinds(platform, "CiliumNetworkPolicy", "NetworkPolicy"))
        assert "egress" not in found["NetworkPolicy"]["spec"] or "203.0.113.0/24" not in str(found["NetworkPolicy"]["spec"])
        await until(says(platform, "Ready", "True", "Succeeded"))
    finally:
        await withdraw(cluster, CILIUM)
    await until(says(platform, "Ready", "False", "ProviderMissing"))

    async def opened() -> bool:
        return "203.0.113.0/24" in str((await policies(platform))["NetworkPolicy"]["spec"])

    await until(opened)


@pytest.mark.requirement("ENV-5")
async def test_another_project_s_kind_of_the_same_name_is_not_used(platform: Platform, operator: OperatorProcess, cluster: Cluster) -> None:
    async with served(cluster, "gke-look-alike"):
        await platform.install(provider="GKE", **DOMAINS)
        await until(says(platform, "Ready", "False", "ProviderMissing"))

        assert "v1alpha1" in (await condition(platform, "ProviderResolved"))[2]
        assert set(await until(lambda: policies(platform))) == {"NetworkPolicy"}


@pytest.mark.requirement("ENV-5")
async def test_a_restart_writes_nothing_and_finds_what_an_absence_left(definitions: None, platform: Platform, cluster: Cluster) -> None:
    async with platform.leading() as operator:
        await platform.install(provider="Cilium", **DOMAINS)
        before = await until(kinds(platform, "CiliumNetworkPolicy", "NetworkPolicy"))
        await until(says(platform, "Ready", "True", "Succeeded"))
        await operator.settled()
    async with platform.leading() as operator:
        await operator.settled()
        assert await operator.writes() == 0
    assert await policies(platform) == before

    await platform.environment(provider="AWS", **DOMAINS)
    async with platform.leading():
        await until(kinds(platform, "ApplicationNetworkPolicy", "NetworkPolicy"))
        await cluster.delete(kind_resource(INSTALLATION), "time", platform.spaces.tenant)
        await until(lambda: all_gone(platform))


@pytest.mark.requirement("ENV-5")
async def test_a_policy_of_somebody_else_by_our_name_is_left_alone_and_said(
    definitions: None, platform: Platform, operator: OperatorProcess, cluster: Cluster
) -> None:
    name = names.egress_policy_name(platform.spaces.tenant, "time")
    theirs = {"metadata": {"name": name, "namespace": platform.spaces.servers}, "spec": {"endpointSelector": {}, "egress": [{}]}}
    made = await cluster.create(KIND_OF["Cilium"], theirs)

    await platform.install(provider="Cilium", **DOMAINS)

    async def refused() -> bool:
        found = await platform.ready(INSTALLATION, "time")
        return found.get("reason") == "Conflict" and name in found["message"]

    await until(refused)
    assert (await cluster.get(KIND_OF["Cilium"], name, platform.spaces.servers))["metadata"]["uid"] == made["metadata"]["uid"]
    with pytest.raises(NotFound):
        await cluster.get(DEPLOYMENT, names.server_name(platform.spaces.tenant, "time"), platform.spaces.servers)
    theirs_only = await policies(platform)
    assert set(theirs_only) == {"CiliumNetworkPolicy"}
