"""The official SDK as a client that logs in: what it keeps, the person at the browser, and a call."""

from typing import Any

import httpx
import httpx2
from mcp import Client as McpClient
from mcp.client.auth import AuthorizationCodeResult
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from authorization_scene import Client, Scene


class Storage:
    """What the SDK keeps."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.info: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.info

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.info = client_info


class Person:
    """Somebody with a browser who allows what he is asked."""

    def __init__(self, scene: Scene, http: httpx.AsyncClient) -> None:
        self._browser = Client(scene, "", http)
        self._url = ""
        self.visits = 0

    async def open(self, url: str) -> None:
        """Be sent to a page."""
        self._url, self.visits = url, self.visits + 1

    async def callback(self) -> AuthorizationCodeResult:
        """Log in, allow, and return what the client's redirect URI gets."""
        found = await self._browser.code(self._url)
        return AuthorizationCodeResult(code=found["code"], state=found["state"], iss=found["iss"])


async def echo(scene: Scene, auth: Any, mode: str) -> str:
    """Call a tool by the SDK with a way to log in."""
    async with (
        httpx2.AsyncClient(auth=auth, timeout=30) as http,
        McpClient(streamable_http_client(scene.resource, http_client=http), mode=mode) as client,
    ):
        return str((await client.call_tool("bot__echo", {"text": "x"})).content)
