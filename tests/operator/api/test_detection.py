"""Who enforces egress rules is seen in the cluster, also when that changes; and what requires enforcement waits for evidence."""

from typing import Any

import pytest

from cluster_network import cilium_agent, cilium_says, node, set_cilium
from operator_platform import Platform, until
from operator_process import OperatorProcess
from provider_crds import served
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.resource import CILIUM_NETWORK_POLICY, DEPLOYMENT, NETWORK_POLICY, Object
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION, Kind

CILIUM = "cilium-v1.20.2"
DOMAINS = [{"name": "api.example.com"}]


async def conditions(platform: Platform, kind: Kind, name: str) -> dict[str, tuple[str, str]]:
    found = await platform.get(kind, name) or {}
    return {c["type"]: (c["status"], c["reason"]) for c in found.get("status", {}).get("conditions", [])}


async def environment_says(platform: Platform, provider: str, **expected: tuple[str, str]) -> Object | None:
    found = await platform.get(ENVIRONMENT, f"env-{platform.mark}") or {}
    said = await conditions(platform, ENVIRONMENT, f"env-{platform.mark}")
    is_so = found.get("status", {}).get("provider", {}).get("name") == provider and all(said.get(k) == v for k, v in expected.items())
    return found if is_so else None


async def cilium_policy(platform: Platform) -> Object | None:
    try:
        name = names.egress_policy_name(platform.spaces.tenant, "time")
        return await platform.cluster.get(CILIUM_NETWORK_POLICY, name, platform.spaces.servers)
    except NotFound:
        return None


async def base_layer(platform: Platform) -> Object:
    return await platform.cluster.get(NETWORK_POLICY, names.server_name(platform.spaces.tenant, "time"), platform.spaces.servers)


async def replicas(platform: Platform) -> int:
    found = await platform.cluster.get(DEPLOYMENT, names.server_name(platform.spaces.tenant, "time"), platform.spaces.servers)
    wanted: int = found["spec"]["replicas"]
    return wanted


async def has_replicas(platform: Platform, wanted: int) -> bool:
    try:
        return await replicas(platform) == wanted
    except NotFound:
        return False


@pytest.mark.requirement("ENV-5", "ENV-6")
async def test_a_provider_that_comes_and_goes_is_followed_over_a_base_layer_that_stays(
    platform: Platform, operator: OperatorProcess
) -> None:
    await platform.install(mode="Restricted", domains=DOMAINS, enforcement="Require")
    await until(lambda: environment_says(platform, "NetworkPolicy", DomainRulesEnforced=("False", "NoFQDNProvider")))
    await until(lambda: has_replicas(platform, 0))
    base = (await base_layer(platform))["metadata"]["uid"]

    async with served(platform.cluster, CILIUM):
        async with cilium_agent(platform.cluster):
            found = await until(lambda: cilium_policy(platform))
            await until(lambda: environment_says(platform, "Cilium", EgressEnforced=("Unknown", "NoEvidence")))
            assert await has_replicas(platform, 0)

            await cilium_says(platform.cluster, found["metadata"]["name"], platform.spaces.servers, valid=True)
            acknowledged = ("True", "ProviderAcknowledged")
            said = await until(lambda: environment_says(platform, "Cilium", EgressEnforced=acknowledged, DomainRulesEnforced=acknowledged))
            assert said["status"]["provider"]["source"] == "Detected"
            assert "DaemonSet kube-system/cilium is ready: Cilium" in said["status"]["provider"]["evidence"]
            await until(lambda: has_replicas(platform, 1))

            await set_cilium(platform.cluster, policy_audit_mode="true")
            await until(lambda: environment_says(platform, "NetworkPolicy", EgressEnforced=("False", "AuditMode")))
            await until(lambda: has_replicas(platform, 0))
            ready = await until(lambda: has_reason(platform, "EgressNotEnforced"))
            assert "policy-audit-mode is true" in ready["message"]

            await set_cilium(platform.cluster, policy_audit_mode="false")
            await until(lambda: cilium_policy(platform))
        await until(lambda: environment_says(platform, "NetworkPolicy", EgressEnforced=("Unknown", "NoEvidence")))

        async def is_gone() -> bool:
            return await cilium_policy(platform) is None

        await until(is_gone)
    assert (await base_layer(platform))["metadata"]["uid"] == base


async def has_reason(platform: Platform, reason: str) -> dict[str, Any] | None:
    ready = await platform.ready(INSTALLATION, "time")
    return ready if ready.get("reason") == reason else None


@pytest.mark.requirement("ENV-6")
async def test_what_requires_evidence_says_for_what_it_waits_and_its_policies_are_there(
    platform: Platform, operator: OperatorProcess
) -> None:
    await platform.install(mode="DenyAll", enforcement="Require")

    ready = await until(lambda: has_reason(platform, "Waiting"))

    assert f"waits for EgressEnforced of Environment env-{platform.mark}" in ready["message"]
    assert await replicas(platform) == 0
    assert (await base_layer(platform))["spec"]["policyTypes"] == ["Ingress", "Egress"]

    await platform.environment(mode="DenyAll", enforcement="Report")
    await until(lambda: has_replicas(platform, 1))


async def excepted(platform: Platform) -> list[str]:
    rules = (await base_layer(platform))["spec"].get("egress", [])
    return [hole for rule in rules for peer in rule["to"] for hole in peer.get("ipBlock", {}).get("except", [])]


@pytest.mark.requirement("ENV-3")
async def test_public_addresses_of_nodes_and_their_pods_are_never_open(platform: Platform, operator: OperatorProcess) -> None:
    await platform.install(mode="AllowAll")
    await until(lambda: has_replicas(platform, 1))

    async with node(platform.cluster, f"node-{platform.mark}", "203.0.113.77", "198.18.0.0/24"):

        async def is_shut() -> bool:
            return "203.0.113.77/32" in await excepted(platform)

        await until(is_shut)
        written = (await base_layer(platform))["metadata"]["resourceVersion"]

    # The node has gone, and nothing is written for that.
    await operator.settled()
    assert (await base_layer(platform))["metadata"]["resourceVersion"] == written
