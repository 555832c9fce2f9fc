"""Gateways over a real API server at which people log in: the objects, the replicas, and a browser without a window."""

import base64
import html
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx
import yaml

import gateway_world as world
from free_port import free_port
from gateway_platform import GatewayPlatform
from gateway_process import GatewayProcess, gateway_process
from gateway_world import Manifest
from identity_provider_process import IdentityProviderProcess, identity_provider
from path_proxy import path_proxy
from tcp_balancer import tcp_balancer
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import Object, Scope
from wharfinger_crds import names
from wharfinger_crds.kinds import GRANT
from wharfinger_operator.signing_keys import keep_signing_keys

REDIRECT = "http://127.0.0.1:7777/callback"
"""Of the tests' client; nobody listens there."""
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
GRANTS = kind_resource(GRANT)


@dataclass
class Scene:
    """A platform with its replicas behind one public URL."""

    platform: GatewayPlatform
    provider: IdentityProviderProcess
    port: int
    path: str = ""
    """Of the public URL; what is in front of the replicas takes it off."""
    replicas: list[GatewayProcess] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The public URL."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    @property
    def resource(self) -> str:
        """The URL of the gateway."""
        return f"{self.url}/v1/mcp/{self.platform.gateway_id}"

    @property
    def callback(self) -> str:
        """The platform's redirect URI at identity providers."""
        return f"{self.url}/oauth/idp/callback"

    def settings(self, **changes: Any) -> Manifest:
        """Return platform settings."""
        document = {
            "publicUrl": self.url,
            "namespaces": {"system": "s", "catalog": "c", "servers": ["v"], "tenants": [self.platform.tenant]},
            "images": {"base": "b", "bridge": "b"},
            "teams": [{"name": "engineering", "groups": [{"identityProvider": "okta", "group": "engineering"}]}, {"name": "sales"}],
            "identityProviders": [self.provider_settings()],
            **changes,
        }
        metadata = {"name": names.SETTINGS_CONFIGMAP, "namespace": world.SYSTEM, "labels": {names.PART: "settings"}}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {names.SETTINGS_KEY: yaml.safe_dump(document)}}

    def provider_settings(self, **changes: Any) -> dict[str, Any]:
        """Return what the settings say of the identity provider."""
        told = {
            "clientSecretRef": {"name": "okta-client", "key": "secret"},
            "groupsClaim": "groups",
            "scopes": ["openid", "email", "groups"],
        }
        return self.provider.settings(**{**told, **changes})

    async def prepare(self, server: str, **changes: Any) -> None:
        """Make the objects: a gateway `tools` for team engineering with `bot__echo` of a server."""
        # As `echo` and many editors write it.
        secret = world.secret("okta-client", "secret", f"{self.provider.client_secret}\n".encode(), part=names.CLIENT_SECRET_PART)
        await self.platform.apply(self.settings(**changes), world.root_key(), secret)
        await keep_signing_keys(self.platform.cluster, self.platform.system, time.time(), 3600.0)
        await self.platform.install(server)
        await self.gateway("tools")

    async def gateway(self, name: str, **authentication: Any) -> None:
        """Make a gateway that the team may see."""
        doors = authentication or {"oauth": {"enabled": True}, "bearerTokens": {"enabled": True}}
        made = world.gateway(name, world.pinned("bot"), teams=["engineering"], namespace=self.platform.tenant, authentication=doors)
        await self.platform.apply(made)

    async def grants(self) -> tuple[Object, ...]:
        """Return the McpGrants."""
        return await self.platform.cluster.list(GRANTS, Scope(self.platform.system))

    async def call(self, token: str, *, replica: int | None = None, gateway: str = "", tool: str = "bot__echo") -> httpx.Response:
        """Call a tool with a token."""
        params = {"name": tool, "arguments": {}, "_meta": META}
        headers = {"Authorization": f"Bearer {token}", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool}
        base = self.url if replica is None else self.replicas[replica].url
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        async with httpx.AsyncClient() as http:
            return await http.post(f"{base}/v1/mcp/{gateway or self.platform.gateway_id}", json=message, headers=headers)


@asynccontextmanager
async def scene(cluster: Cluster, path: str = "") -> AsyncIterator[Scene]:
    """Give a scene with an identity provider and without any object."""
    platform, port = GatewayPlatform(cluster, secrets.token_hex(4)), free_port()
    with identity_provider([f"http://127.0.0.1:{port}{path}/oauth/idp/callback"]) as provider:
        await platform.namespaces()
        try:
            yield Scene(platform, provider, port, path)
        finally:
            await platform.close()


