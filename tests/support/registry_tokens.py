"""A token server as a registry of the distribution project believes it: it signs what the registry is to allow."""

import base64
import datetime
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from image_registry_process import PASSWORD, USER, Registry, running_registry

ISSUER, SERVICE = "test-issuer", "test-service"


@dataclass
class TokenServer:
    """Signs tokens for who gives the password, and for anybody where the repository is public."""

    key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate
    asked: list[dict[str, str]] = field(default_factory=list)
    """The query of every request."""

    def token(self, repository: str, *actions: str) -> str:
        now = datetime.datetime.now(datetime.UTC).timestamp()
        chain = base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()
        head = {"typ": "JWT", "alg": "RS256", "x5c": [chain]}
        body: dict[str, Any] = {
            "iss": ISSUER,
            "sub": "",
            "aud": SERVICE,
            "exp": int(now) + 300,
            "nbf": int(now) - 60,
            "iat": int(now),
            "jti": "1",
        }
        body["access"] = [{"type": "repository", "name": repository, "actions": list(actions)}]
        signed = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(body).encode())}"
        return f"{signed}.{_encoded(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    async def answer(self, request: web.Request) -> web.Response:
        given = request.headers.get("Authorization")
        self.asked.append(dict(request.query))
        repository = request.query["scope"].split(":")[1]
        allowed = given == aiohttp.encode_basic_auth(USER, PASSWORD) if given else repository.startswith("public/")
        if given and not allowed:
            return web.json_response({}, status=401)
        return web.json_response({"token": self.token(repository, *(["pull"] if allowed else []))})


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@asynccontextmanager
async def registry_with_tokens(folder: Path, repository: str) -> AsyncIterator[tuple[Registry, TokenServer]]:
    """Run a token server and a registry that believes it; images can be pushed to that repository."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - datetime.timedelta(1), now + datetime.timedelta(1)
    )
    server = TokenServer(key, made.sign(key, hashes.SHA256()))
    bundle = folder / "bundle.pem"
    bundle.write_bytes(server.certificate.public_bytes(serialization.Encoding.PEM))
    app = web.Application()
    app.add_routes([web.get("/token", server.answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    auth = {"token": {"realm": f"http://127.0.0.1:{port}/token", "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(bundle)}}
    try:
        headers = {"Authorization": f"Bearer {server.token(repository, 'pull', 'push')}"}
        async with running_registry(folder, headers, auth) as registry:
            yield registry, server
    finally:
        await runner.cleanup()
