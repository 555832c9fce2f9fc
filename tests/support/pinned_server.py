"""An installation whose server lists tools, and what the operator's decisions make of them, without a cluster."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from golden import manifests
from manifest_world import NOW, installation_world, readable
from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.base import Condition
from wharfinger_crds.connection import read_connection
from wharfinger_crds.installation import Installation
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_crds.tool_definitions import definitions_of, read_definitions, tool_digests
from wharfinger_operator.plan.installation import plan_installation
from wharfinger_operator.status import installation_status
from wharfinger_operator.world import Discovery, InstallationWorld, Stored

CASE = Path(__file__).parents[1] / "operator/plan/testdata/installation-remote.in.yaml"
Tools = list[dict[str, Any]]


def tool(name: str, **members: Any) -> dict[str, Any]:
    return {"name": name, "description": f"does {name}", "inputSchema": {"type": "object"}} | members


@dataclass
class PinnedServer:
    """An installation whose server lists tools, and what is stored and reported because of it."""

    pinning: str = "Withhold"
    accepted: list[str] = field(default_factory=list)
    world: InstallationWorld = field(init=False)
    texts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = installation_world(manifests(CASE))
        self.configure(self.pinning, self.accepted)

    def configure(self, pinning: str, accepted: list[str]) -> None:
        entry = self.world.entry
        assert entry is not None
        spec = entry.spec.manifest() | {"tools": {"pinning": pinning, "accepted": accepted}}
        parsed = RegistryEntry.parse({"metadata": entry.metadata.manifest(), "spec": spec})
        self.world = replace(self.world, entry=parsed)

    def lists(self, tools: Tools) -> None:
        """Let the server be asked, and the answer be worked on as the operator does: store, report, look again."""
        self.world = replace(self.world, discovery=Discovery("f", definitions_of(tools)))
        self.reconcile()

    def reconcile(self) -> None:
        for _ in range(2):
            plan = plan_installation(self.world)
            assert plan.desired is not None
            for manifest in plan.desired:
                if manifest["kind"] == "ConfigMap":
                    self.texts[manifest["metadata"]["name"]] = read_definitions(manifest)
            status = installation_status(self.world, plan, NOW)
            assert status is not None
            assert self.world.installation is not None
            installation = self.world.installation.model_copy(update={"status": status})
            stored = {name: Stored(tool_digests(json.loads(text))) for name, text in self.texts.items()}
            self.world = replace(self.world, installation=installation, stored=stored)

    def sweep(self) -> None:
        """Forget the stored definitions that no status names."""
        tools = self.installation.status.tools
        kept = tools.config_maps if tools else frozenset()
        self.texts = {name: text for name, text in self.texts.items() if name in kept}
        self.world = replace(self.world, stored={name: one for name, one in self.world.stored.items() if name in kept})

    def restart(self) -> None:
        """Let the operator forget what only its memory held."""
        self.world = replace(self.world, discovery=None)

    @property
    def installation(self) -> Installation:
        assert self.world.installation is not None
        return self.world.installation

    @property
    def condition(self) -> Condition:
        found = self.installation.status.condition(c.TOOLS_PINNED)
        assert found is not None
        return found

    def offered(self) -> Tools | None:
        """Return what a gateway reads: the list that the connection names."""
        plan = plan_installation(self.world)
        secret = next(m for m in plan.desired or () if m["metadata"]["name"].startswith("connection-"))
        connection = read_connection(readable(secret)["stringData"][names.CONNECTION_KEY])
        if connection.tools_hash is None:
            return None
        found: Tools = json.loads(self.texts[names.tools_name(connection.tools_hash)])
        return found
