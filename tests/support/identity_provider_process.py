"""A real identity provider as a process: the certified npm oidc-provider, with people in it, which issues ID-JAGs too.

Nothing of it is this platform's code, nor of the libraries that the platform uses.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx
from joserfc.jwk import ECKey, RSAKey

from node_tools import NODE, node_tools
from wharfinger_crds.identity_provider import IdentityProvider

SCRIPT: Final = Path(__file__).with_name("identity_provider.mjs")
CLIENT_SECRET: Final = "p/lat form+secret:%41"
"""Of the platform: with every character that has to be encoded."""
CALLBACK: Final = "https://gateway.example/oauth/idp/callback"
"""Of a platform that nobody visits."""
AGENT: Final = "agent"
AGENT_SECRET: Final = "agent-secret"
AGENT_REDIRECT: Final = "http://127.0.0.1:1/agent"
PEOPLE: Final[Mapping[str, Mapping[str, Any]]] = {
    "alice": {"name": "Alice", "email": "alice@example.com", "email_verified": True, "groups": ["engineering", "staff"]},
    "bob": {"name": "Bob", "email": "bob@example.com", "email_verified": False, "groups": ["staff"]},
}


@dataclass
class IdentityProviderProcess:
    """A running provider."""

    issuer: str
    process: subprocess.Popen[str] = field(repr=False)
    people: dict[str, Mapping[str, Any]]
    client_id: str = "wharfinger"
    client_secret: str = CLIENT_SECRET

    def settings(self, name: str = "okta", **changes: Any) -> dict[str, Any]:
        """Return what platform settings say of it, without the reference to the secret."""
        return {"name": name, "issuer": self.issuer, "clientId": self.client_id, "algorithms": ["RS256"], **changes}

    def provider(self, name: str = "okta", **changes: Any) -> IdentityProvider:
        """Return the same as a value."""
        return IdentityProvider.model_validate(self.settings(name, **changes))

    def change(self, person: str, **claims: Any) -> None:
        """Let the provider say something else of a person from now on."""
        self.people[person] = {**self.people.get(person, {}), **claims}
        _tell(self.process, {"people": self.people}, "changed")

    def forget(self, person: str) -> None:
        """Let the provider know a person no more."""
        self.people.pop(person)
        _tell(self.process, {"people": self.people}, "changed")

    async def login(self, url: str, person: str = "alice") -> str:
        """Be a person's browser from an authorization URL on: log in, consent, and return the URL of the callback, which is not visited."""
        async with httpx.AsyncClient() as browser:
            answer = await browser.get(url)
            for _ in range(16):
                if answer.is_redirect:
                    url = urljoin(str(answer.url), answer.headers["Location"])
                    if not url.startswith(f"{self.issuer}/"):
                        return url
                    answer = await browser.get(url)
                else:
                    action, prompt = _form(answer)
                    answer = await browser.post(action, data={"prompt": prompt, "login": person, "password": "any"})
        raise AssertionError(f"{answer.url} leads nowhere")

    async def tokens(self, person: str, scope: str, **parameters: str) -> dict[str, Any]:
        """Return what the token endpoint gives another client of it, the agent, for a person."""
        verifier = secrets.token_urlsafe(32)
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code", "client_id": AGENT, "redirect_uri": AGENT_REDIRECT, "scope": scope, "state": "s",
            "code_challenge": challenge, "code_challenge_method": "S256", **parameters,
        }  # fmt: skip
        callback = await self.login(f"{self.issuer}/auth?{urlencode(asked)}", person)
        code = parse_qs(urlsplit(callback).query)["code"][0]
        return await self._token(
            grant_type="authorization_code", code=code, redirect_uri=AGENT_REDIRECT, code_verifier=verifier, **parameters
        )

    async def access_token(self, person: str = "alice", *, resource: str) -> str:
        """Return a person's access token for a resource: a JWT (RFC 9068) with the person's claims."""
        return str((await self.tokens(person, "openid mcp", resource=resource))["access_token"])

    async def id_token(self, person: str = "alice") -> str:
        """Return a person's ID token for the agent."""
        return str((await self.tokens(person, "openid email groups"))["id_token"])

    async def id_jag(self, person: str = "alice", *, audience: str, resource: str, client_id: str, scope: str = "mcp") -> str:
        """Return the provider's word that a client of `audience`, an authorization server, may act for a person at a resource there."""
        answer = await self._token(
            grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
            requested_token_type="urn:ietf:params:oauth:token-type:id-jag",
            subject_token=await self.id_token(person),
            subject_token_type="urn:ietf:params:oauth:token-type:id_token",
            audience=audience,
            resource=resource,
            scope=scope,
            client_at_audience=client_id,
        )
        return str(answer["access_token"])

    async def _token(self, **form: str) -> dict[str, Any]:
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{self.issuer}/token", data=form, auth=(AGENT, AGENT_SECRET))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@contextlib.contextmanager
def identity_provider(redirect_uris: Sequence[str] = (CALLBACK,), *, claims_in_id_token: bool = True) -> Iterator[IdentityProviderProcess]:
    """Give a running provider, at which the platform is a client with these callbacks.

    Without `claims_in_id_token`, ID tokens hold `sub` alone and the userinfo endpoint the rest, as OpenID Connect Core §5.4 has it.
    """
    keys: list[RSAKey | ECKey] = [
        RSAKey.generate_key(2048, {"kid": "rsa-1", "alg": "RS256", "use": "sig"}),
        ECKey.generate_key("P-256", {"kid": "ec-1", "alg": "ES256"}),
    ]
    clients = [
        {"client_id": "wharfinger", "client_secret": CLIENT_SECRET, "redirect_uris": list(redirect_uris)},
        {"client_id": AGENT, "client_secret": AGENT_SECRET, "redirect_uris": [AGENT_REDIRECT]},
    ]
    people = dict(PEOPLE)
    jwks = {"keys": [key.as_dict(private=True) for key in keys]}
    command = (str(NODE / "bin/node"), str(SCRIPT), str(node_tools().folder / "node_modules"))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            asked = {"clients": clients, "jwks": jwks, "claims_in_id_token": claims_in_id_token, "people": people}
            port = _tell(process, asked, "listening")
            yield IdentityProviderProcess(f"http://127.0.0.1:{port}", process, people)
        finally:
            process.kill()


def _tell(process: subprocess.Popen[str], what: Mapping[str, Any], answer: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{json.dumps(what)}\n")
    process.stdin.flush()
    for line in process.stdout:
        word, _, rest = line.partition(" ")
        if word.strip() == answer:
            return rest.strip()
    raise AssertionError(f"the identity provider ended with {process.wait()}")


def _form(page: httpx.Response) -> tuple[str, str]:
    """Return where a page's form goes, and whether it is for `login` or `consent`."""
    action = re.search(r'<form[^>]* action="([^"]+)"', page.text)
    prompt = re.search(r'name="prompt" value="([a-z]+)"', page.text)
    assert action is not None and prompt is not None, page.text
    return urljoin(str(page.url), action[1]), prompt[1]
