"""What the API server writes into a child by itself: defaults, by kind, path and value. Everything else that we did not write was added.

`[]` stands for an item of a list. A value that is none of the defaults is an edit, whoever made it: `dnsPolicy: Default` leaves the cluster's DNS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ANY: Final = None
"""The API server chooses the value."""
KEPT_OF_SERVICE: Final = frozenset({"clusterIP", "clusterIPs"})
_POD: Final = "spec.template.spec"
_PROBE: Final[Mapping[str, tuple[Any, ...]]] = {
    "successThreshold": (1,), "failureThreshold": (3,), "periodSeconds": (10,), "timeoutSeconds": (1,),
    "httpGet.scheme": ("HTTP",), "httpGet.path": ("/",), "grpc.service": ("",),
}  # fmt: skip
_CONTAINER: Final[Mapping[str, tuple[Any, ...]]] = {
    "terminationMessagePath": ("/dev/termination-log",),
    "terminationMessagePolicy": ("File",),
    "imagePullPolicy": ("IfNotPresent", "Always"),
    "ports[].protocol": ("TCP",),
    "resources": ({},),
    "env[].valueFrom.fieldRef.apiVersion": ("v1",),
    "env[].valueFrom.resourceFieldRef.divisor": ("0",),
    **{f"{probe}.{key}": values for probe in ("readinessProbe", "livenessProbe", "startupProbe") for key, values in _PROBE.items()},
}
_FILLED_IN: Final[Mapping[str, Mapping[str, tuple[Any, ...] | None]]] = {
    "Deployment": {
        "spec.template.metadata.creationTimestamp": ANY,
        "spec.strategy.type": ("RollingUpdate",),
        "spec.strategy.rollingUpdate": ({"maxSurge": "25%", "maxUnavailable": "25%"},),
        "spec.strategy.rollingUpdate.maxSurge": ("25%",),
        "spec.strategy.rollingUpdate.maxUnavailable": ("25%",),
        f"{_POD}.restartPolicy": ("Always",),
        f"{_POD}.dnsPolicy": ("ClusterFirst",),
        f"{_POD}.schedulerName": ("default-scheduler",),
        f"{_POD}.serviceAccount": ANY,  # mirrors serviceAccountName, which is compared
        **{f"{_POD}.{kind}[].{key}": values for kind in ("containers", "initContainers") for key, values in _CONTAINER.items()},
    },
    "Service": dict.fromkeys(
        (f"spec.{key}" for key in (*KEPT_OF_SERVICE, "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy", "sessionAffinity", "trafficDistribution")), ANY
    ),
}  # fmt: skip


def is_filled_in(kind: str, path: str, value: object) -> bool:
    """Tell whether the API server writes that value at that path of a kind where nobody else does."""
    table = _FILLED_IN.get(kind, {})
    if path not in table:
        return False
    values = table[path]
    return values is ANY or value in values
