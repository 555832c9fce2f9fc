"""What answers names on each platform, so that egress rules can leave a way to it.

Sources: the documentation of each platform's DNS add-on; CoreDNS keeps the label of kube-dns. What a rule allows too much here costs nothing,
since it is port 53 of what answers anyway; what it allows too little costs every name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from wharfinger_crds.address_ranges import network
from wharfinger_crds.settings import Dns
from wharfinger_operator.plan.once import once
from wharfinger_operator.world import DnsPeer, DnsService, PodLabels

_KUBE_DNS: Final = PodLabels("kube-system", (("k8s-app", "kube-dns"),))
_NODE_LOCAL: Final = PodLabels("kube-system", (("k8s-app", "node-local-dns"),))
_OPENSHIFT: Final = PodLabels("openshift-dns", (("dns.operator.openshift.io/daemonset-dns", "default"),))


@dataclass(frozen=True)
class _Platform:
    pods: tuple[PodLabels, ...] = (_KUBE_DNS,)
    pod_port: int | None = None
    blocks: tuple[str, ...] = ()
    on_node: bool = False


_PLATFORMS: Final[Mapping[str, _Platform]] = {
    "Generic": _Platform(),
    "OpenShift": _Platform((_OPENSHIFT,), pod_port=5353),
    "Gardener": _Platform((_KUBE_DNS, _NODE_LOCAL), pod_port=8053, blocks=("169.254.20.10",)),
    "NodeLocal": _Platform((_KUBE_DNS, _NODE_LOCAL), blocks=("169.254.20.10",)),
    "EKSAuto": _Platform(()),
    "AKSLocalDNS": _Platform(blocks=("169.254.10.0/24",), on_node=True),
    "GKE": _Platform((_KUBE_DNS, _NODE_LOCAL), blocks=("169.254.20.10",)),
    # The resolver shares the metadata service's address.
    "CloudDNS": _Platform((_KUBE_DNS, _NODE_LOCAL), blocks=("169.254.20.10", "169.254.169.254")),
}


@partial(once, kept=1)
def dns_peer(service: DnsService, settings: Dns) -> DnsPeer:
    """Return what answers names, of the Service kube-system/kube-dns as it was seen and the platform as it is set."""
    platform = _PLATFORMS[settings.platform]
    declared = (("UDP", platform.pod_port), ("TCP", platform.pod_port)) if platform.pod_port else ()
    ports: tuple[tuple[str, int | str], ...] = tuple(dict.fromkeys((*service.target_ports, *declared))) if platform.pods else ()
    blocks = (*(settings.addresses or service.addresses), *platform.blocks)
    return DnsPeer(
        pods=platform.pods,
        pod_ports=tuple((protocol, port) for protocol, port in ports if port != 53),
        blocks=tuple(dict.fromkeys(str(network(block)) for block in blocks)),
        on_node=platform.on_node,
    )
