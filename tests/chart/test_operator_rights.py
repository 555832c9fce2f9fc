"""The operator with exactly the chart's rights: it needs all of them, and no more."""

import json
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509

from certificate import self_signed
from chart import applied, renamed, render
from faulty_proxy import FaultyProxy
from impersonation import login_as
from operator_platform import Platform, until
from operator_process import Namespaces, OperatorProcess, platform_namespaces
from own_address import ADDRESS, EGRESS
from provider_crds import CILIUM, KIND_OF, served
from rights import Right, asked, granted
from unseen_children import found_unseen
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import (
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    NETWORK_POLICY,
    SECRET,
    SERVICE,
    Object,
    Resource,
    Scope,
)  # fmt: skip
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, GRANT, INSTALLATION, REGISTRY_ENTRY, TOKEN

HASH = "sha256:" + "0" * 64
AHEAD = frozenset({
    # What a log takes needs a pod that runs: tests/platform/test_logs.py.
    "get pods/log in servers", "create tokenreviews.authentication.k8s.io in the cluster",
    "create subjectaccessreviews.authorization.k8s.io in the cluster",
})  # fmt: skip
"""Granted, and not used here."""


async def answer(request: web.Request) -> web.Response:
    """Be an MCP server with one tool."""
    message = json.loads(await request.read() or b"{}")
    results: dict[str, Any] = {
        "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "x", "version": "1"}},
        "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
    }
    if "id" not in message:
        return web.Response(status=202)
    if message["method"] not in results:
        error = {"code": -32601, "message": "no such method"}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error}, status=400)
    return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": results[message["method"]]})


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The URL of an MCP server whose certificate the operator trusts."""
    certificate, key = self_signed(x509.IPAddress(IPv4Address(ADDRESS)))
    file = tmp_path / "server.pem"
    file.write_bytes(certificate.encode() + key)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    application = web.Application()
    application.router.add_route("*", "/mcp", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, ADDRESS, 0, ssl_context=context).start()
    yield f"https://{ADDRESS}:{runner.addresses[0][1]}/mcp"
    await runner.cleanup()


@asynccontextmanager
async def proxy_for(admin: Login, system: str) -> AsyncIterator[tuple[FaultyProxy, Path]]:
    """A way to the API server on which every request is the operator's service account's, and a kubeconfig that leads there."""
    user = f"system:serviceaccount:{system}:wharfinger-operator"
    login = login_as(admin, user)
    with TemporaryDirectory() as folder:
        async with FaultyProxy(login) as proxy:
            config = {
                "apiVersion": "v1", "kind": "Config", "current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
                "clusters": [{"name": "x", "cluster": {"server": proxy.url}}], "users": [{"name": "x", "user": {}}],
            }  # fmt: skip
            path = Path(folder) / "kubeconfig"
            path.write_text(json.dumps(config))
            yield proxy, path


async def work_through(platform: Platform, proxy: FaultyProxy, server: str) -> None:
    """Let the operator do everything that it can do."""
    cluster, spaces = platform.cluster, platform.spaces
    running = await platform.operator()
    try:
        await until(running.leads)
        await until(lambda: is_gone(cluster, CONFIG_MAP, f"tools-{platform.mark}", spaces.system))  # swept
        await platform.install()
        secret = {"name": "token", "namespace": spaces.tenant, "labels": {names.USABLE: "true"}}
        await cluster.create(SECRET, {"metadata": secret, "stringData": {"token": "planted-one"}})
        await platform.apply(ENVIRONMENT, f"remote-{platform.mark}", {"title": "X", "egress": EGRESS})
        remote = {
            "title": "X", "type": "Remote", "remote": {"url": server}, "environmentRef": {"name": f"remote-{platform.mark}"},
            "fields": [{"name": "token", "type": "String", "secret": True}], "auth": {"type": "Static", "static": {"value": "${fields.token}"}},
        }  # fmt: skip
        entry = f"remote-{platform.mark}"
        await platform.apply(REGISTRY_ENTRY, entry, remote)
        source = {"field": "token", "secretKeyRef": {"name": "token", "key": "token"}}
        await platform.apply(
            INSTALLATION, "remote", {"entryRef": {"name": entry}, "owner": {"team": "engineering"}, "valuesFrom": [source]}
        )
        tools = [{"installationRef": {"name": "remote"}, "prefix": "x", "include": ["echo"]}]
        doors = {"bearerTokens": {"enabled": True}}
        visibility = {"scope": "Team", "teams": ["engineering"]}
        await platform.apply(GATEWAY, "tools", {"title": "X", "visibility": visibility, "tools": tools, "authentication": doors})
        token = {"subject": {"team": "engineering"}, "tokenHash": HASH, "gateways": [f"{spaces.tenant}.tools"]}
        await cluster.create(kind_resource(TOKEN), {"metadata": {"name": "bot", "namespace": spaces.system}, "spec": token})
        await until(lambda: is_ready(platform, "remote"))
        await until(lambda: has_children(platform, 6))
        await tamper(platform)
        await through_all_providers(platform, proxy, running)
        await probed(platform)
        await cluster.patch(SECRET, "token", {"stringData": {"token": "planted-two"}}, spaces.tenant)
        for name in ("time", "remote"):
            await cluster.delete(kind_resource(INSTALLATION), name, spaces.tenant)
        await until(lambda: has_children(platform, 0))
    finally:
        await running.stop()


async def probed(platform: Platform) -> None:
    """Let a probe begin, and take it away again."""

    async def jobs() -> tuple[Object, ...]:
        return await platform.cluster.list(JOB, Scope(platform.spaces.servers))

    async def no_jobs() -> bool:
        return not await jobs()

    await platform.environment(probe="On")
    await until(jobs)
    await platform.environment()
    await until(no_jobs, 40)


async def tamper(platform: Platform) -> None:
    """Add something to every child, and wait until it is gone again."""
    server, connection = names.server_name(platform.spaces.tenant, "time"), names.connection_name(platform.spaces.tenant, "time")
    bridge = next(o["metadata"]["name"] for o in await platform.children() if o["kind"] == "Secret" and o["metadata"]["name"] != connection)
    children: list[tuple[Resource, str, str, Object]] = [
        (DEPLOYMENT, server, platform.spaces.servers, {"spec": {"template": {"spec": {"hostNetwork": True}}}}),
        (SERVICE, server, platform.spaces.servers, {"spec": {"publishNotReadyAddresses": True}}),
        (NETWORK_POLICY, server, platform.spaces.servers, {"spec": {"egress": [{}]}}),
        (SECRET, bridge, platform.spaces.servers, {"data": {"more": "eA=="}}),
        (SECRET, connection, platform.spaces.system, {"data": {"more": "eA=="}}),
    ]
    for resource, name, namespace, addition in children:
        changed = await platform.cluster.patch(resource, name, addition, namespace)
        version = changed["metadata"]["resourceVersion"]
        await until(lambda r=resource, n=name, ns=namespace, v=version: is_another(platform.cluster, r, n, ns, v))  # type: ignore[misc]
    stored = Scope(platform.spaces.system, labels=f"{names.PART}=tools")
    (definitions,) = await platform.cluster.list(CONFIG_MAP, stored)
    hidden = {"metadata": {"labels": {names.PART: None}}}
    await platform.cluster.patch(CONFIG_MAP, definitions["metadata"]["name"], hidden, platform.spaces.system)
    await until(lambda: platform.cluster.list(CONFIG_MAP, stored))


async def through_all_providers(platform: Platform, proxy: FaultyProxy, running: OperatorProcess) -> None:
    """Let each provider enforce, add something to its policy and wait until it is gone, let what is there be unseen, and let the next one
    take over."""
    name = names.egress_policy_name(platform.spaces.tenant, "time")
    for provider, resource in KIND_OF.items():
        selector = "endpointSelector" if provider == "Cilium" else "podSelector"
        await platform.environment(mode="Restricted", domains=[{"name": "api.example"}], provider=provider)
        await until(lambda r=resource: is_there(platform, r, name))  # type: ignore[misc]
        addition = {"spec": {selector: {"matchLabels": {"more": "x"}}}}
        version = (await platform.cluster.patch(resource, name, addition, platform.spaces.servers))["metadata"]["resourceVersion"]
        await until(lambda r=resource, v=version: is_another(platform.cluster, r, name, platform.spaces.servers, v))  # type: ignore[misc]
        await found_unseen(platform, proxy, running, resource)
    await platform.environment()
    for resource in KIND_OF.values():
        await until(lambda r=resource: is_gone(platform.cluster, r, name, platform.spaces.servers))  # type: ignore[misc]


async def is_there(platform: Platform, resource: Resource, name: str) -> bool:
    return not await is_gone(platform.cluster, resource, name, platform.spaces.servers)


async def is_another(cluster: Cluster, resource: Resource, name: str, namespace: str, version: str) -> bool:
    found = await cluster.get(resource, name, namespace)
    parts = json.dumps({key: found.get(key) for key in ("spec", "data")})
    return found["metadata"]["resourceVersion"] != version and not any(
        word in parts for word in ("hostNetwork", "publishNotReadyAddresses", '"egress": [{}]', '"more"')
    )


async def is_gone(cluster: Cluster, resource: Resource, name: str, namespace: str) -> bool:
    return name not in {found["metadata"]["name"] for found in await cluster.list(resource, Scope(namespace))}


async def is_ready(platform: Platform, name: str) -> bool:
    return (await platform.ready(INSTALLATION, name)).get("status") == "True"


async def has_children(platform: Platform, at_least: int) -> bool:
    count = len([o for o in await platform.children() if o["kind"] != "ConfigMap"])
    return count >= at_least if at_least else count == 0


@pytest.fixture
async def spaces(crds: None, alone: None, cluster: Cluster) -> AsyncIterator[Namespaces]:
    async with platform_namespaces(cluster) as made:
        yield made


@pytest.fixture
async def operators(helm: Path, spaces: Namespaces, cluster: Cluster) -> AsyncIterator[list[Object]]:
    """The roles of the operator and their bindings, in force for the namespaces of this test."""
    values = {
        "namespaces": {
            "catalog": {"name": spaces.catalog, "create": False},
            "servers": [{"name": spaces.servers, "create": False}],
            "tenants": [{"name": spaces.tenant, "create": False}],
        }
    }
    mark = f"test-{secrets.token_hex(4)}"
    manifests = renamed(render(helm, values, spaces.system), mark)
    roles = [m for m in manifests if m["metadata"]["name"].startswith(f"{mark}-operator") and "Role" in m["kind"]]
    async with applied(cluster, roles):
        yield roles


def ended_grant(namespace: str) -> Object:
    """Return an McpGrant whose time is long over."""
    then = "2020-01-01T00:00:00Z"
    subject = {"identityProvider": "okta", "issuer": "https://okta.example", "subject": "alice", "authenticatedAt": then}
    client = {"name": "Editor", "digest": "0" * 32}
    spec = {"user": "okta:alice", "client": client, "gateway": "a.b", "subject": subject, "expiresAt": then, "seal": "0"}
    return {"metadata": {"name": "ended", "namespace": namespace}, "spec": spec}


@pytest.fixture
async def requests(operators: list[Object], spaces: Namespaces, admin: Login, cluster: Cluster, server: str) -> list[tuple[str, str, int]]:
    """Every request of an operator with these roles that worked through all that there is: method, path and status."""
    mark = secrets.token_hex(4)
    stale = {"name": f"tools-{mark}", "namespace": spaces.system, "labels": {names.MANAGED_BY: names.MANAGER, names.PART: "tools"}}
    await cluster.create(CONFIG_MAP, {"metadata": stale, "data": {names.TOOLS_KEY: "[]"}})
    await cluster.create(kind_resource(GRANT), ended_grant(spaces.system))
    async with proxy_for(admin, spaces.system) as (proxy, kubeconfig):
        platform = Platform(cluster, spaces, str(kubeconfig), kubeconfig.with_name("operator.log"), mark)
        try:
            async with served(cluster, CILIUM[-1]), served(cluster, "aws"), served(cluster, "gke"):
                await work_through(platform, proxy, server)
        except TimeoutError:
            refused = [one for one in proxy.answered if one[2] == 403]
            pytest.fail(f"the operator did not come through; refused: {refused}\n{platform.log.read_text()[-4000:]}")
        finally:
            await platform.close()
        return proxy.answered


@pytest.mark.requirement("OPS-2")
async def test_the_chart_grants_the_operator_what_it_uses_and_nothing_else(
    operators: list[Object], spaces: Namespaces, requests: list[tuple[str, str, int]]
) -> None:
    sorts = {getattr(spaces, sort): sort for sort in ("system", "catalog", "servers", "tenant")}

    def in_words(right: Right) -> str:
        return f"{right.verb} {right.resource} in {sorts.get(right.where, right.where) or 'the cluster'}"

    # Namespaces of other tests that are just ending refuse everybody's events.
    refused = {in_words(right) for one in requests if one[2] == 403 for right in asked(*one) if right.where in {"", *sorts}}
    used = {right for one in requests for right in asked(*one)}
    used |= {right._replace(where="") for right in used}
    vain = {in_words(right) for right in granted(operators) - used} - AHEAD
    assert not refused, "\n".join(["the chart does not grant, and the operator wants to:", *sorted(refused)])
    assert not vain, "\n".join(["the chart grants, and the operator never does:", *sorted(vain)])
