"""The whole platform in a cluster that runs pods: the chart and the quickstart, as a user would have them."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cluster_access import Node
from wharfinger_crds import names
from wharfinger_crds.token import token_hash

SYSTEM, SERVERS, TENANT = "wharfinger-system", "wharfinger-servers", "quickstart"
SECONDS = 60.0


def entry(name: str, **hosted: Any) -> dict[str, Any]:
    """A self-hosted entry of the quickstart's environment."""
    spec = {"title": name, "type": "SelfHosted", "environmentRef": {"name": "quickstart"}, "selfHosted": hosted}
    return {"apiVersion": names.API_VERSION, "kind": "McpRegistryEntry", "metadata": {"name": name}, "spec": spec}


def installation(name: str, entry_name: str, **values: str) -> dict[str, Any]:
    """A team's installation in the quickstart's namespace."""
    spec = {"entryRef": {"name": entry_name}, "owner": {"team": "quickstart"}, "values": values}
    return {"apiVersion": names.API_VERSION, "kind": "McpInstallation", "metadata": {"name": name, "namespace": TENANT}, "spec": spec}


def gateway(name: str, installed: str) -> dict[str, Any]:
    """A gateway for that team and whom it counts in, with every tool of an installation."""
    spec = {
        "title": name, "visibility": {"scope": "Team", "teams": ["quickstart"]}, "authentication": {"bearerTokens": {"enabled": True}},
        "tools": [{"installationRef": {"name": installed}, "include": ["*"]}],
    }  # fmt: skip
    return {"apiVersion": names.API_VERSION, "kind": "McpGateway", "metadata": {"name": name, "namespace": TENANT}, "spec": spec}


def token(name: str, text: str, **subject: str) -> dict[str, Any]:
    """A token, by its hash, for a user or a team."""
    spec = {"subject": subject, "tokenHash": token_hash(text)}
    return {"apiVersion": names.API_VERSION, "kind": "McpToken", "metadata": {"name": name, "namespace": SYSTEM}, "spec": spec}


@dataclass(frozen=True)
class PlatformCluster:
    """kubectl, and questions that tests ask."""

    node: Node

    def run(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Return what kubectl prints; fail with what it says."""
        command = [str(self.node.kubectl), "--kubeconfig", str(self.node.kubeconfig), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=120)
        assert not check or done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """Return an object or a list; empty where it is not there."""
        text = self.run("get", "--ignore-not-found", "-o", "json", *arguments)
        found: dict[str, Any] = json.loads(text) if text else {}
        return found

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Apply manifests as a user would."""
        self.run("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}))

    def until(self, condition: Callable[[], Any], seconds: float = SECONDS, explain: Callable[[], str] = str) -> Any:
        """Return the condition's value as soon as it is true; fail with `explain` when it is not within `seconds`."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, explain()
            time.sleep(0.2)
        return value

    def caused(self, name: str) -> list[str]:
        """What is there because of an installation, in every namespace."""
        selector = f"{names.INSTALLATION_NAMESPACE}={TENANT},{names.INSTALLATION_NAME}={name}"
        kinds = "deployments,replicasets,pods,services,endpointslices,networkpolicies,serviceaccounts,secrets,configmaps"
        found = self.get(kinds, "-A", "-l", selector).get("items", [])
        return sorted(f"{o['kind']}/{o['metadata']['namespace']}/{o['metadata']['name']}" for o in found)

    def logs(self, name: str) -> str:
        """What the server of an installation has said."""
        selector = f"{names.INSTALLATION_NAME}={name}"
        return self.run("logs", "-n", SERVERS, "-l", selector, "-c", names.SERVER_CONTAINER, "--tail=-1", check=False)

    def status(self, name: str) -> dict[str, Any]:
        """The status of an installation; empty where there is none yet."""
        found: dict[str, Any] = self.get("mcpinstallation", name, "-n", TENANT).get("status", {})
        return found

    def remove(self, name: str) -> None:
        """Delete an installation, and the entry of the same name once the operator has counted again: in use, it cannot be deleted."""
        self.run("delete", "mcpinstallation", name, "-n", TENANT, "--ignore-not-found")
        self.until(lambda: not self.get("mcpregistryentry", name).get("status", {}).get("installations"))
        self.run("delete", "mcpregistryentry", name, "--ignore-not-found")

    def ready(self, kind: str, name: str, namespace: str = TENANT, seconds: float = SECONDS) -> dict[str, Any]:
        """Wait until an object is Ready, and return it."""

        def is_ready() -> dict[str, Any] | None:
            found = self.get(f"{kind}.{names.GROUP}", name, "-n", namespace)
            conditions = found.get("status", {}).get("conditions", [])
            settled = any(
                c["type"] == "Ready" and c["status"] == "True" and c["observedGeneration"] == found["metadata"]["generation"]
                for c in conditions
            )
            return found if settled else None

        settled_object: dict[str, Any] = self.until(
            is_ready, seconds, lambda: self.run("get", f"{kind}.{names.GROUP}", name, "-n", namespace, "-o", "yaml", check=False)
        )
        return settled_object

    def reaches(self, deployment: str, host: str, port: int, namespace: str = SERVERS) -> bool:
        """Tell whether a pod of the deployment can open a TCP connection."""
        code = f"import socket; socket.create_connection(({host!r}, {port}), 2)"
        command = ["exec", "-n", namespace, f"deployment/{deployment}", "--", "python", "-c", code]
        done = subprocess.run(
            [str(self.node.kubectl), "--kubeconfig", str(self.node.kubeconfig), *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        # A name that is not answered is a gaierror.
        assert done.returncode == 0 or any(word in done.stderr for word in ("Error", "gaierror", "timed out")), done.stderr
        return done.returncode == 0
