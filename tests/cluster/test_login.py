"""Ways to the API server: a pod's service account, a kubeconfig; tried on a real one."""

import base64
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from wharfinger_cluster import login as ways
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import TOKEN_LIFETIME, Login, api_server_tls
from wharfinger_cluster.errors import Forbidden, LoginError, Unreachable
from wharfinger_cluster.kubeconfig import from_kubeconfig
from wharfinger_cluster.login import TokenFile, in_cluster
from wharfinger_cluster.resource import NAMESPACE, SECRET, SERVICE_ACCOUNT, Object

KUBECTL_PLUGIN = """
import json, os, sys
print(json.dumps({"apiVersion": os.environ["V"], "kind": "ExecCredential", "status": {"token": sys.argv[1]}}))
"""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def token(admin: Login, cluster: Cluster, namespace: str) -> str:
    """A token of a service account that may do nothing."""
    await cluster.apply(SERVICE_ACCOUNT, {"metadata": {"name": "nobody", "namespace": namespace}})
    path = SERVICE_ACCOUNT.object("nobody", namespace, "token")
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    async with admin.session() as session, session.post(admin.server + path, json=request) as response:
        answer = await response.json()
    assert response.status == 201, answer
    value: str = answer["status"]["token"]
    return value


@pytest.fixture
def endpoint(control_plane: str) -> Object:
    """The cluster's entry in the kubeconfig, with the authority as data."""
    found: Object = yaml.safe_load(Path(control_plane).read_text())["clusters"][0]["cluster"]
    authority = found.pop("certificate-authority", None)
    if authority:
        found["certificate-authority-data"] = base64.b64encode(Path(authority).read_bytes()).decode()
    return found


def kubeconfig(folder: Path, endpoint: Object, user: Object, **context: str) -> str:
    document: dict[str, Any] = {
        "clusters": [{"name": "c", "cluster": endpoint}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", **context}}],
        "current-context": "x",
    }
    (folder / "config").write_text(yaml.safe_dump(document))
    return str(folder / "config")


async def who(login: Login) -> str:
    """Do what only an administrator may; the refusal names who asked."""
    async with Cluster(login) as client:
        with pytest.raises(Forbidden) as refused:
            await client.list(SECRET)
    return str(refused.value)


async def test_a_pod_logs_in_as_its_service_account(namespace: str, token: str, endpoint: Object, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token + "\n")
    (tmp_path / "namespace").write_text(namespace)
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(endpoint["certificate-authority-data"]))
    host, port = endpoint["server"].removeprefix("https://").split(":")

    pod = in_cluster({"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}, tmp_path)
    assert pod.namespace == namespace
    assert f"system:serviceaccount:{namespace}:nobody" in await who(pod)
    assert token not in repr(pod)


async def test_an_address_of_version_6_is_bracketed(endpoint: Object, tmp_path: Path) -> None:
    (tmp_path / "namespace").write_text("here")
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(endpoint["certificate-authority-data"]))
    pod = in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)
    assert pod.server == "https://[fd00::1]:443"


async def test_a_token_file_is_read_again_within_a_minute(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "token").write_text("one\n")
    token = TokenFile(tmp_path / "token", clock)
    assert await token() == "Bearer one"
    (tmp_path / "token").write_text("two\n")
    clock.now += TOKEN_LIFETIME - 1
    assert await token() == "Bearer one"
    clock.now += 1
    assert await token() == "Bearer two"


