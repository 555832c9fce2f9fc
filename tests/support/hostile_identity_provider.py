"""An identity provider whose every answer a test decides, and which remembers what it was asked."""

import asyncio
import contextlib
import functools
import json
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from joserfc.jwk import RSAKey

from wharfinger_crds.identity_provider import IdentityProvider

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]
Sign = Callable[[bytes], bytes]
DISCOVERY, KEYS, TOKEN, USERINFO = "/.well-known/openid-configuration", "/jwks", "/token", "/userinfo"


@functools.cache
def rsa_key(kid: str) -> RSAKey:
    """Return the key of that id, made once: it takes a while."""
    return RSAKey.generate_key(2048, {"kid": kid})


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class HostileIdentityProvider:
    """A provider that behaves, until a test changes something."""

    issuer: str = ""
    key: RSAKey = field(default_factory=lambda: rsa_key("k1"))
    keys: list[Any] = field(default_factory=list)
    """The list in its key set."""
    document: dict[str, Any] = field(default_factory=dict)
    """What its discovery document says beside or in place of the right."""
    tokens: dict[str, Any] = field(default_factory=dict)
    """What its token endpoint gives."""
    userinfo: dict[str, Any] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)
    """Answers by path, in place of the right ones."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of its key set."""
    asked: Counter[str] = field(default_factory=Counter)
    """How often each path was asked for."""
    forms: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    """The Authorization header of each request."""

    def provider(self, name: str = "okta", **changes: Any) -> IdentityProvider:
        """Return what platform settings say of it."""
        return IdentityProvider.model_validate({"name": name, "issuer": self.issuer, "clientId": "wharfinger", **changes})

    def token(self, claims: Mapping[str, Any] | str, *, sign: Sign | None = None, **header: Any) -> str:
        """Return a token with these claims, as JSON or to be it; None takes a field out of the header."""
        whole = {"alg": "RS256", "kid": "k1", "typ": "at+jwt", **header}
        head = json.dumps({name: value for name, value in whole.items() if value is not None})
        body = claims if isinstance(claims, str) else json.dumps(claims)
        text = f"{encoded(head.encode())}.{encoded(body.encode())}"
        return f"{text}.{encoded((sign or rs256(self.key.private_key))(text.encode()))}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        self.authorizations.append(request.headers.get("Authorization"))
        self.forms.append(dict(await request.post()))
        reply = self.replies.get(request.path)
        return await reply(request) if reply else web.json_response(self._right(request.path), headers=self.headers)

    def _right(self, path: str) -> dict[str, Any]:
        if path == DISCOVERY:
            endpoints = {
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}{TOKEN}",
                "jwks_uri": f"{self.issuer}{KEYS}",
                "userinfo_endpoint": f"{self.issuer}{USERINFO}",
            }
            return {"issuer": self.issuer, **endpoints, **self.document}
        return {KEYS: {"keys": self.keys}, TOKEN: self.tokens, USERINFO: self.userinfo}[path]


@contextlib.asynccontextmanager
async def hostile_identity_provider() -> AsyncIterator[HostileIdentityProvider]:
    """Give a running provider."""
    made = HostileIdentityProvider()
    made.keys.append(public(made.key))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()


def weak_rsa_key(kid: str) -> tuple[rsa.RSAPrivateKey, dict[str, Any]]:
    """Return a key of 1024 bits, and its public part as a JWK."""
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    numbers = key.public_key().public_numbers()
    parts = {name: encoded(value.to_bytes((value.bit_length() + 7) // 8, "big")) for name, value in (("n", numbers.n), ("e", numbers.e))}
    return key, {"kty": "RSA", "kid": kid, **parts}


def public(key: Any, **more: Any) -> dict[str, Any]:
    """Return the public part of a key as a JWK."""
    return {**key.as_dict(private=False), **more}


def rs256(key: rsa.RSAPrivateKey | None) -> Sign:
    assert key is not None
    return lambda text: key.sign(text, padding.PKCS1v15(), hashes.SHA256())


def encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def always(status: int = 200, text: str = "{}", **headers: str) -> Reply:
    """Answer the same whatever is asked."""

    async def reply(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return reply


def only_when(gate: asyncio.Event, text: str = "{}") -> Reply:
    """Answer when a test lets it."""

    async def reply(_: web.Request) -> web.StreamResponse:
        await gate.wait()
        return web.Response(text=text)

    return reply
