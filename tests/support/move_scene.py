"""An installation whose server moves, and what the API server would hold of its children: one look after the other, without I/O."""

import base64
from dataclasses import dataclass, field, replace
from typing import Any

from manifest_world import NOW
from wharfinger_crds import names
from wharfinger_crds.base import Ref
from wharfinger_crds.connection import read_connection
from wharfinger_crds.environment import Environment
from wharfinger_crds.installation import InstallationStatus
from wharfinger_operator.diff import Changes, diff
from wharfinger_operator.plan.installation import InstallationPlan, fingerprint, plan_installation
from wharfinger_operator.plan.move import plan_move
from wharfinger_operator.reconcile import fenced
from wharfinger_operator.status import installation_status
from wharfinger_operator.world import Discovery, InstallationWorld

OLD, NEW, THIRD = "wharfinger-servers", "mcp-prod", "mcp-third"


def environment(name: str, namespace: str, **spec: Any) -> Environment:
    manifest = {
        "metadata": {"name": name, "generation": 1},
        "spec": {"title": name, "namespace": namespace, "egress": {"mode": "DenyAll"}, **spec},
    }
    return Environment.parse({"apiVersion": names.API_VERSION, "kind": "Environment", **manifest})


@dataclass
class MoveScene:
    """An installation, and what the API server would hold of its children."""

    world: InstallationWorld
    live: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    plan: InstallationPlan | None = None

    def edit(self, **spec: Any) -> None:
        assert self.world.installation
        changed = self.world.installation.model_copy(update={"spec": self.world.installation.spec.model_copy(update=spec)})
        self.world = replace(self.world, installation=changed)

    def move(self, name: str) -> None:
        self.edit(environment_ref=Ref(name=name))

    def up(self, namespace: str, available: int = 1) -> None:
        """Say what the Deployment controller would of a Deployment."""
        for (kind, where, _), found in self.live.items():
            if (kind, where) == ("Deployment", namespace):
                ready = {"updatedReplicas": available, "availableReplicas": available, "readyReplicas": available}
                found["status"] = {"observedGeneration": 1, **ready}

    def asked(self) -> None:
        """Let the server that is called now have been asked for its tools."""
        assert self.plan
        assert self.plan.connection
        self.world = replace(self.world, discovery=Discovery(fingerprint(self.plan.connection, 1)))

    def look(self) -> Changes:
        """Work once, as the reconciler does, and report."""
        self.world = replace(self.world, owned=tuple(self.live.values()))
        self.plan = plan_move(self.world, plan_installation(self.world))
        changes = diff(*fenced(self.plan, self.world), spares=self.plan.spares)
        for made in (*changes.apply, *changes.replace):
            meta = made["metadata"]
            key = (made["kind"], meta["namespace"], meta["name"])
            known = {"uid": "u", "resourceVersion": "1", "generation": 1}
            self.live[key] = {**self.live.get(key, {}), **made, "metadata": {**meta, **known}}
        for gone in changes.delete:
            del self.live[gone["kind"], gone["metadata"]["namespace"], gone["metadata"]["name"]]
        self.world = replace(self.world, owned=tuple(self.live.values()))
        status = installation_status(self.world, self.plan, NOW)
        assert self.world.installation
        assert status
        self.world = replace(self.world, installation=self.world.installation.model_copy(update={"status": status}))
        return changes

    @property
    def status(self) -> InstallationStatus:
        assert self.world.installation
        return self.world.installation.status

    def says(self, kind: str) -> tuple[str, str, str]:
        found = self.status.condition(kind)
        return (found.status, found.reason, found.message) if found else ("", "", "")

    def places(self, kind: str = "Deployment") -> set[str]:
        return {where for found, where, _ in self.live if found == kind and where != "wharfinger-system"}

    def called(self) -> str:
        """Return the namespace of the server that gateways call."""
        (secret,) = (o for (kind, where, _), o in self.live.items() if (kind, where) == ("Secret", "wharfinger-system"))
        url = read_connection(base64.b64decode(secret["data"][names.CONNECTION_KEY])).url
        return url.split(".")[1]
