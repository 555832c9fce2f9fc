"""The plan of one installation: what should be there because of it, and what the gateway is told."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any, Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.connection import Connection, ConnectionHeader, read_connection
from wharfinger_crds.egress_rules import EgressRules, egress_rules
from wharfinger_crds.environment import Environment
from wharfinger_crds.installation import Installation
from wharfinger_crds.registry_entry import HttpServer, RegistryEntry, SelfHosted
from wharfinger_operator.plan.egress import provider_of
from wharfinger_operator.plan.enforcement import held_back
from wharfinger_operator.plan.entry_point import ImageQuestion, Unknown
from wharfinger_operator.plan.fields import FieldValues, in_url, render
from wharfinger_operator.plan.hardening import hardening_problem, subject_of
from wharfinger_operator.plan.identity import Identity, identity_of
from wharfinger_operator.plan.inputs import Inputs, resolve_inputs
from wharfinger_operator.plan.installation_checks import (
    entry_not_visible,
    environment_of,
    environment_problem,
    installation_problem,
    server_namespace,
)
from wharfinger_operator.plan.once import once
from wharfinger_operator.plan.providers.fence import Fence
from wharfinger_operator.plan.revision import with_running_bridge
from wharfinger_operator.plan.rollout import waits_for_its_turn
from wharfinger_operator.plan.tools import plan_tools
from wharfinger_operator.plan.workload import Server, bridge_token, workload
from wharfinger_operator.world import InstallationWorld, Manifest, key_of

REVOKED: Final = frozenset({c.NAMESPACE_NOT_TENANT, c.OWNER_NOT_GRANTED, c.NAMESPACE_NOT_ALLOWED})
"""Reasons for which a running server is taken away; so it is where its owner may not see the entry any more, which has the reason of a missing
entry. For every other one it goes on with what it has."""


_rules_of: Final = once(egress_rules)


@dataclass(frozen=True)
class InstallationPlan:
    """What should be there because of one installation."""

    desired: tuple[dict[str, Any], ...] | None = field(repr=False)
    """In the order in which they are applied; None: whatever is there stays as it is."""
    accepted: c.Finding
    values: c.Finding | None = None
    """None: not looked at, since the installation is not accepted."""
    environment: Environment | None = None
    identity: Identity | None = None
    image: str = ""
    connection: Connection | None = field(default=None, repr=False)
    question: ImageQuestion | None = None
    """What a registry must be asked before there can be more of a plan."""
    held: c.Finding | None = None
    """Why there is no pod of the server for now (WorkloadAvailable): its environment requires what is not shown."""
    provider: str = ""
    """Who enforces the egress rules."""
    waits: bool = False
    """An edit of its entry reaches this server later. Nothing but the policy is changed until then."""
    fence: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """Where everything else stays as it is: what of it follows the environment's rules all the same."""
    moves_to: Identity | None = None
    """Where the server is being made, while the one at `identity` serves."""
    spared: frozenset[str] = frozenset()
    """Namespaces in which nothing is deleted yet."""
    drained: frozenset[str] = frozenset()
    """Namespaces in which nothing but the Deployment is deleted, until its pods are gone."""

    def spares(self, child: Manifest) -> bool:
        """Tell whether a child stays for now although it is not desired."""
        namespace = child["metadata"]["namespace"]
        return namespace in self.spared or (namespace in self.drained and child["kind"] != "Deployment")


def plan_installation(world: InstallationWorld) -> InstallationPlan:
    """Return the plan; of an installation that is gone, that nothing should be there."""
    plan = _plan(world)
    return plan if plan.desired is not None else replace(plan, fence=_kept_fence(world))


def _plan(world: InstallationWorld) -> InstallationPlan:
    installation = world.installation
    if installation is None or installation.metadata.deletion_timestamp:
        return InstallationPlan((), c.true(c.ACCEPTED))
    environment = environment_of(world)
    problem = installation_problem(world, installation)
    if problem is not None or environment is None or world.entry is None:
        accepted = problem or c.true(c.ACCEPTED)
        hidden = entry_not_visible(world, installation) is not None
        # A hidden entry looks like one that is not there: where its servers would run is not said either.
        where = environment if world.entry is not None and not hidden else None
        return InstallationPlan(() if hidden or accepted.reason in REVOKED else None, accepted, environment=where)
    accepted = c.true(c.ACCEPTED)
    identity = identity_of(installation, server_namespace(environment, world.settings))
    inputs = resolve_inputs(world, installation, world.entry, identity)
    if isinstance(inputs, Unknown):
        return InstallationPlan(None, accepted, inputs.finding, environment, question=inputs.question)
    hosted = world.entry.spec.self_hosted
    held = held_back(environment, runs=_runs(world, identity)) if hosted else None
    server = _server(world, installation, identity, hosted, inputs) if hosted else None
    server = replace(server, suspended=True) if server and held else server
    connection = _connection(world, world.entry, environment, identity, inputs.fields)
    fence = policies(world, identity, environment) if server else ()
    parts = with_running_bridge(workload(server), world.owned, world.root_key) if server else ()
    if problem := hardening_problem(subject_of(identity, parts)) if parts else None:
        return InstallationPlan(None, problem, environment=environment)
    secrets = tuple(part for part in parts if part["kind"] == "Secret")
    rest = tuple(part for part in parts if part["kind"] != "Secret")
    desired = (*secrets, *fence, *rest, *_definitions(world), connection_secret(world, identity, connection))
    return InstallationPlan(
        desired, accepted, c.true(c.VALUES_RESOLVED), environment, identity, server.image if server else "", connection,
        held=held, provider=provider_of(environment.spec, world.cluster, world.settings).name, waits=waits_for_its_turn(world, desired),
    )  # fmt: skip


