"""Objects on a real API server for one gateway process under test."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import gateway_world as world
from gateway_world import Manifest
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import CONFIG_MAP, NAMESPACE, SECRET, Scope
from wharfinger_crds import names
from wharfinger_crds.connection import Connection
from wharfinger_crds.kinds import GATEWAY, INSTALLATION, KINDS
from wharfinger_crds.tool_definitions import definitions_hash, definitions_text

RESOURCES = {
    **{kind.kind: kind_resource(kind) for kind in KINDS},
    "Namespace": NAMESPACE,
    "Secret": SECRET,
    "ConfigMap": CONFIG_MAP,
}


@dataclass
class GatewayPlatform:
    """Two namespaces of one test: the system's and a tenant's."""

    cluster: Cluster
    mark: str

    @property
    def system(self) -> str:
        """Holds settings, keys, tokens and connections."""
        return f"system-{self.mark}"

    @property
    def tenant(self) -> str:
        """Holds installations and gateways."""
        return f"tenant-{self.mark}"

    @property
    def gateway_id(self) -> str:
        """Of the gateway `tools`."""
        return names.gateway_id(self.tenant, "tools")

    async def apply(self, *manifests: Manifest) -> None:
        """Apply manifests, those of the system namespace in this test's."""
        for one in manifests:
            ours = {"namespace": self.system} if one["metadata"].get("namespace") == world.SYSTEM else {}
            await self.cluster.apply(RESOURCES[one["kind"]], one | {"metadata": one["metadata"] | ours})

    async def namespaces(self) -> None:
        """Make both namespaces."""
        await self.apply({"kind": "Namespace", "metadata": {"name": self.system}}, world.namespace(self.tenant))

    async def close(self) -> None:
        """Take everything away."""
        for kind in (GATEWAY, INSTALLATION):
            for found in await self.cluster.list(kind_resource(kind), Scope(self.tenant)):
                await self.cluster.delete(kind_resource(kind), found["metadata"]["name"], self.tenant)
        for name in (self.tenant, self.system):
            await self.cluster.delete(NAMESPACE, name)

    async def install(self, url: str, *, secret: str = world.SECRET) -> None:
        """Make the installation `bot` of team engineering and, as the operator would, its connection and tools."""
        made, *_ = world.installation("bot", team="engineering", namespace=self.tenant)
        del made["metadata"]["uid"], made["metadata"]["creationTimestamp"]
        await self.apply(made)
        await self.connect(url, secret=secret)

    async def connect(self, url: str, *, secret: str = world.SECRET) -> None:
        """Write the connection Secret of `bot`."""
        found = await self.cluster.get(RESOURCES["McpInstallation"], "bot", self.tenant)
        text = definitions_text(world.DEFAULT_TOOLS)
        connection = Connection(
            namespace=self.tenant, name="bot", uid=found["metadata"]["uid"], entry="github", environment="prod", url=url, egress=world.OPEN,
            headers=({"name": "Authorization", "value": f"Bearer {secret}"},), tools_hash=definitions_hash(text),
        )  # fmt: skip
        name = names.connection_name(self.tenant, "bot")
        stored = world.secret(name, names.CONNECTION_KEY, connection.text().encode(), part="connection")
        await self.apply(world.tools_config_map(text), stored)

    async def everything(self, url: str) -> None:
        """Make what a gateway needs to serve `bot__echo` of a server to alice."""
        await self.apply(world.settings(), world.root_key(), world.token("alice", world.ALICE, user="okta:alice"))
        await self.install(url)
        await self.apply(world.gateway("tools", world.pinned("bot"), namespace=self.tenant))

    def kubeconfig(self, path: Path, server: str) -> str:
        """Write a kubeconfig for a server without login, and return its path."""
        named: dict[str, Any] = {"name": "test"}
        document = {
            "apiVersion": "v1", "kind": "Config", "current-context": "test", "clusters": [named | {"cluster": {"server": server}}],
            "users": [named | {"user": {}}], "contexts": [named | {"context": {"cluster": "test", "user": "test"}}],
        }  # fmt: skip
        path.write_text(yaml.safe_dump(document))
        return str(path)
