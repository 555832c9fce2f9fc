"""From a world and its plan to the status of an installation; pure.

A condition that is not True says what to do. Messages of the kubelet are not repeated: they change with each back-off.
"""

from __future__ import annotations

import json
from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.installation import InstallationStatus, Phase, ToolSummary, Workload
from wharfinger_crds.tool_definitions import definitions_hash
from wharfinger_operator.plan.installation import InstallationPlan
from wharfinger_operator.world import InstallationWorld, Manifest

_NAMES_SHOWN: Final = 100


def deployment_of(world: InstallationWorld, plan: InstallationPlan) -> Manifest | None:
    """Return the live Deployment of the plan's workload."""
    if plan.identity is None:
        return None
    wanted = (plan.identity.server_namespace, plan.identity.server)
    return next(
        (o for o in world.owned if o["kind"] == "Deployment" and (o["metadata"]["namespace"], o["metadata"]["name"]) == wanted), None
    )


def workload_finding(world: InstallationWorld, plan: InstallationPlan) -> c.Finding:
    """Return WorkloadAvailable."""
    if plan.connection is None:
        return _waits(c.WORKLOAD_AVAILABLE, plan)
    if world.entry and world.entry.spec.type == "Remote":
        return c.true(c.WORKLOAD_AVAILABLE, c.REMOTE, "the server runs elsewhere")
    if world.installation and world.installation.spec.suspend:
        return c.false(c.WORKLOAD_AVAILABLE, c.SUSPENDED, "suspended: spec.suspend is true")
    deployment = deployment_of(world, plan)
    status = deployment.get("status", {}) if deployment else {}
    if plan.waits:
        return c.true(
            c.WORKLOAD_AVAILABLE, c.PROGRESSING, "an edit of the entry reaches this server in its turn; the revision before it serves"
        )
    if (
        deployment
        and status.get("observedGeneration") == deployment["metadata"].get("generation")
        and status.get("availableReplicas", 0) >= 1
    ):
        if status.get("updatedReplicas", 0) >= deployment["spec"]["replicas"] and status.get("unavailableReplicas", 0) == 0:
            return c.true(c.WORKLOAD_AVAILABLE)
        return c.true(c.WORKLOAD_AVAILABLE, c.PROGRESSING, "a new revision is being rolled out; the one before it serves")
    for pod in world.pods:
        if pod.reason:
            return c.false(c.WORKLOAD_AVAILABLE, pod.reason, pod.message)
    return c.false(c.WORKLOAD_AVAILABLE, c.PROGRESSING, "the server has not become ready yet")


def discovered_finding(world: InstallationWorld, plan: InstallationPlan) -> c.Finding:
    """Return Discovered: of the newest attempt, or what the status said before this program started."""
    discovery = world.discovery
    if plan.connection is None:
        return _waits(c.DISCOVERED, plan)
    if discovery is not None and discovery.definitions is not None:
        return c.true(c.DISCOVERED)
    if discovery is not None:
        return c.false(c.DISCOVERED, discovery.reason, discovery.message)
    before = world.installation.status.condition(c.DISCOVERED) if world.installation else None
    if before is not None and before.reason != c.WAITING:
        return c.Finding(c.DISCOVERED, before.status, before.reason, before.message)
    return c.unknown(c.DISCOVERED, c.WAITING, "the server has not been asked for its tools yet")


def _waits(kind: str, plan: InstallationPlan) -> c.Finding:
    blocker = plan.accepted if plan.accepted.status != "True" else plan.values
    return c.unknown(kind, c.WAITING, f"waits for {blocker.type if blocker else c.ACCEPTED}")


def egress_finding(world: InstallationWorld, plan: InstallationPlan) -> c.Finding:
    """Return EgressEnforced: what is known, which is not whether the cluster's network obeys."""
    if plan.environment is None or plan.connection is None:
        return _waits(c.EGRESS_ENFORCED, plan)
    if world.entry and world.entry.spec.type == "Remote":
        return c.unknown(c.EGRESS_ENFORCED, c.NOT_IMPLEMENTED, "egress rules of remote servers are not enforced in this version")
    return c.unknown(
        c.EGRESS_ENFORCED, c.NOT_PROVEN, "a NetworkPolicy is in place; whether the cluster's network enforces it has not been tested"
    )


def installation_findings(world: InstallationWorld, plan: InstallationPlan) -> tuple[c.Finding, ...]:
    """Return all conditions of an installation, Ready first."""
    gating = (
        plan.accepted,
        plan.values or _waits(c.VALUES_RESOLVED, plan),
        workload_finding(world, plan),
        c.true(c.AUTHORIZED, c.NOT_NEEDED) if plan.connection else _waits(c.AUTHORIZED, plan),
        discovered_finding(world, plan),
    )
    info = (egress_finding(world, plan), c.true(c.TOOLS_PINNED, c.NOT_NEEDED, "pinning is off"))
    ready, *rest = c.summary(gating)
    return (ready, *rest[: len(gating)], *info, *rest[len(gating) :])


def phase_of(findings: tuple[c.Finding, ...], world: InstallationWorld) -> Phase:
    """Return the one word for the printer column."""
    by_type = {f.type: f for f in findings}
    workload = by_type[c.WORKLOAD_AVAILABLE]
    if world.installation and world.installation.spec.suspend and by_type[c.ACCEPTED].status == "True":
        return "Suspended"
    if by_type[c.READY].status == "True":
        return "Restarting" if workload.reason == c.PROGRESSING else "Running"
    if by_type[c.AUTHORIZED].status == "False":
        return "NeedsAuthorization"
    return "Pending" if by_type[c.READY].reason in {c.PROGRESSING, c.WAITING} else "Error"


def installation_status(world: InstallationWorld, plan: InstallationPlan, now: str) -> InstallationStatus | None:
    """Return the status to report; None where the installation is gone. `now` is RFC 3339."""
    installation = world.installation
    if installation is None:
        return None
    findings = installation_findings(world, plan)
    before = installation.status
    deployment = deployment_of(world, plan)
    running = plan.connection is not None
    return InstallationStatus(
        observed_generation=installation.metadata.generation,
        conditions=c.merged(before.conditions, findings, installation.metadata.generation, now),
        phase=phase_of(findings, world),
        environment=plan.environment.metadata.name if plan.environment else None,
        entry_generation=world.entry.metadata.generation if world.entry and running and not plan.waits else before.entry_generation,
        server=world.discovery.server if world.discovery and world.discovery.server else before.server,
        tools=_tools(world),
        workload=Workload(
            namespace=plan.identity.server_namespace,
            deployment=plan.identity.server,
            ready_replicas=deployment.get("status", {}).get("readyReplicas", 0) if deployment else 0,
            image=plan.image,
        )
        if plan.identity and plan.image
        else (None if running else before.workload),
    )


def _tools(world: InstallationWorld) -> ToolSummary | None:
    if world.discovery and world.discovery.definitions is not None:
        listed = sorted(str(tool["name"]) for tool in json.loads(world.discovery.definitions))
        return ToolSummary(count=len(listed), names=tuple(listed[:_NAMES_SHOWN]), hash=definitions_hash(world.discovery.definitions))
    before = world.installation.status.tools if world.installation else None
    return before if before and names.tools_name(before.hash) in world.stored else None