@asynccontextmanager
async def running(
    made: Scene,
    kubeconfig: Path,
    count: int = 1,
    program: Sequence[str] = ("-m", "wharfinger_gateway"),
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Scene]:
    """Run replicas of the gateway until the end; `program` is what Python runs."""
    async with AsyncExitStack() as stack:
        if made.path:
            await stack.enter_async_context(path_proxy(made.port, made.path, lambda: made.replicas[0].url))
        else:
            await stack.enter_async_context(tcp_balancer(made.port, lambda: [one.url.removeprefix("http://") for one in made.replicas]))
        for _ in range(count):
            variables = {"WHARFINGER_NAMESPACE": made.platform.system, **(environment or {})}
            arguments = [*program, "--kubeconfig", str(kubeconfig)]
            made.replicas.append(await stack.enter_async_context(gateway_process(arguments, variables)))
        for one in made.replicas:
            await one.ready()
        try:
            yield made
        finally:
            made.replicas.clear()


@dataclass
class Client:
    """An OAuth client of the tests: public, with PKCE."""

    scene: Scene
    id: str
    http: httpx.AsyncClient
    """Its browser: keeps cookies."""
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def challenge(self) -> str:
        """S256 of its verifier."""
        return base64.urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    def request(self, **changes: str | None) -> str:
        """Return the URL of an authorization request."""
        asked = {
            "response_type": "code", "client_id": self.id, "redirect_uri": REDIRECT, "state": "xyz", "scope": "mcp",
            "resource": self.scene.resource, "code_challenge": self.challenge, "code_challenge_method": "S256", **changes,
        }  # fmt: skip
        return f"{self.scene.url}/oauth/authorize?{urlencode({k: v for k, v in asked.items() if v is not None})}"

    async def consent_page(self, url: str | None = None, person: str = "alice") -> httpx.Response:
        """Log in and return the page that asks."""
        answer = await self.http.get(url or self.request())
        for _ in range(8):
            if not answer.is_redirect:
                return answer
            location = urljoin(str(answer.url), answer.headers["Location"])
            if location.startswith(self.scene.provider.issuer):
                location = await self.scene.provider.login(location, person)
            answer = await self.http.get(location)
        raise AssertionError(f"{answer.url} leads nowhere")

    async def code(self, url: str | None = None, person: str = "alice", answer: str = "allow") -> dict[str, str]:
        """Log in, consent, and return the parameters that the client's redirect URI gets."""
        page = await self.consent_page(url, person)
        done = await self.http.post(f"{self.scene.url}/oauth/consent", data={**fields(page.text), "answer": answer})
        assert done.status_code == 303, done.text
        return redirected(done)

    async def redeem(self, code: str, *, base: str = "", **changes: str | None) -> httpx.Response:
        """Redeem a code."""
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "client_id": self.id,
            "code_verifier": self.verifier, "resource": self.scene.resource, **changes,
        }  # fmt: skip
        return await self.http.post(f"{base or self.scene.url}/oauth/token", data={k: v for k, v in form.items() if v is not None})

    async def refresh(self, token: str, *, base: str = "", **changes: str) -> httpx.Response:
        """Refresh."""
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": self.id, **changes}
        return await self.http.post(f"{base or self.scene.url}/oauth/token", data=form)

    async def tokens(self, person: str = "alice") -> dict[str, Any]:
        """Log in, consent and redeem."""
        answer = await self.redeem((await self.code(person=person))["code"])
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@asynccontextmanager
async def client(made: Scene, **metadata: Any) -> AsyncIterator[Client]:
    """Register a client; its browser is a new one."""
    async with httpx.AsyncClient() as http:
        body = {"client_name": "Test Client", "redirect_uris": [REDIRECT], **metadata}
        answer = await http.post(f"{made.url}/oauth/register", json=body)
        assert answer.status_code == 201, answer.text
        yield Client(made, answer.json()["client_id"], http)


def fields(page: str) -> dict[str, str]:
    """Return the hidden fields of a page's first form."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.partition("</form>")[0])
    return {name: html.unescape(value) for name, value in found}


def redirected(answer: httpx.Response) -> dict[str, str]:
    """Return the parameters of the URL that an answer leads to."""
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
