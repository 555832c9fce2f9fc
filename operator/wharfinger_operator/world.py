"""Everything a plan may look at, frozen at one moment.

Invariants: a plan sees nothing else, so that equal worlds give equal plans. Values of Secrets are kept out of every repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wharfinger_crds import conditions as c
from wharfinger_crds.environment import Environment
from wharfinger_crds.gateway import Gateway
from wharfinger_crds.grants import NamespaceGrants
from wharfinger_crds.installation import Installation, ServerInfo
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_crds.settings import Settings
from wharfinger_crds.token import Token
from wharfinger_crds.tool_definitions import Definitions
from wharfinger_operator.child import Child
from wharfinger_operator.cluster_facts import NOTHING_KNOWN, ClusterFacts

Manifest = Mapping[str, Any]
Key = tuple[str, str, str]


def key_of(manifest: Manifest) -> Key:
    """Return kind, namespace and name."""
    if isinstance(manifest, Child):
        return manifest.key
    return (manifest["kind"], manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])


@dataclass(frozen=True)
class DnsService:
    """The Service of the cluster's DNS, as far as there is one: its addresses, and the ports behind it."""

    addresses: tuple[str, ...] = ()
    target_ports: tuple[tuple[str, int | str], ...] = ()
    """Protocol and port (number or name) of the pods."""


@dataclass(frozen=True)
class PodLabels:
    """Pods of a namespace, chosen by labels; no labels choose all."""

    namespace: str
    labels: tuple[tuple[str, str], ...] = ()
    """Sorted."""


@dataclass(frozen=True)
class DnsPeer:
    """What answers names: in two forms, since engines match before or after the address of a Service is translated."""

    pods: tuple[PodLabels, ...] = (PodLabels("kube-system", (("k8s-app", "kube-dns"),)),)
    pod_ports: tuple[tuple[str, int | str], ...] = ()
    """Protocol and port (number or name) of the pods, beside port 53."""
    blocks: tuple[str, ...] = ()
    """Canonical; port 53 only, since one of them may be a metadata service on other ports."""
    on_node: bool = False
    """The node itself answers, at an address of `blocks`."""


@dataclass(frozen=True)
class PodFact:
    """What a person would ask of a pod that does not come up."""

    name: str
    reason: str = ""
    """A condition's reason, empty where nothing is wrong."""
    message: str = ""
    namespace: str = ""
    address: str = ""
    """Where the server's container can be asked: it runs and is not ready. Empty where there is nothing to ask."""


@dataclass(frozen=True)
class Discovery:
    """What asking a server for its tools has given so far."""

    fingerprint: str
    """Of the connection and the workload's revision that were asked."""
    definitions: Definitions | None = None
    """The tool definitions; None where the last attempt failed."""
    server: ServerInfo | None = None
    reason: str = c.SUCCEEDED
    """Why the last attempt failed, or what is remarkable of its answer; a condition's reason."""
    message: str = ""


@dataclass(frozen=True)
class Stored:
    """Tool definitions in the system namespace."""

    digests: Mapping[str, str]
    """What each tool is, by its name, sorted."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tools, sorted."""
        return tuple(self.digests)


@dataclass(frozen=True)
class CatalogSecret:
    """A Secret of the catalog namespace."""

    type: str
    data: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class Catalog:
    """What the entry names in the catalog namespace, as far as it is there and opted in; by name."""

    secrets: Mapping[str, CatalogSecret] = field(default_factory=dict, repr=False)
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class EntryPoint:
    """What an image starts by itself (OCI image specification, `config`)."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    """CMD: arguments of the ENTRYPOINT, or the whole command where there is none."""


@dataclass(frozen=True)
class ImageAnswer:
    """What asking a registry for an image has given."""

    fingerprint: str
    """Of the question."""
    entry_point: EntryPoint | None
    message: str = ""
    """Why there is none."""


@dataclass(frozen=True)
class InstallationWorld:
    """What the plan of an installation looks at."""

    namespace: str
    name: str
    installation: Installation | None
    """None: it is gone, and so must be what it caused."""
    settings: Settings
    entry: RegistryEntry | None = None
    environments: Mapping[str, Environment] = field(default_factory=dict)
    grants: NamespaceGrants | None = None
    """None: the namespace is not one of the tenants."""
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict, repr=False)
    """Opted-in Secrets of the installation's namespace, by name."""
    catalog: Catalog = Catalog()
    image: ImageAnswer | None = None
    """The answer to the question of an earlier plan, if that had one."""
    root_key: bytes = field(default=b"", repr=False)
    dns: DnsPeer = DnsPeer()
    cluster: ClusterFacts = NOTHING_KNOWN
    cluster_ranges: tuple[str, ...] = ()
    """Blocks of addresses of the cluster itself, beside the private ranges."""
    owned: tuple[Manifest, ...] = field(default=(), repr=False)
    """Children that are there, in every namespace."""
    strangers: frozenset[tuple[str, str, str]] = frozenset()
    """Kind, namespace and name of what is not ours and has the name of a child."""
    pods: tuple[PodFact, ...] = ()
    """Oldest first."""
    symptom: PodFact | None = None
    """What the bridge of the newest pod says, where that is not ready."""
    siblings: int = 0
    """Installations of the same entry, this one included; counted where the entry was edited since the server was made."""
    rolling: int = 0
    """How many of them are on their way to another revision."""
    discovery: Discovery | None = None
    stored: Mapping[str, Stored] = field(default_factory=dict)
    """Stored tool definitions, by the name of their ConfigMap."""


@dataclass(frozen=True)
class EntryWorld:
    """What the plan of an entry looks at."""

    entry: RegistryEntry
    installations: tuple[Installation, ...]
    stored: Mapping[str, Stored]


@dataclass(frozen=True)
class EnvironmentWorld:
    """What the plan of an environment looks at."""

    environment: Environment
    defaults: tuple[str, ...]
    """Names of all environments with `default: true`."""
    installations: tuple[Installation, ...]
    """Those that run there."""
    settings: Settings
    closed: bool
    """Whether a policy closes its namespace for every pod."""
    assignments_checked: bool = False
    """Admission refuses who assigns something to a restricted environment without the right to."""
    cluster: ClusterFacts = NOTHING_KNOWN
    cluster_ranges: tuple[str, ...] = ()
    dns: DnsPeer = DnsPeer()
    probe: c.Finding | None = None
    """EgressEnforced as the probe has found it since this program started."""


@dataclass(frozen=True)
class GatewayWorld:
    """What the plan of a gateway looks at."""

    gateway: Gateway
    settings: Settings
    grants: NamespaceGrants | None
    installations: tuple[Installation, ...]
    """Of every namespace."""
    entries: Mapping[str, RegistryEntry]
    stored: Mapping[str, Stored]


@dataclass(frozen=True)
class TokenWorld:
    """What the plan of a token looks at."""

    token: Token
    system_namespace: str
    same_hash: int
    """How many tokens of the system namespace have its hash."""
    now: str
    """RFC 3339, UTC."""