def policies(world: InstallationWorld, identity: Identity, environment: Environment) -> tuple[dict[str, Any], ...]:
    """Return what fences a server in an environment; of one that is not accepted, in which no server is, it raises TypeError."""
    provider = provider_of(environment.spec, world.cluster, world.settings)
    return provider.policies(Fence(identity, _rules(world, environment), world.dns, world.settings.namespaces.system))


def _runs(world: InstallationWorld, identity: Identity) -> bool:
    """Tell whether the server runs where it is meant to; one that is still elsewhere begins there anew."""
    wanted = ("Deployment", identity.server_namespace, identity.server)
    return any(key_of(o) == wanted and o["spec"].get("replicas", 1) > 0 for o in world.owned)


def _server(world: InstallationWorld, installation: Installation, identity: Identity, hosted: SelfHosted, inputs: Inputs) -> Server:
    environment = environment_of(world)
    return Server(
        identity=identity,
        declared=hosted,
        inputs=inputs,
        image=hosted.image or world.settings.images.base,
        bridge_image=world.settings.images.bridge,
        bridge_token=bridge_token(world.root_key, identity.namespace, identity.name, identity.uid),
        restarted_at=installation.metadata.annotations.get(names.RESTARTED_AT),
        suspended=installation.spec.suspend,
        root_key=world.root_key,
        pod_defaults=(world.settings.servers.pod_defaults, environment.spec.pod_defaults if environment else None),
    )


def _rules(world: InstallationWorld, environment: Environment) -> EgressRules:
    rules = _rules_of(environment.spec.egress, world.cluster_ranges)
    if isinstance(rules, c.Finding):  # an environment that is not accepted has no servers
        raise TypeError(rules.message)
    return rules


def _kept_fence(world: InstallationWorld) -> tuple[dict[str, Any], ...]:
    """Return what fences a server that goes on with what it has, by the rules of today: else an owner could keep wider ones by breaking
    his installation before they are tightened. Nothing is added to what is there."""
    there = {key_of(o): o for o in world.owned}
    stored = there.get(("Secret", world.settings.namespaces.system, names.connection_name(world.namespace, world.name)))
    try:
        connection = read_connection(base64.b64decode(stored["data"][names.CONNECTION_KEY])) if stored else None
    except (KeyError, ValueError):
        return ()
    environment = world.environments.get(connection.environment) if connection else None
    if world.installation is None or connection is None or environment is None or environment_problem(environment, world.settings):
        return ()
    identity = identity_of(world.installation, server_namespace(environment, world.settings))
    if connection.egress is not None:
        tightened = connection.model_copy(update={"egress": _rules(world, environment)})
        return (connection_secret(world, identity, tightened),)
    fence = policies(world, identity, environment)
    return tuple(o for o in fence if key_of(o) in there)


def _connection(
    world: InstallationWorld, entry: RegistryEntry, environment: Environment, identity: Identity, fields: FieldValues
) -> Connection:
    spec, namespace, name = entry.spec, identity.namespace, identity.name
    headers: tuple[ConnectionHeader, ...]
    bridged = spec.self_hosted is not None and spec.self_hosted.transport == "Stdio"
    if bridged:
        url = names.server_url(namespace, name, identity.server_namespace)
        token = bridge_token(world.root_key, namespace, name, identity.uid)
        headers = (ConnectionHeader(name="authorization", value=f"Bearer {token}"),)
    else:
        path = (spec.self_hosted.http or HttpServer()).path if spec.self_hosted else ""
        url = render(spec.remote.url, fields, in_url) if spec.remote else names.server_url(namespace, name, identity.server_namespace, path)
        headers = _headers(entry, fields)
    return Connection(
        namespace=namespace, name=name, uid=identity.uid, entry=entry.metadata.name, environment=environment.metadata.name,
        url=url, transport=spec.remote.transport if spec.remote else "StreamableHTTP", headers=headers, tools_hash=plan_tools(world).offered,
        egress=_rules(world, environment) if spec.remote else None, client_headers=not bridged,
    )  # fmt: skip


def _headers(entry: RegistryEntry, fields: FieldValues) -> tuple[ConnectionHeader, ...]:
    static = entry.spec.auth.static if entry.spec.auth else None
    rendered = [(h.name.lower(), render(h.value, fields)) for h in entry.spec.headers]
    if static:
        value = render(static.value, fields)
        name = (static.header or "authorization").lower()
        rendered.append((name, f"Bearer {value}" if static.as_ == "Bearer" else value))
    return tuple(ConnectionHeader(name=name, value=value) for name, value in sorted(rendered) if value)


def connection_secret(world: InstallationWorld, identity: Identity, connection: Connection) -> dict[str, Any]:
    """Return the Secret that tells the gateway how to reach the server."""
    document = base64.b64encode(connection.text().encode()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.connection_name(identity.namespace, identity.name),
            "namespace": world.settings.namespaces.system,
            "labels": {**identity.labels, names.PART: "connection"},
        },
        "type": "Opaque",
        "data": {names.CONNECTION_KEY: document},
    }


def _definitions(world: InstallationWorld) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": names.tools_name(definitions.hash),
                "namespace": world.settings.namespaces.system,
                "labels": {names.MANAGED_BY: names.MANAGER, names.PART: "tools"},
            },
            "immutable": True,
            **definitions.data(),
        }
        for definitions in plan_tools(world).missing
    )


def fingerprint(connection: Connection, revision: int) -> str:
    """Return what a discovery was asked with; another one means asking again at once. Holds no value."""
    rules = connection.egress.model_dump_json() if connection.egress else None
    headers = [[h.name, h.value] for h in connection.headers]
    asked = json.dumps([connection.url, connection.transport, headers, connection.uid, rules, revision])
    return hashlib.sha256(asked.encode()).hexdigest()
