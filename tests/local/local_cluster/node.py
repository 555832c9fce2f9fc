"""One node: containerd, kubelet, kube-proxy, the policy engine, and CoreDNS as a pod."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local_cluster import api, archive, binaries, cache, containerd, network, packages
from local_cluster.layout import (
    API_SERVICE_IP,
    CLUSTER_DOMAIN,
    CONTAINERD_SOCKET,
    DNS_IP,
    HERE,
    KUBELET,
    LOCAL,
    MANIFESTS,
    NODE,
    PKI,
    POD_CIDR,
    POD_LOGS,
    RUN,
    kubeconfig,
)
from local_cluster.netpol import dns
from local_cluster.process import Component, Running, start, wait_until
from local_cluster.progress import LaunchError, step
from local_cluster.toolchain import Go

COREDNS_IMAGE = "localhost/wharfinger-coredns:1"
READY_SECONDS = 90.0


@dataclass(frozen=True)
class Parts:
    """What a node is made from, besides the `kube` binary."""

    pause: Path
    """Image archive."""
    coredns: Path
    """Image archive."""

    def fingerprint(self) -> str:
        """Hash of all that decides what the node is."""
        sources = [*cache.tree(HERE / "netpol"), *cache.tree(MANIFESTS)]
        for module in ("containerd", "network", "node", "layout"):
            sources += cache.tree(HERE / f"{module}.py")
        return cache.key([self.pause.name, self.coredns.name, *sources])


def parts(go: Go) -> Parts:
    """Build, or take from the cache, what a node needs; install what it needs of the system."""
    packages.ensure(packages.NODE)
    return Parts(
        _image("pause", containerd.PAUSE_IMAGE, binaries.build(binaries.PAUSE, go)),
        _image("coredns", COREDNS_IMAGE, binaries.build(binaries.COREDNS, go)),
    )


def _image(name: str, tag: str, program: Path) -> Path:
    entries = (archive.Entry(f"/{name}", program),)
    config = archive.Config(entrypoint=(f"/{name}",), architecture=archive.ARCHITECTURES[os.uname().machine])
    key = cache.key([tag, program.parent.name, repr(config), *cache.tree(HERE / "archive.py")])
    return cache.obtain(f"image-{name}", key, lambda target: archive.write(target, tag, config, entries))


def kubelet_config(address: str) -> dict[str, object]:
    """The kubelet's settings. Source: kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": address,
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": str(PKI / "ca.crt")}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(PKI / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(PKI / "kubelet-server.key"),
        "clusterDomain": CLUSTER_DOMAIN,
        "clusterDNS": [DNS_IP],
        "resolvConf": str(KUBELET / "resolv.conf"),
        "podLogsDir": str(POD_LOGS),
        "volumePluginDir": str(RUN / "volume-plugins"),
        "makeIPTablesUtilChains": False,
        "failSwapOn": False,
        # The machine is a person's or a test runner's, not a node's alone: a full disk is not a reason to evict or to delete images.
        "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "memory.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        "shutdownGracePeriod": "0s",
        "maxPods": 110,
        "oomScoreAdj": 0,
    }


def proxy_config() -> dict[str, object]:
    """kube-proxy's settings; zeros leave the kernel's connection tracking as it is."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig("proxy"))},
        "mode": "nftables",
        "clusterCIDR": POD_CIDR,
        "hostnameOverride": NODE,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def kubelet(kube: Path, address: str, containerd_pid: int) -> Component:
    """The kubelet, in containerd's mount namespace."""
    flags = (
        f"--config={KUBELET / 'config.json'}",
        f"--kubeconfig={kubeconfig('kubelet')}",
        f"--root-dir={KUBELET}",
        f"--hostname-override={NODE}",
        f"--node-ip={address}",
    )
    return Component("kubelet", ("nsenter", f"--mount=/proc/{containerd_pid}/ns/mnt", "--", str(kube), "kubelet", *flags))


def proxy(kube: Path) -> Component:
    """kube-proxy."""
    return Component("proxy", (str(kube), "proxy", f"--config={RUN / 'proxy.json'}"))


def policy_engine(address: str) -> Component:
    """The policy engine of this launcher."""
    path = (("PYTHONPATH", str(LOCAL)), ("PYTHONDONTWRITEBYTECODE", "1"))
    return Component("policy-engine", (sys.executable, "-u", "-m", "local_cluster.netpol", "--node-address", address), path)


def up(kube: Path, made: Parts, address: str, control: tuple[Running, ...]) -> tuple[Running, ...]:
    """Add the node to a control plane; returns when it is ready and names inside the cluster resolve."""
    with step("starting the node", "about 10 s"):
        network.prepare()
        containerd.write_config()
        runtime = start(containerd.component())
        wait_until(containerd.is_ready, "containerd answers", 30, (runtime,))
        containerd.load(made.pause)
        containerd.load(made.coredns)
        KUBELET.mkdir(parents=True, exist_ok=True)
        # CoreDNS's own: an address that never answers, for this cluster forwards no name.
        (KUBELET / "resolv.conf").write_text("nameserver 192.0.2.53\n")
        (KUBELET / "config.json").write_text(json.dumps(kubelet_config(address), indent=1))
        (RUN / "proxy.json").write_text(json.dumps(proxy_config(), indent=1))
        mine = (runtime, start(kubelet(kube, address, runtime.pid)), start(proxy(kube)), start(policy_engine(address)))
        running = (*control, *mine)
        _apply(kube.parent / "kubectl", MANIFESTS / "dns.yaml")
        wait_until(lambda: api.node_is_ready(NODE), "the node is ready", READY_SECONDS, running)
        wait_until(_names_resolve, "names inside the cluster resolve", READY_SECONDS, running)
    return running


def _names_resolve() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        try:
            asking.sendto(dns.query(f"kubernetes.default.svc.{CLUSTER_DOMAIN}"), (DNS_IP, 53))
            return any(address == API_SERVICE_IP for address, _ in dns.addresses(asking.recv(512)))
        except (OSError, ValueError):
            return False


def _apply(kubectl: Path, manifest: Path) -> None:
    command = [str(kubectl), f"--kubeconfig={kubeconfig('admin')}", "apply", "--server-side", "--force-conflicts", "-f", str(manifest)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise LaunchError(f"{manifest} was not applied: {done.stderr.strip()[-1000:]}")
