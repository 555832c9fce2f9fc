"""Clients that others wrote: the official SDK's three ways to log in, and the official conformance suite against the authorization server."""

import asyncio
import re
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider, PrivateKeyJWTOAuthProvider, SignedJWTParameters
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.shared.auth import OAuthClientMetadata

from authorization_scene import GRANTS, REDIRECT, Client, Scene, fields
from free_port import free_port
from node_tools import NODE, node_tools
from sdk_login import Person, Storage, echo

KEY = ECKey.generate_key("P-256", {"kid": "robot-1"})
ROBOT = {"id": "robot", "name": "Robot", "method": "private_key_jwt", "jwks": {"keys": [KEY.as_dict(private=False)]}}
ASSISTANT = {"id": "assistant", "name": "Assistant", "secretRef": {"name": "okta-client", "key": "secret"}}


@pytest.mark.requirement("AUT-1")
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_the_official_sdk_finds_its_way_from_the_gateways_url_alone_and_refreshes(scene: Scene, mode: str) -> None:
    metadata = OAuthClientMetadata(client_name="SDK", redirect_uris=[REDIRECT], grant_types=["authorization_code", "refresh_token"])
    storage = Storage()
    async with httpx.AsyncClient() as browser:
        person = Person(scene, browser)
        auth = OAuthClientProvider(scene.resource, metadata, storage, person.open, person.callback)
        assert '"x"' in await echo(scene, auth, mode)
        first = storage.tokens
        assert first is not None
        # It has expired, as far as the client knows: it is refreshed without anybody at a browser.
        auth.context.token_expiry_time = 1.0
        assert '"x"' in await echo(scene, auth, mode)
        assert person.visits == 1
        assert storage.tokens is not None
        assert storage.tokens.refresh_token != first.refresh_token


@pytest.fixture
async def registered(scene: Scene) -> Scene:
    """With a confidential client in the settings, which is in the team, and a gateway that takes the provider's assertions."""
    teams = [
        {
            "name": "engineering",
            "members": ["clients:assistant", "clients:robot"],
            "groups": [{"identityProvider": "okta", "group": "engineering"}],
        },
        {"name": "sales"},
    ]
    await scene.platform.apply(scene.settings(teams=teams, oauth={"clients": [ASSISTANT, ROBOT]}))
    await scene.gateway("tools", oauth={"enabled": True}, identityProviders=[{"name": "okta", "idJag": True}])
    async with httpx.AsyncClient() as http, asyncio.timeout(10):
        while "id-jag" not in (await http.get(f"{scene.url}/.well-known/oauth-authorization-server")).text:  # noqa: ASYNC110 - the gateway hears of it by itself
            await asyncio.sleep(0.05)
    return scene


@pytest.mark.requirement("AUT-1")
async def test_the_official_sdk_calls_with_client_credentials(registered: Scene) -> None:
    auth = ClientCredentialsOAuthProvider(
        registered.resource, Storage(), "assistant", registered.provider.client_secret, issuer=registered.url
    )
    assert '"x"' in await echo(registered, auth, "2026-07-28")
    (grant,) = await registered.grants()
    assert (grant["spec"]["user"], grant["spec"]["source"]) == ("clients:assistant", "ClientCredentials")


@pytest.mark.requirement("AUT-1")
async def test_the_official_sdk_calls_with_assertions_that_it_signs(registered: Scene) -> None:
    pem = KEY.as_pem(private=True).decode()
    signs = SignedJWTParameters(issuer="robot", subject="robot", signing_key=pem, signing_algorithm="ES256")
    auth = PrivateKeyJWTOAuthProvider(registered.resource, Storage(), "robot", signs.create_assertion_provider(), issuer=registered.url)
    assert '"x"' in await echo(registered, auth, "2026-07-28")
    (grant,) = await registered.grants()
    assert (grant["spec"]["user"], grant["spec"]["source"]) == ("clients:robot", "ClientCredentials")


@pytest.mark.requirement("AUT-6")
async def test_a_program_that_asks_before_each_call_makes_no_object_each_time_and_can_be_revoked(registered: Scene) -> None:
    secret = (quote("assistant"), quote(registered.provider.client_secret, safe=""))
    form = {"grant_type": "client_credentials", "resource": registered.resource}
    async with httpx.AsyncClient(auth=secret) as http:
        answers = await asyncio.gather(*(http.post(f"{registered.url}/oauth/token", data=form) for _ in range(8)))
        assert [answer.status_code for answer in answers] == [200] * 8
        assert len({answer.json()["access_token"] for answer in answers}) == 8
        (grant,) = await registered.grants()
        revoked = {"spec": {"revoked": True}}
        await registered.platform.cluster.patch(GRANTS, grant["metadata"]["name"], revoked, registered.platform.system)
        assert (await http.post(f"{registered.url}/oauth/token", data=form)).json()["error"] == "invalid_grant"


@pytest.mark.requirement("AUT-3")
async def test_the_official_sdk_calls_with_an_identity_assertion(registered: Scene) -> None:
    async def assertion(audience: str, resource: str) -> str:
        return await registered.provider.id_jag(audience=audience, resource=resource, client_id="assistant")

    secret = registered.provider.client_secret
    auth = IdentityAssertionOAuthProvider(
        registered.resource, Storage(), "assistant", secret, registered.url, assertion, token_endpoint_auth_method="client_secret_basic"
    )
    assert '"x"' in await echo(registered, auth, "2026-07-28")


@pytest.mark.requirement("AUT-1")
@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_the_official_suite_finds_nothing_wrong_with_the_authorization_server(scene: Scene, tmp_path: Path, revision: str) -> None:
    port = free_port()
    async with httpx.AsyncClient() as browser:
        body = {"client_name": "Suite", "redirect_uris": [f"http://127.0.0.1:{port}/callback"]}
        registered = (await browser.post(f"{scene.url}/oauth/register", json=body)).json()
        command = [
            str(NODE / "bin/node"), str(node_tools().folder / "node_modules/.bin/conformance"), "authorization", "--url", scene.url,
            "--client-id", registered["client_id"], "--resource", scene.resource, "--port", str(port), "--spec-version", revision,
        ]  # fmt: skip
        pipe = asyncio.subprocess.PIPE
        suite = await asyncio.create_subprocess_exec(
            *command,
            stdout=pipe,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "NO_COLOR": "1", "PATH": "/usr/bin:/bin"},
        )
        said = ""
        async with asyncio.timeout(90):
            assert suite.stdout is not None
            async for line in suite.stdout:
                said += line.decode()
                found = re.search(rf"{re.escape(scene.url)}/oauth/authorize\?\S+", line.decode())
                if found:
                    await _visit(scene, browser, found[0])
            code = await suite.wait()
    assert code == 0, said
    assert "0 failed" in said, said


async def _visit(scene: Scene, browser: httpx.AsyncClient, url: str) -> None:
    """Log in, allow, and follow the way back to the suite."""
    person = Client(scene, "", browser)
    page = await person.consent_page(url)
    done = await browser.post(f"{scene.url}/oauth/consent", data={**fields(page.text), "answer": "allow"})
    back = done.headers["Location"]
    assert "code" in parse_qs(urlsplit(back).query)
    await browser.get(back)