async def test_a_token_file_that_is_gone_for_a_moment_leaves_the_last_token(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "token"
    token = TokenFile(path, clock)
    with pytest.raises(LoginError, match="cannot read the token"):
        await token()
    path.write_text("one")
    assert await token() == "Bearer one"
    path.unlink()
    clock.now += TOKEN_LIFETIME
    assert await token() == "Bearer one"


@pytest.mark.parametrize("how", ["token", "tokenFile", "exec"])
async def test_a_kubeconfig_may_hold_a_token_a_file_or_a_plugin(
    namespace: str, token: str, endpoint: Object, tmp_path: Path, how: str
) -> None:
    (tmp_path / "token").write_text(token)
    version = "client.authentication.k8s.io/v1"
    plugin = {
        "apiVersion": version,
        "command": sys.executable,
        "args": ["-c", KUBECTL_PLUGIN, token],
        "env": [{"name": "V", "value": version}],
    }
    users: dict[str, Object] = {"token": {"token": token}, "tokenFile": {"tokenFile": str(tmp_path / "token")}, "exec": {"exec": plugin}}
    login = await from_kubeconfig(kubeconfig(tmp_path, endpoint, users[how], namespace="team-a"))
    assert login.namespace == "team-a"
    assert f"system:serviceaccount:{namespace}:nobody" in await who(login)
    assert token not in repr(login)


async def test_a_token_file_of_a_kubeconfig_is_read_again(
    token: str, endpoint: Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text("outdated")
    login = await from_kubeconfig(kubeconfig(tmp_path, endpoint, {"tokenFile": str(path)}))
    path.write_text(token)
    assert await login.authorization() == "Bearer outdated"
    monkeypatch.setattr("wharfinger_cluster.kubeconfig.TOKEN_LIFETIME", 0.0)
    assert await login.authorization() == f"Bearer {token}"


async def test_a_kubeconfig_is_found_by_argument_then_environment(control_plane: str, tmp_path: Path) -> None:
    by_argument = await ways.login({"KUBECONFIG": "/nowhere", "KUBERNETES_SERVICE_HOST": "192.0.2.1"}, kubeconfig=control_plane)
    by_environment = await ways.login({"KUBECONFIG": control_plane, "KUBERNETES_SERVICE_HOST": "192.0.2.1"})
    assert by_argument.server == by_environment.server
    async with Cluster(by_environment) as client:
        assert await client.get(NAMESPACE, "default")


async def test_an_authority_that_did_not_sign_is_unreachable(endpoint: Object, control_plane: str) -> None:
    """Without `tls`, the system's authorities count, and they did not sign for a test's API server."""
    async with Cluster(Login(server=endpoint["server"])) as client:
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get(NAMESPACE, "default")


async def test_the_certificate_may_name_somebody_else(endpoint: Object, token: str, tmp_path: Path) -> None:
    good = await from_kubeconfig(kubeconfig(tmp_path, {**endpoint, "tls-server-name": "localhost"}, {"token": token}))
    assert "nobody" in await who(good)
    bad = await from_kubeconfig(kubeconfig(tmp_path, {**endpoint, "tls-server-name": "other.test"}, {"token": token}))
    async with Cluster(bad) as client:
        with pytest.raises(Unreachable, match=r"other\.test"):
            await client.get(NAMESPACE, "default")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "kubeconfig"),
        ("{", "kubeconfig"),
        ("[]", "kubeconfig"),
        ("clusters: []\ncontexts: []\ncurrent-context: x", "Expected object with name x in"),
        ("clusters: 7\ncontexts: 7\nusers: 7\ncurrent-context: x", "kubeconfig"),
    ],
)
async def test_a_broken_kubeconfig_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "broken"
    path.write_text(content)
    with pytest.raises(LoginError, match=message) as refused:
        await from_kubeconfig(str(path))
    assert str(path) in str(refused.value)


async def test_a_missing_configuration_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(LoginError, match=r"kubeconfig .*missing"):
        await from_kubeconfig(str(tmp_path / "missing"))
    with pytest.raises(LoginError, match="set KUBECONFIG"):
        in_cluster({})
    with pytest.raises(LoginError, match="automountServiceAccountToken"):
        await ways.login({"KUBERNETES_SERVICE_HOST": "192.0.2.1", "KUBERNETES_SERVICE_PORT": "443"})


def test_certificates_of_authorities_without_key_identifiers_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python 3.13 creates contexts; earlier ones do not set the flag."""
    create = ssl.create_default_context

    def strict(**settings: Any) -> ssl.SSLContext:
        context = create(**settings)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    context = api_server_tls(None)
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_pod_does_not_import_what_only_kubeconfigs_need() -> None:
    modules = "client, informer, lease, events, workqueue, login"
    program = f"import sys; from wharfinger_cluster import {modules}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert not {"kubernetes", "yaml", "pydantic", "kopf", "requests"} & set(done.stdout.split())
