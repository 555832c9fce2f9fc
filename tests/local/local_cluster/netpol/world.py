"""Pods and namespaces as the policy engine sees them, frozen, and label selectors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]

FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Pod:
    """A pod with an address of its own that has not finished."""

    address: str
    namespace: str
    labels: Mapping[str, str]
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[tuple[str, str, int], ...] = ()
    """Name, protocol and number of each named container port."""

    def numbers(self, name: str, protocol: str) -> tuple[int, ...]:
        """The numbers of the ports of this name."""
        return tuple(dict.fromkeys(number for n, p, number in self.ports if n == name and protocol in (p, "ANY")))


def pods(objects: Iterable[Json], namespaces: Iterable[Json]) -> tuple[Pod, ...]:
    """The pods that policies can speak of, sorted by address, from Pod and Namespace objects."""
    labels = {n["metadata"]["name"]: n["metadata"].get("labels", {}) for n in namespaces}
    found = []
    for pod in objects:
        status, spec, meta = pod.get("status", {}), pod["spec"], pod["metadata"]
        if not status.get("podIP") or spec.get("hostNetwork") or status.get("phase") in FINISHED:
            continue
        ports = tuple(
            (p["name"], p.get("protocol", "TCP"), p["containerPort"])
            for c in (*spec["containers"], *(c for c in spec.get("initContainers", ()) if c.get("restartPolicy") == "Always"))
            for p in c.get("ports", ())
            if "name" in p
        )
        found.append(Pod(status["podIP"], meta["namespace"], meta.get("labels", {}), labels.get(meta["namespace"], {}), ports))
    return tuple(sorted(found, key=lambda p: p.address))


def selects(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether a label selector chooses these labels; an empty one chooses all. An unknown operator chooses nothing."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(e, labels) for e in selector.get("matchExpressions") or ())


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False
