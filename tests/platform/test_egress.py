"""What the pods of an environment reach under each of its modes: what is forbidden stays shut, what is allowed is open, an edit counts at once.

The targets are addresses of the node that no other machine has, so these tests run on the local cluster only. Its engine also stands in for
Cilium's agent, with Cilium's own definitions and the cluster's DNS.
"""

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from platform_cluster import SERVERS, TENANT, PlatformCluster, entry, installation
from provider_crds import FOLDER
from wharfinger_crds import names

NAME, DATA = "fenced", "fenced-data"
SERVER = names.server_name(TENANT, NAME)
NEAR, FAR, METADATA = "203.0.113.7", "203.0.113.8", "169.254.169.254"
PORT, OTHER_PORT = 8443, 8444
LISTENERS = ((NEAR, PORT), (NEAR, OTHER_PORT), (FAR, PORT), (METADATA, 80))
CILIUM = FOLDER / "cilium-v1.20.2.yaml"
HOSTS = f"{NEAR} api.acme.test\n{FAR} evil.acme.test\n"
BASE = "localhost/wharfinger-server-base:dev"


@contextmanager
def address(text: str) -> Iterator[None]:
    """Have an address on this machine, also when a run that was killed has left it."""
    subprocess.run(["ip", "address", "replace", f"{text}/32", "dev", "lo"], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "address", "del", f"{text}/32", "dev", "lo"], check=True, capture_output=True)


@contextmanager
def listening(host: str, port: int) -> Iterator[None]:
    """Accept connections, and end each at once."""
    with socket.create_server((host, port)) as server:

        def accept() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def environment(**egress: Any) -> dict[str, Any]:
    spec = {"title": NAME, "egress": egress}
    return {"apiVersion": names.API_VERSION, "kind": "Environment", "metadata": {"name": NAME}, "spec": spec}


def data_pod(name: str) -> dict[str, Any]:
    """A pod that listens, beside the platform."""
    container = {"name": "listen", "image": BASE, "imagePullPolicy": "Never", "command": ["python", "-m", "http.server", "5432"]}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": DATA, "labels": {"app": name}},
        "spec": {"containers": [{**container, "workingDir": "/tmp", "readinessProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1}}]},  # noqa: S108 - in a container
    }  # fmt: skip


@pytest.fixture(scope="module")
def fenced(platform: PlatformCluster) -> Iterator[PlatformCluster]:
    """A server in an environment of its own, with targets outside of the cluster and inside."""
    if platform.node.how != "local":
        pytest.skip("the targets are addresses of the node: only on the local cluster")
    hosted = {"command": ["mcp-server-time"], "transport": "Stdio"}
    own = entry(NAME, **hosted)
    own["spec"]["environmentRef"] = {"name": NAME}
    service = {"selector": {"app": "wanted"}, "ports": [{"port": 80, "targetPort": 5432}]}
    with ExitStack() as held:
        for host in dict.fromkeys(host for host, _ in LISTENERS):
            held.enter_context(address(host))
        for host, port in LISTENERS:
            held.enter_context(listening(host, port))
        platform.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": DATA}},
            data_pod("wanted"), data_pod("other"),
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "wanted", "namespace": DATA}, "spec": service},
            environment(mode="DenyAll"), own, installation(NAME, NAME),
        )  # fmt: skip
        platform.ready("mcpinstallation", NAME)
        platform.run("wait", "-n", DATA, "--for=condition=Ready", "pod/wanted", "pod/other", "--timeout=60s")
        yield platform
        platform.remove(NAME)
        platform.until(lambda: not platform.get(f"environment.{names.GROUP}", NAME).get("status", {}).get("installations"))
        platform.run("delete", f"environment.{names.GROUP}", NAME)
        platform.run("delete", "namespace", DATA)


def reached(platform: PlatformCluster, *targets: tuple[str, int]) -> list[bool]:
    return [platform.reaches(SERVER, host, port) for host, port in targets]


def pod_address(platform: PlatformCluster, name: str) -> str:
    return str(platform.get("pod", name, "-n", DATA)["status"]["podIP"])


def comes_to(platform: PlatformCluster, expected: list[bool], *targets: tuple[str, int]) -> None:
    """Wait until new connections meet the rules that were just written."""
    platform.until(
        lambda: reached(platform, *targets) == expected,
        explain=lambda: (
            f"{reached(platform, *targets)}\n"
            + platform.run("get", "networkpolicy,ciliumnetworkpolicy", "-n", SERVERS, "-o", "yaml", check=False)
        ),
    )


