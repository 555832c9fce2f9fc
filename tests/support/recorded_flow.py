"""A client's requests, as somebody saw them or as its source has them: read from a file, and sent with what earlier answers gave in their places.

A file has `oauth`, the platform's settings without which the client could not come in; `documents`, what the client's maker publishes, by path;
`known`, what the client knows beforehand; and `requests`, in the client's order. A request is a `send`, or a `visit`: the person's browser goes to a page, and comes back to the
client's `redirect_uri`. `take` names what the client keeps of an answer, `check` what it insists on; both say where: `status`, `json.a.0.b`,
`header.name`, `challenge.name` of WWW-Authenticate, `query.name` of the way back. `${name}` stands for what is known by then.
"""

import base64
import json
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import yaml
from joserfc import jwt
from joserfc.jwk import RSAKey

from authorization_scene import Client, Scene, fields

SECONDS = 10.0
"""The shortest time that one of the clients waits for an answer: Open WebUI, for `initialize`."""
_PLACE = re.compile(r"\$\{(\w+)\}")
_KEY = RSAKey.generate_key(2048, {"kid": "client-1", "alg": "RS256", "use": "sig"})


@dataclass(frozen=True)
class Flow:
    """What a file says."""

    name: str
    oauth: dict[str, Any]
    documents: dict[str, Any]
    known: dict[str, str]
    requests: list[dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the flow of a file."""
        found = yaml.safe_load(path.read_text())
        assert found.keys() <= {"oauth", "documents", "known", "requests"}, found.keys()
        return cls(path.stem, found.get("oauth", {}), found.get("documents", {}), found.get("known", {}), found["requests"])


@dataclass
class Recorded:
    """A client that does what was recorded, at a gateway."""

    scene: Scene
    http: httpx.AsyncClient
    """The client's; the person's browser is another one."""
    browser: httpx.AsyncClient
    known: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        base = urlsplit(self.scene.url)
        self.known |= {
            "url": self.scene.resource,
            "path": urlsplit(self.scene.resource).path,
            "origin": f"{base.scheme}://{base.netloc}",
            "secret": self.scene.provider.client_secret,
            # As editors make them: base64 with all its characters.
            "state": base64.b64encode(secrets.token_bytes(15)).decode() + "+/==",
        }

    async def replay(self, requests: Sequence[dict[str, Any]]) -> None:
        """Send these requests."""
        for asked in requests:
            await (self.send(asked) if "send" in asked else self.visit(asked))

    async def send(self, asked: dict[str, Any]) -> Any:
        """Send a request, check the answer, keep what the client keeps; return the answer's JSON."""
        verb, _, url = asked["send"].partition(" ")
        rest = self.filled({name: asked[name] for name in ("headers", "json", "query", "form") if name in asked})
        request = self.http.build_request(
            verb, self.filled(url), headers=rest.get("headers"), json=rest.get("json"), params=rest.get("query"), data=rest.get("form")
        )
        answer = await self.http.send(request, stream=True)
        try:
            found = await _message(answer, verb)
        finally:
            await answer.aclose()
        seen = {"status": answer.status_code, "json": found, "header": answer.headers, "challenge": _challenge(answer)}
        assert answer.status_code == asked.get("status", 200), (asked["send"], answer.status_code, found)
        self._keep(asked, seen)
        return found

    async def visit(self, asked: dict[str, Any]) -> None:
        """Have the person open a page, log in, allow, and come back to the client."""
        query = self.filled(asked["query"])
        self.known["verifier"] = secrets.token_urlsafe(32)
        digest = sha256(self.known["verifier"].encode()).digest()
        query["code_challenge"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        person = Client(self.scene, "", self.browser)
        page = await person.consent_page(f"{self.filled(asked['visit'])}?{urlencode(query)}")
        assert page.status_code == 200, page.text
        done = await self.browser.post(f"{self.scene.url}/oauth/consent", data={**fields(page.text), "answer": "allow"})
        back = done.headers["Location"]
        assert back.startswith(f"{query['redirect_uri']}?"), back
        returned = dict(parse_qsl(urlsplit(back).query))
        assert returned.get("state") == query.get("state")
        self._keep(asked, {"query": returned})

    def filled(self, value: Any) -> Any:
        """Return the same with what is known in its places."""
        if isinstance(value, dict):
            return {self.filled(name): self.filled(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        return _PLACE.sub(lambda place: self._value(place[1]), value) if isinstance(value, str) else value

    def _value(self, name: str) -> str:
        return self._assertion() if name == "client_assertion" else self.known[name]

    def _assertion(self) -> str:
        """Return a new assertion of the client (RFC 7523 §3), made for the token endpoint as ChatGPT makes them."""
        now, client = int(time.time()), self.known["client_id"]
        claims = {
            "iss": client,
            "sub": client,
            "aud": self.known["token_endpoint"],
            "jti": secrets.token_hex(8),
            "iat": now,
            "exp": now + 60,
        }
        return jwt.encode({"alg": "RS256", "kid": "client-1"}, claims, _KEY, algorithms=["RS256"])

    def _keep(self, asked: dict[str, Any], seen: dict[str, Any]) -> None:
        for where, expected in self.filled(asked.get("check", {})).items():
            assert _at(seen, where) == expected, (asked, where, _at(seen, where))
        for name, where in asked.get("take", {}).items():
            self.known[name] = _at(seen, where)


def published(flow: Flow) -> dict[str, Any]:
    """Return what the client's maker publishes, by path: its keys stand for `${jwks}`."""
    keys = {"keys": [_KEY.as_dict(private=False)]}
    return {path: keys if content == "${jwks}" else content for path, content in flow.documents.items()}


async def _message(answer: httpx.Response, verb: str) -> Any:
    """Return the JSON of an answer, be it the only event of a stream; nothing of a stream that stays open."""
    if not answer.headers.get("Content-Type", "").startswith("text/event-stream"):
        body = await answer.aread()
        return json.loads(body) if answer.headers.get("Content-Type", "").startswith("application/json") else body.decode()
    if verb == "GET":
        return None
    async for line in answer.aiter_lines():
        if line.startswith("data: {"):
            return json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream ended without a message")


def _challenge(answer: httpx.Response) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', answer.headers.get("WWW-Authenticate", "")))


def _at(seen: dict[str, Any], where: str) -> Any:
    found: Any = seen
    for part in where.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]
    return found
