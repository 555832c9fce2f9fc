"""The plan of one installation: what should be there because of it, and what the gateway is told."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.connection import Connection, ConnectionHeader
from wharfinger_crds.environment import Environment
from wharfinger_crds.installation import Installation
from wharfinger_crds.registry_entry import HttpServer, RegistryEntry, SelfHosted
from wharfinger_crds.tool_definitions import definitions_hash
from wharfinger_operator.plan.fields import FieldValues, in_url, render, resolve_fields
from wharfinger_operator.plan.identity import Identity, identity_of
from wharfinger_operator.plan.installation_checks import environment_of, installation_problem, server_namespace
from wharfinger_operator.plan.network import network_policy
from wharfinger_operator.plan.revision import with_running_bridge
from wharfinger_operator.plan.rollout import waits_for_its_turn
from wharfinger_operator.plan.workload import Server, bridge_token, workload
from wharfinger_operator.world import InstallationWorld

REVOKED: Final = frozenset({c.NAMESPACE_NOT_TENANT, c.OWNER_NOT_GRANTED, c.NAMESPACE_NOT_ALLOWED})
"""Reasons for which a running server is taken away. For every other one it goes on with what it has."""


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
    waits: bool = False
    """An edit of its entry reaches this server later. Nothing but the policy is changed until then."""


def plan_installation(world: InstallationWorld) -> InstallationPlan:
    """Return the plan; of an installation that is gone, that nothing should be there."""
    installation = world.installation
    if installation is None or installation.metadata.deletion_timestamp:
        return InstallationPlan((), c.true(c.ACCEPTED))
    environment = environment_of(world)
    problem = installation_problem(world, installation)
    if problem is not None or environment is None or world.entry is None:
        accepted = problem or c.true(c.ACCEPTED)
        return InstallationPlan(() if accepted.reason in REVOKED else None, accepted, environment=environment)
    accepted = c.true(c.ACCEPTED)
    fields = resolve_fields(world.entry.spec.fields, installation.spec, world.secrets)
    if isinstance(fields, c.Finding):
        return InstallationPlan(None, accepted, fields, environment)
    identity = identity_of(installation, server_namespace(environment, world.settings))
    hosted = world.entry.spec.self_hosted
    server = _server(world, installation, identity, hosted, fields) if hosted else None
    connection = _connection(world, world.entry, environment, identity, fields)
    policy = (network_policy(identity, environment.spec.egress, world.dns, world.settings.namespaces.system),) if server else ()
    parts = with_running_bridge(workload(server), world.owned, world.root_key) if server else ()
    secrets = tuple(part for part in parts if part["kind"] == "Secret")
    rest = tuple(part for part in parts if part["kind"] != "Secret")
    desired = (*secrets, *policy, *rest, *_definitions(world), _connection_secret(world, identity, connection))
    return InstallationPlan(
        desired, accepted, c.true(c.VALUES_RESOLVED), environment, identity, server.image if server else "", connection,
        waits=waits_for_its_turn(world, desired),
    )  # fmt: skip


def _server(world: InstallationWorld, installation: Installation, identity: Identity, hosted: SelfHosted, fields: FieldValues) -> Server:
    return Server(
        identity=identity,
        declared=hosted,
        fields=fields,
        image=hosted.image or world.settings.images.base,
        bridge_image=world.settings.images.bridge,
        bridge_token=bridge_token(world.root_key, identity.namespace, identity.name, identity.uid),
        restarted_at=installation.metadata.annotations.get(names.RESTARTED_AT),
        suspended=installation.spec.suspend,
        root_key=world.root_key,
    )


def _connection(
    world: InstallationWorld, entry: RegistryEntry, environment: Environment, identity: Identity, fields: FieldValues
) -> Connection:
    spec, namespace, name = entry.spec, identity.namespace, identity.name
    headers: tuple[ConnectionHeader, ...]
    if spec.self_hosted and spec.self_hosted.transport == "Stdio":
        url = names.server_url(namespace, name, identity.server_namespace)
        token = bridge_token(world.root_key, namespace, name, identity.uid)
        headers = (ConnectionHeader(name="authorization", value=f"Bearer {token}"),)
    else:
        path = (spec.self_hosted.http or HttpServer()).path if spec.self_hosted else ""
        url = render(spec.remote.url, fields, in_url) if spec.remote else names.server_url(namespace, name, identity.server_namespace, path)
        headers = _headers(entry, fields)
    tools = current_tools(world)
    return Connection(
        namespace=namespace, name=name, uid=identity.uid, entry=entry.metadata.name, environment=environment.metadata.name,
        url=url, transport=spec.remote.transport if spec.remote else "StreamableHTTP", headers=headers, tools_hash=tools,
    )  # fmt: skip


def _headers(entry: RegistryEntry, fields: FieldValues) -> tuple[ConnectionHeader, ...]:
    static = entry.spec.auth.static if entry.spec.auth else None
    rendered = [(h.name.lower(), render(h.value, fields)) for h in entry.spec.headers]
    if static:
        value = render(static.value, fields)
        name = (static.header or "authorization").lower()
        rendered.append((name, f"Bearer {value}" if static.as_ == "Bearer" else value))
    return tuple(ConnectionHeader(name=name, value=value) for name, value in sorted(rendered) if value)


def _connection_secret(world: InstallationWorld, identity: Identity, connection: Connection) -> dict[str, Any]:
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


def current_tools(world: InstallationWorld) -> str | None:
    """Return the hash of the tool definitions that count: the newest discovered, else those that the status already names."""
    if world.discovery and world.discovery.definitions is not None:
        return definitions_hash(world.discovery.definitions)
    status = world.installation.status if world.installation else None
    return status.tools.hash if status and status.tools and names.tools_name(status.tools.hash) in world.stored else None


def _definitions(world: InstallationWorld) -> tuple[dict[str, Any], ...]:
    if world.discovery is None or world.discovery.definitions is None:
        return ()
    return (
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": names.tools_name(definitions_hash(world.discovery.definitions)),
                "namespace": world.settings.namespaces.system,
                "labels": {names.MANAGED_BY: names.MANAGER, names.PART: "tools"},
            },
            "immutable": True,
            "data": {names.TOOLS_KEY: world.discovery.definitions},
        },
    )


def fingerprint(connection: Connection, revision: int) -> str:
    """Return what a discovery was asked with; another one means asking again at once. Holds no value."""
    asked = json.dumps([connection.url, connection.transport, [[h.name, h.value] for h in connection.headers], connection.uid, revision])
    return hashlib.sha256(asked.encode()).hexdigest()
