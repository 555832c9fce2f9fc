"""What is wrong with a pod, in the words of a condition; pure.

The kubelet's messages change with every back-off, so they are not repeated; what they mean is said once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wharfinger_crds import conditions as c
from wharfinger_operator.world import PodFact

_PULL: Final = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable"}


def pod_fact(pod: Mapping[str, Any]) -> PodFact:
    """Return what a person needs to know about a pod that is not ready."""
    name = pod["metadata"]["name"]
    status = pod.get("status", {})
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False" and condition.get("reason") == "Unschedulable":
            return PodFact(name, c.UNSCHEDULABLE, f"no node can take the pod: {condition.get('message', '')}")
    return next((PodFact(name, reason, message) for reason, message in _problems(status)), PodFact(name))


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
