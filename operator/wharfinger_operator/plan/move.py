"""A server whose namespace changes: the old one serves until the new one is up, and goes when the new one was asked for its tools.

Decided from what is there and from where the status says that it serves, so that a restart of the operator, a second move and
a way back need no memory. A move never holds up a suspension, a deletion, or the end of a right.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace

from wharfinger_crds import names
from wharfinger_crds.connection import Connection, MalformedConnectionError, read_connection
from wharfinger_operator.plan.enforcement import held_back
from wharfinger_operator.plan.identity import Identity
from wharfinger_operator.plan.installation import InstallationPlan, connection_secret, fingerprint, policies
from wharfinger_operator.plan.installation_checks import allows_namespace, environment_problem
from wharfinger_operator.world import InstallationWorld, Manifest, key_of


def plan_move(world: InstallationWorld, plan: InstallationPlan) -> InstallationPlan:
    """Return the plan with what stays for now in namespaces that the server leaves; the same one where it leaves none."""
    wanted = next((o for o in plan.desired or () if o["kind"] == "Deployment"), None)
    identity, connection = plan.identity, plan.connection
    if wanted is None or identity is None or connection is None:
        return plan
    here = identity.server_namespace
    left = {key_of(o)[1] for o in world.owned} - {here, world.settings.namespaces.system}
    if not left:
        return plan
    # Calls in flight end with their pod, and so does what fences it.
    plan = replace(plan, drained=frozenset(left & {pod.namespace for pod in world.pods}))
    # Suspended; a server that its new environment holds back is called where it was.
    if wanted["spec"]["replicas"] == 0 and plan.held is None:
        return plan
    places = _places(world)
    serving = _serving(world, places, here)
    if not _takes_over(places.get(here), places.get(serving)):
        return _held(world, plan, identity, connection, serving) if serving in left and _may_stay(world) else plan
    asked = fingerprint(connection, places[here]["metadata"].get("generation", 0))
    if world.discovery is not None and world.discovery.fingerprint == asked:
        return plan
    # Gateways need a moment to hear of the new place.
    return replace(plan, spared=frozenset(place for place in left if _ready(places.get(place))))


def _takes_over(here: Manifest | None, serving: Manifest | None) -> bool:
    """Tell whether the new server may be called: all of it is ready, or more than of the old one."""
    return here is not None and (_ready(here) >= here["spec"].get("replicas", 1) or _ready(here) > _ready(serving))


def _ready(deployment: Manifest | None) -> int:
    status = deployment.get("status", {}) if deployment else {}
    settled = deployment is not None and status.get("observedGeneration") == deployment["metadata"].get("generation")
    return int(status.get("availableReplicas", 0)) if settled else 0


def _places(world: InstallationWorld) -> dict[str, Manifest]:
    """Return the Deployments that have pods, by namespace."""
    found = (o for o in world.owned if o["kind"] == "Deployment" and not o["metadata"].get("deletionTimestamp"))
    return {o["metadata"]["namespace"]: o for o in found if o["spec"].get("replicas", 1) > 0}


def _serving(world: InstallationWorld, places: Mapping[str, Manifest], here: str) -> str:
    """Return the namespace whose server is called: the one that the status names, else one that is up."""
    workload = world.installation.status.workload if world.installation else None
    said = workload.namespace if workload else None
    return min(places, key=lambda place: (place != said, -_ready(places[place]), place != here, place), default=here)


def _may_stay(world: InstallationWorld) -> bool:
    """Tell whether the environment that the server leaves, if it is still there, is for the installation's namespace and closes no servers."""
    before = world.environments.get((world.installation.status.environment if world.installation else None) or "")
    return before is None or (allows_namespace(before, world) and held_back(before, runs=True) is None)


def _held(world: InstallationWorld, plan: InstallationPlan, to: Identity, connection: Connection, serving: str) -> InstallationPlan:
    """Return the plan that makes the new server, keeps the old one fenced as its environment says, and keeps gateways calling it."""
    identity = replace(to, server_namespace=serving)
    named = world.installation.status.environment if world.installation else None
    before = world.environments.get(named or "")
    environment = plan.environment if before is None or environment_problem(before, world.settings) else before
    fence = policies(world, identity, environment) if environment else ()
    kept = _kept(world, identity, to, connection, named)
    secret = connection_secret(world, identity, kept)
    rest = [o for o in plan.desired or () if (o["kind"], o["metadata"]["name"]) != ("Secret", secret["metadata"]["name"])]
    # What is the same in every namespace is repaired in both.
    beside = [{**o, "metadata": {**o["metadata"], "namespace": serving}} for o in rest if o["kind"] in {"Service", "ServiceAccount"}]
    return replace(
        plan, desired=(*fence, *beside, *rest, secret), environment=environment, identity=identity, connection=kept, moves_to=to,
        spared=frozenset({serving}),
    )  # fmt: skip


def _kept(world: InstallationWorld, identity: Identity, to: Identity, connection: Connection, environment: str | None) -> Connection:
    """Return the connection to the old server: as it is, since its Secrets are too; made anew where somebody broke it."""
    base = names.server_url(identity.namespace, identity.name, identity.server_namespace, "")
    for found in world.owned:
        if found["kind"] == "Secret" and found["metadata"]["name"] == names.connection_name(identity.namespace, identity.name):
            try:
                live = read_connection(base64.b64decode(found.get("data", {}).get(names.CONNECTION_KEY, ""), validate=True))
            except (binascii.Error, MalformedConnectionError):
                break
            if live.uid == identity.uid and live.url.startswith(base):
                return live.model_copy(update={"tools_hash": connection.tools_hash})
    path = connection.url.removeprefix(names.server_url(to.namespace, to.name, to.server_namespace, ""))
    return connection.model_copy(update={"url": base + path, "environment": environment or connection.environment})
