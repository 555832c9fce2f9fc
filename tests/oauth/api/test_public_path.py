"""A platform that shares its host: everything is below a path, and well-known URLs are where the standards put them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from mcp import Client as McpClient
from mcp.client.auth import OAuthClientProvider
from mcp.client.sse import sse_client
from mcp.shared.auth import OAuthClientMetadata

import authorization_scene
from authorization_scene import REDIRECT, Scene
from faulty_proxy import FaultyProxy
from gateway_upstream import UpstreamServer
from sdk_login import Person, Storage, echo
from wharfinger_cluster.client import Cluster

PATH = "/tools/mcp"


@pytest.fixture
async def shared(crds: None, cluster: Cluster, proxy: FaultyProxy, server: UpstreamServer, tmp_path: Path) -> AsyncIterator[Scene]:
    async with authorization_scene.scene(cluster, PATH) as made:
        await made.prepare(server.url)
        kubeconfig = Path(made.platform.kubeconfig(tmp_path / "kubeconfig", proxy.url))
        async with authorization_scene.running(made, kubeconfig):
            yield made


@pytest.mark.requirement("AUT-1")
async def test_everything_of_a_login_stays_below_the_path(shared: Scene) -> None:
    origin = shared.url.removesuffix(PATH)
    async with authorization_scene.client(shared) as client:
        refused = await shared.call("none.of.ours")
        well_known = f"{origin}/.well-known/oauth-protected-resource{PATH}/v1/mcp/{shared.platform.gateway_id}"
        assert f'resource_metadata="{well_known}"' in refused.headers["WWW-Authenticate"]
        resource = (await client.http.get(well_known)).json()
        assert (resource["resource"], resource["authorization_servers"]) == (shared.resource, [shared.url])
        for found in (f"{origin}/.well-known/oauth-authorization-server{PATH}", f"{shared.url}/.well-known/openid-configuration"):
            server = (await client.http.get(found)).json()
            assert server["issuer"] == shared.url
            endpoints = [value for name, value in server.items() if name.endswith(("_endpoint", "_uri"))]
            assert len(endpoints) >= 5
            assert all(one.startswith(f"{shared.url}/oauth/") for one in endpoints)

        page = await client.consent_page()
        assert page.status_code == 200
        cookies = [one for answer in (page, await client.http.get(client.request())) for one in answer.headers.get_list("Set-Cookie")]
        assert cookies
        assert all(f"; Path={PATH};" in one for one in cookies)
        assert f'href="{PATH}/oauth/style-' in page.text
        assert f'action="{shared.url}/oauth/consent"' in page.text
        tokens = await client.tokens()
        assert (await shared.call(tokens["access_token"])).status_code == 200
        assert "Test Client" in (await client.http.get(f"{shared.url}/oauth/connected")).text


@pytest.mark.requirement("AUT-1")
async def test_the_official_sdk_finds_its_way_below_the_path_and_an_old_client_its_endpoint(shared: Scene) -> None:
    metadata = OAuthClientMetadata(client_name="SDK", redirect_uris=[REDIRECT], grant_types=["authorization_code", "refresh_token"])
    storage = Storage()
    async with httpx.AsyncClient() as browser:
        person = Person(shared, browser)
        auth = OAuthClientProvider(shared.resource, metadata, storage, person.open, person.callback)
        assert '"x"' in await echo(shared, auth, "2026-07-28")
    assert storage.tokens is not None
    headers = {"Authorization": f"Bearer {storage.tokens.access_token}"}
    async with asyncio.timeout(20), McpClient(sse_client(f"{shared.resource}/sse", headers=headers), mode="legacy") as client:
        assert '"x"' in str((await client.call_tool("bot__echo", {"text": "x"})).content)