@pytest.mark.requirement("ENV-3", "ENV-4")
def test_a_server_that_may_reach_nothing_reaches_nothing_not_even_the_cluster_s_dns(fenced: PlatformCluster) -> None:
    dns = fenced.get("service", "kube-dns", "-n", "kube-system")["spec"]["clusterIP"]
    inside = pod_address(fenced, "wanted")

    fenced.apply(environment(mode="DenyAll"))

    comes_to(fenced, [False] * 5, (NEAR, PORT), (FAR, PORT), (METADATA, 80), (inside, 5432), (dns, 53))


@pytest.mark.requirement("ENV-3")
def test_only_the_listed_block_and_port_is_open_and_an_edit_counts_for_new_connections(fenced: PlatformCluster) -> None:
    targets = ((NEAR, PORT), (NEAR, OTHER_PORT), (FAR, PORT), (METADATA, 80))

    fenced.apply(environment(mode="Restricted", cidrs=[{"cidr": f"{NEAR}/32", "ports": [{"port": PORT}]}]))
    comes_to(fenced, [True, False, False, False], *targets)

    fenced.apply(environment(mode="Restricted", cidrs=[{"cidr": "203.0.113.0/24", "except": [f"{NEAR}/32"]}]))
    comes_to(fenced, [False, False, True, False], *targets)


@pytest.mark.requirement("ENV-3")
def test_the_internet_is_open_without_metadata_services_and_the_cluster_s_own_addresses(fenced: PlatformCluster) -> None:
    api = fenced.get("service", "kubernetes", "-n", "default")["spec"]["clusterIP"]
    inside = pod_address(fenced, "wanted")

    fenced.apply(environment(mode="AllowAll"))

    comes_to(
        fenced,
        [True, True, True, False, False, False],
        (NEAR, PORT),
        (NEAR, OTHER_PORT),
        (FAR, PORT),
        (METADATA, 80),
        (api, 443),
        (inside, 5432),
    )


@pytest.mark.requirement("ENV-3")
def test_pods_of_the_cluster_are_reached_by_their_labels_and_no_others(fenced: PlatformCluster) -> None:
    wanted, other = pod_address(fenced, "wanted"), pod_address(fenced, "other")
    rule = {"namespace": DATA, "podSelector": {"app": "wanted"}, "ports": [{"port": 5432}]}

    fenced.apply(environment(mode="DenyAll", services=[rule]))

    comes_to(fenced, [True, True, False], (f"wanted.{DATA}.svc.cluster.local", 80), (wanted, 5432), (other, 5432))


@pytest.fixture
def named(fenced: PlatformCluster) -> Iterator[PlatformCluster]:
    """Cilium's kinds, and names outside of the cluster in its DNS."""
    fenced.run("apply", "--server-side", "-f", str(CILIUM))
    before = fenced.get("configmap", "coredns", "-n", "kube-system")["data"]["hosts"]
    fenced.run("patch", "configmap", "coredns", "-n", "kube-system", "-p", patch(HOSTS))
    yield fenced
    fenced.apply(environment(mode="DenyAll"))
    fenced.until(lambda: not fenced.get("ciliumnetworkpolicies", "-n", SERVERS).get("items"))
    fenced.run("patch", "configmap", "coredns", "-n", "kube-system", "-p", patch(before))
    fenced.run("delete", "-f", str(CILIUM))


def patch(hosts: str) -> str:
    return json.dumps({"data": {"hosts": hosts}})


@pytest.mark.requirement("ENV-5")
def test_a_name_is_open_by_its_name_and_its_neighbour_is_not(named: PlatformCluster) -> None:
    domains = [{"name": "api.acme.test", "ports": [{"port": PORT}]}]
    targets = (("api.acme.test", PORT), ("evil.acme.test", PORT), (FAR, PORT), ("api.acme.test", OTHER_PORT))

    named.apply(environment(mode="Restricted", provider="Cilium", domains=domains))
    # A kubelet takes up to two minutes to hand a changed ConfigMap to its pods.
    named.until(lambda: reached(named, *targets) == [True, False, False, False], 150, lambda: str(reached(named, *targets)))

    named.apply(environment(mode="Restricted", provider="NetworkPolicy", domains=domains))
    comes_to(named, [False, False, False, False], *targets)
