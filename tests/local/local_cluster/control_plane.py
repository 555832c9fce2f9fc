"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler: a Kubernetes API with its controllers, and no node."""

from pathlib import Path

from local_cluster import api, pki
from local_cluster.layout import (
    API_PORT,
    CLUSTER_DOMAIN,
    CONTROLLERS_PORT,
    ETCD_PEER_PORT,
    ETCD_PORT,
    PKI,
    POD_CIDR,
    RUN,
    SCHEDULER_PORT,
    SERVICE_CIDR,
    kubeconfig,
)
from local_cluster.process import Component, Running, start, wait_until
from local_cluster.progress import step

READY_SECONDS = 90.0


def _flags(part: str, **flags: str | Path | None) -> tuple[str, ...]:
    """`kube PART --flag=value …`; a flag whose value is None stands alone."""
    return (part, *(f"--{k.replace('_', '-')}" + ("" if v is None else f"={v}") for k, v in flags.items()))


def etcd(kube: Path) -> Component:
    """The store. It forgets what it was told last when the machine fails, which no test minds, and is fast for it."""
    client, peer = f"http://127.0.0.1:{ETCD_PORT}", f"http://127.0.0.1:{ETCD_PEER_PORT}"
    flags = _flags(
        "etcd",
        data_dir=RUN / "etcd",
        unsafe_no_fsync=None,
        listen_client_urls=client,
        advertise_client_urls=client,
        listen_peer_urls=peer,
        initial_advertise_peer_urls=peer,
        initial_cluster=f"default={peer}",
        log_level="warn",
    )
    return Component("etcd", (str(kube), *flags))


def apiserver(kube: Path, address: str) -> Component:
    """The API server, on every address of the machine; its default admission plugins include PodSecurity and ValidatingAdmissionPolicy."""
    flags = _flags(
        "apiserver",
        etcd_servers=f"http://127.0.0.1:{ETCD_PORT}",
        bind_address="0.0.0.0",  # noqa: S104 - pods reach it at the node's address, the launcher at 127.0.0.1
        advertise_address=address,
        secure_port=str(API_PORT),
        tls_cert_file=PKI / "apiserver.crt",
        tls_private_key_file=PKI / "apiserver.key",
        client_ca_file=PKI / "ca.crt",
        authorization_mode="Node,RBAC",
        enable_admission_plugins="NodeRestriction",
        allow_privileged=None,
        service_account_key_file=PKI / "sa.key",
        service_account_signing_key_file=PKI / "sa.key",
        service_account_issuer=f"https://kubernetes.default.svc.{CLUSTER_DOMAIN}",
        service_cluster_ip_range=SERVICE_CIDR,
        kubelet_client_certificate=PKI / "apiserver-kubelet.crt",
        kubelet_client_key=PKI / "apiserver-kubelet.key",
        kubelet_certificate_authority=PKI / "ca.crt",
        kubelet_preferred_address_types="InternalIP",
        requestheader_client_ca_file=PKI / "ca.crt",
        requestheader_allowed_names="front-proxy",
        requestheader_username_headers="X-Remote-User",
        requestheader_group_headers="X-Remote-Group",
        requestheader_extra_headers_prefix="X-Remote-Extra-",
        proxy_client_cert_file=PKI / "front-proxy.crt",
        proxy_client_key_file=PKI / "front-proxy.key",
        profiling="false",
    )
    return Component("apiserver", (str(kube), *flags))


def controller_manager(kube: Path) -> Component:
    """The controllers. At the default rate of requests five seconds pass before a new cluster's first service account."""
    config = kubeconfig("controller-manager")
    flags = _flags(
        "controller-manager",
        kubeconfig=config,
        authentication_kubeconfig=config,
        authorization_kubeconfig=config,
        bind_address="127.0.0.1",
        secure_port=str(CONTROLLERS_PORT),
        service_account_private_key_file=PKI / "sa.key",
        root_ca_file=PKI / "ca.crt",
        use_service_account_credentials=None,
        cluster_signing_cert_file=PKI / "ca.crt",
        cluster_signing_key_file=PKI / "ca.key",
        allocate_node_cidrs=None,
        cluster_cidr=POD_CIDR,
        node_cidr_mask_size="24",
        flex_volume_plugin_dir=RUN / "volume-plugins",
        service_cluster_ip_range=SERVICE_CIDR,
        leader_elect="false",
        kube_api_qps="300",
        kube_api_burst="600",
    )
    return Component("controller-manager", (str(kube), *flags))


def scheduler(kube: Path) -> Component:
    """The scheduler."""
    config = kubeconfig("scheduler")
    flags = _flags(
        "scheduler",
        kubeconfig=config,
        authentication_kubeconfig=config,
        authorization_kubeconfig=config,
        bind_address="127.0.0.1",
        secure_port=str(SCHEDULER_PORT),
        leader_elect="false",
    )
    return Component("scheduler", (str(kube), *flags))


def up(kube: Path, address: str) -> tuple[Running, ...]:
    """Start the control plane of a new cluster; returns when the default namespace has its service account."""
    with step("starting the control plane"):
        pki.write(address)
        store = (start(etcd(kube)), start(apiserver(kube, address)))
        wait_until(api.is_ready, "the API server is ready", READY_SECONDS, store)
        # Not before: the controllers give up where RBAC's own roles are not there yet.
        running = (*store, start(controller_manager(kube)), start(scheduler(kube)))
        wait_until(_has_default_account, "the default service account exists", READY_SECONDS, running)
    return running


def _has_default_account() -> bool:
    return api.get("/api/v1/namespaces/default/serviceaccounts/default").status == 200
