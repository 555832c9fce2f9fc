"""From nodes, DaemonSets, ConfigMaps and definitions of kinds, as the API server shows them, to what counts of them; pure."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from wharfinger_cluster.resource import APPLICATION_NETWORK_POLICY, CILIUM_NETWORK_POLICY, FQDN_NETWORK_POLICY, Resource
from wharfinger_operator.cluster_facts import CONFIG_KEYS, DAEMON_SETS, MARKS, NODE_LABELS, DaemonSetFact, NodeSort, PolicyKind

DOMAINS: Final[Mapping[Resource, tuple[str, ...]]] = {
    CILIUM_NETWORK_POLICY: ("toFQDNs",),
    APPLICATION_NETWORK_POLICY: ("to", "domainNames"),
    FQDN_NETWORK_POLICY: ("matches",),
}
"""Where below `spec.egress` a schema names domains: what tells a kind from another project's of the same name."""

_VALUE: Final = 63
"""Characters of a setting that are kept: those that count are shorter."""


def node_sort(node: Mapping[str, Any]) -> NodeSort:
    """Return what counts of a Node."""
    spec, labels = node.get("spec", {}), node["metadata"].get("labels") or {}
    cloud, colon, _ = str(spec.get("providerID", "")).partition(":")
    counted = frozenset((key, str(labels[key]) if valued else "") for key, valued in NODE_LABELS.items() if key in labels)
    return _sort(cloud if colon else "", counted, not spec.get("unschedulable"))


@functools.lru_cache(maxsize=256)
def _sort(cloud: str, labels: frozenset[tuple[str, str]], schedulable: bool) -> NodeSort:
    """Return the one value for all nodes of a sort: there may be thousands."""
    return NodeSort(cloud, labels, schedulable)


def node_addresses(node: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses of a Node and the blocks of its pods."""
    spec = node.get("spec", {})
    listed = (node.get("status") or {}).get("addresses") or ()
    own = [a["address"] for a in listed if a.get("type") in {"InternalIP", "ExternalIP"} and a.get("address")]
    return (*own, *(spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])))


def daemon_set_fact(daemon_set: Mapping[str, Any]) -> DaemonSetFact | None:
    """Return what counts of a DaemonSet; None where nothing does."""
    name = daemon_set["metadata"]["name"]
    if name not in DAEMON_SETS:
        return None
    found = frozenset(_words(daemon_set)) & MARKS.get(name, frozenset())
    return DaemonSetFact((daemon_set.get("status") or {}).get("numberReady", 0) > 0, found)


def config_values(config_map: Mapping[str, Any]) -> Mapping[str, str]:
    """Return what counts of a ConfigMap: few keys, in lower case, without what would be too long to mean anything."""
    data = config_map.get("data") or {}
    keys = CONFIG_KEYS.get(config_map["metadata"]["name"], ())
    return {key: str(data[key]).strip().lower()[:_VALUE] for key in keys if key in data}


def _words(daemon_set: Mapping[str, Any]) -> Iterator[str]:
    for container in daemon_set.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ()):
        yield container["name"]
        yield from map(str, (*(container.get("command") or ()), *(container.get("args") or ())))


def policy_kind(definition: Mapping[str, Any], resource: Resource) -> PolicyKind:
    """Return what a CustomResourceDefinition says about the kind of policy that has its name."""
    # Of a definition that was just made they are null.
    conditions = {c["type"]: c["status"] for c in (definition.get("status") or {}).get("conditions") or ()}
    if definition["metadata"].get("deletionTimestamp") or conditions.get("Established") != "True":
        return PolicyKind(f"the cluster does not serve {resource} yet, or not any more")
    version = next((v for v in definition["spec"]["versions"] if v["name"] == resource.version and v["served"]), None)
    foreign = f"the cluster's {resource} are another project's of the same name"
    if version is None:
        return PolicyKind(f"{foreign}: they have no version {resource.version}", foreign=True)
    schema = _below(version.get("schema", {}).get("openAPIV3Schema", {}), "spec", "egress", *DOMAINS[resource])
    return PolicyKind() if schema else PolicyKind(f"{foreign}: they know no domains", foreign=True)


def _below(schema: Mapping[str, Any], *path: str) -> Mapping[str, Any] | None:
    for name in path:
        schema = schema.get("items", schema).get("properties", {}).get(name, {})
    return schema or None
