"""What is known of a cluster, read from manifests as the API server shows them: what golden tests of detection start from."""

from collections.abc import Iterator, Sequence
from typing import Any

from wharfinger_operator.cluster_facts import ClusterFacts, PolicyKind
from wharfinger_operator.cluster_reading import DOMAINS, config_values, daemon_set_fact, node_sort, policy_kind

Manifest = dict[str, Any]
NODE_CLASSES = "nodeclasses.eks.amazonaws.com"


def question(documents: Sequence[Manifest]) -> Manifest:
    """Return what an environment asks, and what the operator may not read: `provider`, `nodeSelector`, `unread`."""
    return next((d for d in documents if d["kind"] == "Question"), {})


def cluster_facts(documents: Sequence[Manifest]) -> ClusterFacts:
    """Return the facts."""
    definitions = {d["metadata"]["name"]: d for d in _of(documents, "CustomResourceDefinition")}
    return ClusterFacts(
        nodes=frozenset(node_sort(node) for node in _of(documents, "Node")),
        daemon_sets={d["metadata"]["name"]: fact for d in _of(documents, "DaemonSet") if (fact := daemon_set_fact(d))},
        config={d["metadata"]["name"]: config_values(d) for d in _of(documents, "ConfigMap")},
        policy_kinds={
            resource.kind: policy_kind(definitions[str(resource)], resource)
            if str(resource) in definitions
            else PolicyKind(f"the cluster serves no {resource}")
            for resource in DOMAINS
        },
        node_classes=NODE_CLASSES in definitions,
        unread=frozenset(question(documents).get("unread", ())),
    )


def _of(documents: Sequence[Manifest], kind: str) -> Iterator[Manifest]:
    return (d for d in documents if d["kind"] == kind)
