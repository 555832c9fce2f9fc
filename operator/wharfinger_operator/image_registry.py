"""Ask a registry what an image starts by itself (OCI distribution specification 1.1, pull).

Invariants: https, except for registries that the question calls insecure; a login goes to the registry it is for and to the
token server that this registry names, never along a redirect to another host; every answer is bounded in size, all of it in
time, and checked against its digest. Messages name no value and nothing of what a registry wrote.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from wharfinger_operator.image_manifest import (
    ACCEPT,
    ImageFormatError,
    config_of_manifest,
    entry_point,
    is_digest_of,
    manifest_of_index,
    parse,
)
from wharfinger_operator.plan.entry_point import ImageQuestion, is_loopback
from wharfinger_operator.plan.image_reference import DOCKER_HUB
from wharfinger_operator.registry_challenge import Challenge, basic, bearer, read_challenges, token_url
from wharfinger_operator.world import EntryPoint

SECONDS: Final = 20.0
"""For all requests about one image."""
MANIFEST_BYTES: Final = 4 << 20
"""What the specification asks of registries as a minimum."""
CONFIG_BYTES: Final = 1 << 20
TOKEN_BYTES: Final = 64 << 10
REDIRECTS: Final = 5
_NESTED: Final = 2
_REDIRECT: Final = frozenset({301, 302, 303, 307, 308})
_HUB_API: Final = "registry-1.docker.io"
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


class ImageError(Exception):
    """An image's entry point could not be read; the message says why and what to do, and is the same for the same cause."""


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes = field(repr=False)
    challenges: tuple[Challenge, ...] = ()
    location: str = ""


class ImageRegistries:
    """Asks registries; its connections live as long as it does."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        own = _ARCHITECTURES.get(platform.machine(), "amd64")
        self.architectures = tuple(dict.fromkeys((own, "amd64", "arm64")))
        """Of an image that is made for several, the first of these counts: that of this machine."""

    async def entry_point(self, question: ImageQuestion) -> EntryPoint:
        """Return ENTRYPOINT and CMD of an image for this machine's architecture, or the nearest. Raises ImageError."""
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
        host = question.reference.host
        try:
            async with asyncio.timeout(SECONDS):
                return await _Repository(self._session, question).entry_point(self.architectures)
        except ImageFormatError as error:
            raise ImageError(str(error)) from None
        except TimeoutError:
            raise ImageError(f"registry {host} did not answer within {SECONDS:.0f} s") from None
        except aiohttp.ClientConnectorCertificateError:
            raise ImageError(f"the certificate of registry {host} is not trusted") from None
        except aiohttp.ClientConnectorDNSError:
            raise ImageError(f"there is no host {host}, or no answer from DNS") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise ImageError(f"registry {host} cannot be reached, or does not speak the protocol of registries") from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


class _Repository:
    """One look at one repository."""

    def __init__(self, session: aiohttp.ClientSession, question: ImageQuestion) -> None:
        self._session = session
        self._question = question
        reference = question.reference
        self._host = _HUB_API if reference.host == DOCKER_HUB else reference.host
        self._base = f"{'http' if question.insecure else 'https'}://{self._host}/v2/{reference.repository}/"
        self._authorization: str | None = None

    async def entry_point(self, architectures: tuple[str, ...]) -> EntryPoint:
        digest = self._question.reference.digest
        body = await self._get(f"manifests/{self._question.reference.version}", ACCEPT, MANIFEST_BYTES, digest)
        for _ in range(_NESTED):
            if (chosen := manifest_of_index(parse(body), architectures)) is None:
                break
            body = await self._get(f"manifests/{chosen}", ACCEPT, MANIFEST_BYTES, chosen)
        config = config_of_manifest(parse(body))
        return entry_point(parse(await self._get(f"blobs/{config}", "*/*", CONFIG_BYTES, config)))

    async def _get(self, path: str, accept: str, limit: int, digest: str | None) -> bytes:
        answer = await self._follow(self._base + path, accept, limit)
        if answer.status == 401:
            async for authorization in self._authorizations(answer.challenges):
                self._authorization = authorization
                answer = await self._follow(self._base + path, accept, limit)
                if answer.status not in {401, 403}:
                    break
        host = self._question.reference.host
        if answer.status in {401, 403}:
            what = "refuses the login of the pull Secrets" if self._question.logins else "wants a login"
            raise ImageError(
                f"registry {host} {what}: name a pull Secret for it in spec.selfHosted.imagePullSecrets or a login in registryCredentials"
            )
        if answer.status == 404:
            raise ImageError(f"registry {host} does not have it, or shows it only after a login")
        if answer.status == 429:
            raise ImageError(f"registry {host} has been asked too often: a login may allow more")
        if answer.status != 200:
            raise ImageError(f"registry {host} answered with HTTP status {answer.status}")
        if digest is not None and not is_digest_of(digest, answer.body):
            raise ImageError(f"registry {host} sent something else than was asked for: its digest is another")
        return answer.body

    async def _authorizations(self, challenges: tuple[Challenge, ...]) -> AsyncIterator[str]:
        """Yield the headers that may be accepted: every login, or nobody's token where there is none."""
        logins: list[str | None] = [basic(login.username, login.password) for login in self._question.logins]
        for challenge in challenges:
            if challenge.scheme == "bearer" and (url := token_url(challenge, self._question.reference.repository)):
                for login in logins or [None]:
                    answer = await self._once(url, "application/json", TOKEN_BYTES, login)
                    if answer.status == 200 and (token := bearer(answer.body)):
                        yield token
            elif challenge.scheme == "basic":
                for login in logins:
                    if login is not None:
                        yield login

    async def _follow(self, url: str, accept: str, limit: int) -> _Answer:
        for _ in range(REDIRECTS + 1):
            own = _origin(url) == _origin(self._base)
            answer = await self._once(url, accept, limit, self._authorization if own else None)
            if answer.status not in _REDIRECT:
                return answer
            url = urljoin(url, answer.location)
        raise ImageError(f"registry {self._question.reference.host} redirects more than {REDIRECTS} times")

    async def _once(self, url: str, accept: str, limit: int, authorization: str | None) -> _Answer:
        target = URL(url, encoded=True)
        own = self._question.insecure and _origin(url) == _origin(self._base)
        if target.scheme != "https" and not own and not (self._question.insecure and is_loopback(target.host or "")):
            raise ImageError(f"registry {self._question.reference.host} leads to a place without https")
        headers = {"Accept": accept, "Accept-Encoding": "identity", **({"Authorization": authorization} if authorization else {})}
        async with self._session.get(target, headers=headers, allow_redirects=False) as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(65536):
                body += chunk
                if len(body) > limit:
                    raise ImageError(f"registry {self._question.reference.host} sent more than {limit} bytes")
            challenges = read_challenges(response.headers.getall("WWW-Authenticate", []))
            return _Answer(response.status, bytes(body), challenges, response.headers.get("Location", ""))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    target = URL(url, encoded=True)
    return target.scheme, target.host, target.port
