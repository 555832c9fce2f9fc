"""The gateway under the chart's own roles: what it is granted is what it does, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import authorization_scene
from authorization_scene import GRANTS, Scene
from chart import applied, renamed, render
from faulty_proxy import FaultyProxy
from gateway_upstream import upstream_server
from impersonation import login_as
from rights import Right, asked, granted
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.resource import SERVICE_ACCOUNT, Object
from wharfinger_oauth.grants import GRANTS_OF_A_USER

OLD = 3.1
"""Seconds: more than half of the lifetime of access tokens, after which the identity provider is asked again."""
AHEAD = frozenset({"patch mcpgrants.wharfinger.dev/status in system", "patch mcptokens.wharfinger.dev/status in system"})
"""Granted, and not used within this test: when credentials were last used, in tests/gateway/test_last_used.py."""


@pytest.fixture
async def scene(crds: None, cluster: Cluster) -> AsyncIterator[Scene]:
    async with authorization_scene.scene(cluster) as made:
        yield made


@pytest.fixture
async def roles(helm: Path, scene: Scene, cluster: Cluster) -> AsyncIterator[list[Object]]:
    """The roles of the gateway and their bindings, in force."""
    mark = f"test-{scene.platform.mark}"
    manifests = renamed(render(helm, {}, scene.platform.system), mark)
    found = [m for m in manifests if m["metadata"]["name"].startswith(f"{mark}-gateway") and "Role" in m["kind"]]
    async with applied(cluster, found):
        yield found


async def work_through(scene: Scene, admin: Login, proxy: FaultyProxy, kubeconfig: Path) -> None:
    """Let a gateway do everything that it can do."""
    async with authorization_scene.running(scene, kubeconfig), authorization_scene.client(scene) as client:
        for _ in range(GRANTS_OF_A_USER + 1):
            tokens = await client.tokens()
        assert (await scene.call(tokens["access_token"])).status_code == 200
        await asyncio.sleep(OLD)
        tokens = (await client.refresh(tokens["refresh_token"])).json()
        code = (await client.code())["code"]
        await client.redeem(code)
        assert (await client.redeem(code)).json()["error"] == "invalid_grant"
        account = {"metadata": {"name": "agent", "namespace": scene.platform.tenant}}
        await scene.platform.cluster.create(SERVICE_ACCOUNT, account)
        path = f"{admin.server}/api/v1/namespaces/{scene.platform.tenant}/serviceaccounts/agent/token"
        async with admin.session() as session:
            body = {"kind": "TokenRequest", "spec": {"audiences": [scene.resource]}}
            async with session.post(path, json=body) as answer:
                token = (await answer.json())["status"]["token"]
        assert (await scene.call(token)).status_code == 200
        await _unknown_grant(scene, tokens["access_token"], proxy)
        scene.provider.forget("alice")
        await asyncio.sleep(OLD)
        assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def _unknown_grant(scene: Scene, token: str, proxy: FaultyProxy) -> None:
    """Call while nothing is heard of grants, so that one is asked for."""
    async with authorization_scene.client(scene) as client:
        code = (await client.code())["code"]
        proxy.freeze()
        made = await client.redeem(code)
        assert (await scene.call(made.json()["access_token"])).status_code == 200
        proxy.thaw()


@pytest.mark.requirement("OPS-2")
async def test_the_chart_grants_the_gateway_what_it_uses_and_nothing_else(
    scene: Scene, roles: list[Object], admin: Login, tmp_path: Path
) -> None:
    teams = [
        {
            "name": "engineering",
            "groups": [{"identityProvider": "okta", "group": "engineering"}],
            "serviceAccounts": [{"namespace": scene.platform.tenant, "name": "agent"}],
        }
    ]
    provider = scene.provider_settings(scopes=["openid", "email", "groups", "offline_access"])
    async with upstream_server("legacy") as server:
        await scene.prepare(server.url, teams=teams, identityProviders=[provider], oauth={"accessLifetime": "6s"})
        await scene.gateway("tools", oauth={"enabled": True}, serviceAccounts={"enabled": True})
        user = f"system:serviceaccount:{scene.platform.system}:wharfinger-gateway"
        async with FaultyProxy(login_as(admin, user)) as proxy:
            kubeconfig = Path(scene.platform.kubeconfig(tmp_path / "kubeconfig", proxy.url))
            await work_through(scene, admin, proxy, kubeconfig)
            requests = list(proxy.answered)

    def in_words(right: Right) -> str:
        return f"{right.verb} {right.resource} in {'system' if right.where == scene.platform.system else right.where or 'the cluster'}"

    refused = {in_words(right) for one in requests if one[2] == 403 for right in asked(*one)}
    used = {right for one in requests for right in asked(*one)}
    used |= {right._replace(where="") for right in used}
    vain = {in_words(right) for right in granted(roles) - used} - AHEAD
    assert not refused, "\n".join(["the chart does not grant, and the gateway wants to:", *sorted(refused)])
    assert not vain, "\n".join(["the chart grants, and the gateway never does:", *sorted(vain)])
    assert GRANTS.plural in str(used)
