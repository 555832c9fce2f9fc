"""What is wrong with a pod, in the words of a condition; pure.

The kubelet's messages change with every back-off, so they are not repeated; what they mean is said once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_operator.world import PodFact

_PULL: Final = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable"}


def pod_fact(pod: Mapping[str, Any]) -> PodFact:
    """Return what a person needs to know about a pod that is not ready."""
    name, namespace = pod["metadata"]["name"], pod["metadata"].get("namespace", "")
    status = pod.get("status", {})
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False" and condition.get("reason") == "Unschedulable":
            return PodFact(name, c.UNSCHEDULABLE, f"no node can take the pod: {condition.get('message', '')}", namespace)
    for reason, message in _problems(status):
        return PodFact(name, reason, message, namespace)
    return PodFact(name, namespace=namespace, address=_address(pod))


def _address(pod: Mapping[str, Any]) -> str:
    """Return the address of a pod whose server runs and is not ready, else nothing."""
    status = pod.get("status", {})
    unready = any(
        container["name"] == names.SERVER_CONTAINER and "running" in container.get("state", {}) and not container.get("ready")
        for container in status.get("containerStatuses", ())
    )
    return str(status.get("podIP", "")) if unready and not pod["metadata"].get("deletionTimestamp") else ""


def refused_pods(deployment: Mapping[str, Any]) -> PodFact | None:
    """Return why no pod of a Deployment can be made: a quota, or an admission policy of the cluster."""
    for condition in deployment.get("status", {}).get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            # The words before begin with the pod's name, which is another at each attempt.
            why = condition.get("message", "").rpartition(" is forbidden: ")[2]
            if "exceeded quota" in why:
                return PodFact("", c.QUOTA_EXCEEDED, f"a quota of the server namespace leaves no room for the pod: {_quota(why)}")
            return PodFact("", c.PODS_REFUSED, f"the cluster refuses the pod: {why[:512]}")
    return None


def _quota(why: str) -> str:
    """Return the quota's name and what was asked of it, without what is used: that changes with others' pods."""
    kept: list[str] = []
    for part in why.removeprefix("exceeded quota: ").split(", "):
        if part.startswith("used: "):
            break
        kept.append(part)
    return ", ".join(kept)[:512]


def _problems(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = container.get("state", {}).get("waiting", {})
        ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated") or {}
        name, image, reason = container["name"], container.get("image", ""), waiting.get("reason", "")
        if reason in _PULL:
            yield (
                c.IMAGE_PULL_FAILED,
                f"container {name}: image {image} cannot be pulled ({'the name is invalid' if reason == 'InvalidImageName' else 'see the events of the pod'})",
            )
        elif reason in {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}:
            yield c.CRASHED, f"container {name} cannot be started ({reason}): {waiting.get('message', '')[:512]}"
        elif reason == "CrashLoopBackOff" or ended.get("exitCode"):
            yield (
                c.CRASHED,
                f"container {name} ended with exit code {ended.get('exitCode', '?')} ({ended.get('reason', 'Error')}): see its log",
            )
