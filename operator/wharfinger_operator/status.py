"""From a world and its plan to the status of an installation; pure.

A condition that is not True says what to do. Messages of the kubelet are not repeated: they change with each back-off.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from wharfinger_crds import conditions as c
from wharfinger_crds.installation import InstallationStatus, Phase, Workload
from wharfinger_crds.registry_entry import HttpServer
from wharfinger_operator.plan.egress import POLICY_KINDS
from wharfinger_operator.plan.enforcement import acknowledged, inherited
from wharfinger_operator.plan.identity import Identity
from wharfinger_operator.plan.installation import InstallationPlan
from wharfinger_operator.plan.once import once
from wharfinger_operator.plan.tools import plan_tools
from wharfinger_operator.pod_fact import refused_pods
from wharfinger_operator.world import InstallationWorld, Manifest, PodFact, key_of


def deployment_of(world: InstallationWorld, plan: InstallationPlan) -> Manifest | None:
    """Return the live Deployment of the plan's workload: while it moves, of the one that serves."""
    return _deployment_at(world, plan.identity) if plan.identity else None


def _deployment_at(world: InstallationWorld, place: Identity) -> Manifest | None:
    wanted = ("Deployment", place.server_namespace, place.server)
    return next((o for o in world.owned if key_of(o) == wanted), None)


@partial(once, kept=1)
def workload_finding(world: InstallationWorld, plan: InstallationPlan) -> c.Finding:
    """Return WorkloadAvailable; whether a server can be asked hangs on it, and then its status."""
    if plan.connection is None:
        return _waits(c.WORKLOAD_AVAILABLE, plan)
    if world.entry and world.entry.spec.type == "Remote":
        return c.true(c.WORKLOAD_AVAILABLE, c.REMOTE, "the server runs elsewhere")
    if world.installation and world.installation.spec.suspend:
        return c.false(c.WORKLOAD_AVAILABLE, c.SUSPENDED, "suspended: spec.suspend is true")
    if plan.waits:
        return c.true(
            c.WORKLOAD_AVAILABLE, c.PROGRESSING, "an edit of the entry reaches this server in its turn; the revision before it serves"
        )
    if plan.moves_to and plan.identity:
        return _moving_finding(world, plan.identity, plan.held or _available_finding(world, plan.moves_to), plan.moves_to)
    if plan.held:
        return plan.held
    return _available_finding(world, plan.identity) if plan.identity else _waits(c.WORKLOAD_AVAILABLE, plan)


def _moving_finding(world: InstallationWorld, serving: Identity, there: c.Finding, to: Identity) -> c.Finding:
    if _available_finding(world, serving).status != "True":
        return there
    why = there.message if there.status != "True" else "not all of its replicas are ready yet"
    return c.true(
        c.WORKLOAD_AVAILABLE,
        c.PROGRESSING,
        f"the server moves to namespace {to.server_namespace}; until it is ready there ({why}), the one in namespace {serving.server_namespace} serves",
    )


def _available_finding(world: InstallationWorld, place: Identity) -> c.Finding:
    deployment = _deployment_at(world, place)
    status = _status(deployment)
    if (
        deployment
        and status.get("observedGeneration") == deployment["metadata"].get("generation")
        and status.get("availableReplicas", 0) >= 1
    ):
        if status.get("updatedReplicas", 0) >= deployment["spec"]["replicas"] and status.get("unavailableReplicas", 0) == 0:
            return c.true(c.WORKLOAD_AVAILABLE)
        problem = _problem(world, place, deployment)
        how = f"does not come up ({problem.message})" if problem else "is being rolled out"
        return c.true(c.WORKLOAD_AVAILABLE, c.PROGRESSING, f"a new revision {how}; the one before it serves")
    if problem := _problem(world, place, deployment):
        return c.false(c.WORKLOAD_AVAILABLE, problem.reason, problem.message)
    return c.false(c.WORKLOAD_AVAILABLE, c.PROGRESSING, "the server has not become ready yet")


def _problem(world: InstallationWorld, place: Identity, deployment: Manifest | None) -> PodFact | None:
    """Return why the newest revision has no ready pod, as far as anyone knows."""
    pods = [pod for pod in world.pods if pod.namespace == place.server_namespace]
    failed = next((pod for pod in pods if pod.reason), None) or (refused_pods(deployment) if deployment else None) or world.symptom
    hosted = world.entry.spec.self_hosted if world.entry else None
    asked = next((pod for pod in pods if pod.address), None)
    if failed or asked is None or hosted is None or hosted.transport == "Stdio":
        return failed
    port = (hosted.http or HttpServer()).port
    overdue = any(s["type"] == "Progressing" and s["status"] == "False" for s in _status(deployment).get("conditions", ()))
    message = (
        f"the server runs, and nothing listens on port {port} of its pod{': is that spec.selfHosted.http.port?' if overdue else ' yet'}"
    )
    return PodFact(asked.name, c.NOT_LISTENING if overdue else c.PROGRESSING, message)


def _status(deployment: Manifest | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = deployment.get("status", {}) if deployment else {}
    return found


def discovered_finding(world: InstallationWorld, plan: InstallationPlan) -> c.Finding:
    """Return Discovered: of the newest attempt, or what the status said before this program started."""
    discovery = world.discovery
    if plan.connection is None:
        return _waits(c.DISCOVERED, plan)
    if discovery is not None and discovery.definitions is not None:
        return c.true(c.DISCOVERED, discovery.reason, discovery.message)
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
    """Return EgressEnforced."""
    if plan.environment is None or plan.connection is None:
        return _waits(c.EGRESS_ENFORCED, plan)
    if world.entry and world.entry.spec.type == "Remote":
        return c.true(c.EGRESS_ENFORCED, c.SUCCEEDED, "operator and gateway connect to nothing else than what the environment's rules open")
    return inherited(plan.environment, acknowledged((o for o in world.owned if o["kind"] in POLICY_KINDS), plan.provider))


def installation_findings(world: InstallationWorld, plan: InstallationPlan) -> tuple[c.Finding, ...]:
    """Return all conditions of an installation, Ready first."""
    gating = (
        plan.accepted,
        plan.values or _waits(c.VALUES_RESOLVED, plan),
        workload_finding(world, plan),
        c.true(c.AUTHORIZED, c.NOT_NEEDED) if plan.connection else _waits(c.AUTHORIZED, plan),
        discovered_finding(world, plan),
    )
    info = (egress_finding(world, plan), plan_tools(world).finding)
    ready, *rest = c.summary(gating)
    # A server that moves is called meanwhile; who waits for the move waits for this.
    moving = (c.Finding(c.RECONCILING, "True", c.PROGRESSING, gating[2].message),) if plan.moves_to and ready.status == "True" else ()
    return (ready, *rest[: len(gating)], *info, *rest[len(gating) :], *moving)


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
        tools=plan_tools(world).summary,
        workload=Workload(
            namespace=plan.identity.server_namespace,
            deployment=plan.identity.server,
            ready_replicas=deployment.get("status", {}).get("readyReplicas", 0) if deployment else 0,
            image=plan.image,
        )
        if plan.identity and plan.image
        else (None if running else before.workload),
    )
