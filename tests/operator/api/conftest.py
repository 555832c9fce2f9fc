"""An operator against a real API server; no node is needed, so Deployments stay without pods."""

import secrets
import ssl
from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509

from certificate import self_signed
from faulty_platform import SECONDS, behind_proxy, complete
from faulty_proxy import FaultyProxy
from operator_platform import Platform, until
from operator_process import OperatorProcess, platform_namespaces
from own_address import ADDRESS
from recording_server import Http, serving
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login


@pytest.fixture
async def platform(alone: None, crds: None, control_plane: str, cluster: Cluster, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_namespaces(cluster) as spaces:
        made = Platform(cluster, spaces, control_plane, tmp_path / "operator.log", secrets.token_hex(4))
        yield made
        await made.close()


@pytest.fixture
async def operator(platform: Platform) -> AsyncIterator[OperatorProcess]:
    async with platform.leading() as running:
        yield running


@pytest.fixture
async def proxy(admin: Login) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(admin) as running:
        yield running


@pytest.fixture
def behind(platform: Platform, proxy: FaultyProxy, tmp_path: Path) -> Platform:
    return behind_proxy(platform, proxy, tmp_path / "proxy.kubeconfig")


@pytest.fixture
async def running(behind: Platform) -> AsyncIterator[OperatorProcess]:
    """An operator at work behind the proxy."""
    operator = await behind.operator()
    try:
        await behind.install("before")
        await until(lambda: complete(behind, "before"), SECONDS)
        yield operator
    finally:
        await operator.stop()


@pytest.fixture
async def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Http]:
    """Servers that an operator trusts which is started afterwards: an entry may name them, since they are https."""
    certificate, key = self_signed(x509.IPAddress(IPv4Address(ADDRESS)))
    file = tmp_path / "server.pem"
    file.write_bytes(certificate.encode() + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with serving(context, ADDRESS) as start:
        yield start
