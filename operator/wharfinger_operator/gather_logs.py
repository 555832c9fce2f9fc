"""Read the logs of an installation's pods, and every secret value that may stand in them.

Invariant: a log is returned only together with the values that its pod runs with: those beside it, which the operator keeps as they are where
it leaves a server as it is. What the installation names may be another value by now, or gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from wharfinger_cluster.client import Cluster, LogTail
from wharfinger_cluster.errors import Invalid, NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import POD, SECRET, Object, Scope
from wharfinger_crds import names
from wharfinger_crds.connection import MalformedConnectionError, read_connection
from wharfinger_crds.kinds import INSTALLATION
from wharfinger_crds.settings import Settings
from wharfinger_operator.observe import secret_data
from wharfinger_operator.platform_settings import settings_of

BYTES: Final = 1_000_000
"""Of all pods together."""
MOST_PODS: Final = 20


@dataclass(frozen=True)
class Tail:
    """How much is asked for."""

    lines: int
    previous: bool


@dataclass(frozen=True)
class Refused:
    """Why there is no log: HTTP status and words for people."""

    status: int
    message: str


@dataclass(frozen=True)
class Gathered:
    """What the containers said, and what must not be shown of it."""

    text: str = field(repr=False)
    secrets: frozenset[str] = field(repr=False)


async def gather(cluster: Cluster, system: str, namespace: str, name: str, tail: Tail) -> Gathered | Refused:
    """Return the logs of an installation. Raises NotFound where there is no such installation, SettingsError, ClusterError."""
    await cluster.get(kind_resource(INSTALLATION), name, namespace)
    settings = await settings_of(cluster, system)
    selector = f"{names.MANAGED_BY}={names.MANAGER},{names.INSTALLATION_NAMESPACE}={namespace},{names.INSTALLATION_NAME}={name}"
    scopes = [Scope(servers, labels=selector) for servers in settings.namespaces.servers]
    pods = [pod for scope in scopes for pod in await cluster.list(POD, scope)]
    if not pods:
        return Refused(404, f"McpInstallation {namespace}/{name} has no pod: it is remote, suspended, or has not started")
    beside = [secret for scope in scopes for secret in await cluster.list(SECRET, scope)]
    known = {(s["metadata"]["namespace"], hashed) for s in beside if (hashed := secret_data(s).get(names.INPUT_HASH_KEY))}
    connection = await _headers(cluster, settings, namespace, name)
    secrets = frozenset({value.decode(errors="replace") for secret in beside for value in secret_data(secret).values()} | connection) - {""}
    parts = []
    for pod in sorted(pods, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]))[-MOST_PODS:]:
        lines = await _lines(cluster, pod, tail, min(len(pods), MOST_PODS)) if _runs_with(pod) in known else [_WITHHELD]
        parts += [f"[{pod['metadata']['name']}] {line}" if len(pods) > 1 else line for line in lines]
    return Gathered("".join(f"{part}\n" for part in parts), secrets)


_WITHHELD: Final = "# withheld: the secret values that this pod runs with are not known any more"


async def _lines(cluster: Cluster, pod: Object, tail: Tail, pods: int) -> list[str]:
    limit, meta = BYTES // pods, pod["metadata"]
    asked = LogTail(names.SERVER_CONTAINER, tail.lines, limit, tail.previous)
    try:
        text = await cluster.log(meta["name"], meta["namespace"], asked)
    except (Invalid, NotFound):
        return ["# this container has no previous run" if tail.previous else "# this container has not started"]
    lines = text.splitlines()
    # Cut by the API server, in the middle of a line and perhaps of a secret.
    return [*lines[:-1], "# cut here"] if len(text.encode()) >= limit else lines


async def _headers(cluster: Cluster, settings: Settings, namespace: str, name: str) -> frozenset[str]:
    """Return what gateways send to the server."""
    try:
        secret = await cluster.get(SECRET, names.connection_name(namespace, name), settings.namespaces.system)
        return frozenset(header.value for header in read_connection(secret_data(secret).get(names.CONNECTION_KEY, b"")).headers)
    except (NotFound, MalformedConnectionError):
        return frozenset()  # not written yet, or nothing that a server could have been given


def _runs_with(pod: Object) -> tuple[str, bytes]:
    """Return the namespace, and the hash of the values that a pod runs with."""
    return pod["metadata"]["namespace"], pod["metadata"].get("annotations", {}).get(names.INPUT_HASH, "").encode()
