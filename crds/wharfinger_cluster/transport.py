"""One HTTP request to the API server: timeouts, error translation, counting, and patience with 429 on reads.

Invariants: every request is reported to the hook exactly once, also when there was no answer; requests and watches use separate
connections, so that long watches can never use up those that requests need; redirects are not followed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlencode

import aiohttp
import msgspec
from yarl import URL

from wharfinger_cluster.connection import Login
from wharfinger_cluster.errors import Invalid, Unreachable, refusal
from wharfinger_cluster.http_pool import SECONDS, Answer, HttpPool
from wharfinger_cluster.resource import Object, Resource

RequestHook = Callable[[str, Resource, int, float], None]
"""Called after each request with verb, resource, HTTP status (0: no answer) and seconds; for a watch, when it is open."""

WRITES = frozenset({"create", "apply", "patch", "update", "delete"})
"""The verbs that change something; the others are get, list and watch."""

READ_ATTEMPTS = 4
READ_PAUSE = 10.0
"""Longest wait, in seconds, before a read that met 429 is sent again."""
_PROXIED_TIMEOUT = aiohttp.ClientTimeout(total=SECONDS, sock_connect=10)
_FAULTS = (aiohttp.ClientError, TimeoutError, OSError)
_METHODS = {"create": "POST", "apply": "PATCH", "patch": "PATCH", "update": "PUT", "delete": "DELETE"}
_CONTENT_TYPES = {"apply": "application/apply-patch+yaml", "patch": "application/merge-patch+json"}


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of the API server, but for the body."""

    verb: str
    resource: Resource
    namespace: str | None
    name: str | None = None
    subresource: str = ""
    params: dict[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Return path and query."""
        path = (
            self.resource.collection(self.namespace)
            if self.name is None
            else self.resource.object(self.name, self.namespace, self.subresource)
        )
        query = _query(tuple(self.params.items()))
        return f"{path}?{query}" if query else path

    def __str__(self) -> str:
        """Name the call in a message: `apply deployments.apps team-a/github`."""
        where = "/".join(part for part in (self.namespace, self.name, self.subresource) if part)
        return f"{self.verb} {self.resource} {where}".rstrip()


class Transport:
    """The connections to one API server; open from `open()` to `close()`."""

    def __init__(self, login: Login, on_request: RequestHook | None) -> None:
        self._login = login
        self._on_request = on_request or (lambda verb, resource, status, seconds: None)
        self._requests: HttpPool
        self._proxied: aiohttp.ClientSession
        self._watches: aiohttp.ClientSession

    async def open(self) -> None:
        """Make the sessions; nothing is sent yet."""
        self._requests = HttpPool(self._login)
        self._proxied = self._login.session()
        self._watches = self._login.session(limit=0)

    async def close(self) -> None:
        """Close all connections."""
        self._requests.close()
        await self._proxied.close()
        await self._watches.close()

    async def send(self, call: Call, body: Object | None = None) -> Object:
        """Send one request and return the answer's object; reads are repeated when the API server asks to come back (429)."""
        attempts = 1 if call.verb in WRITES else READ_ATTEMPTS
        for attempt in range(1, attempts + 1):
            try:
                return _decode(call, await self._exchange(call, body))
            except Unreachable as error:
                if error.status != 429 or attempt == attempts:
                    raise
                pause = min(1.0 if error.retry_after is None else error.retry_after, READ_PAUSE)
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def stream(self, call: Call, *, silence: float, total: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch and give the chunks of its body; `silence` and `total` bound the wait for bytes and the whole, in seconds."""
        url = self._url(_target(call))
        timeout = aiohttp.ClientTimeout(total=total, sock_connect=10, sock_read=silence)
        started, status = time.monotonic(), 0
        try:
            with _translated(call):
                response = await self._watches.get(url, timeout=timeout, allow_redirects=False)
            status = response.status
        finally:
            self._on_request(call.verb, call.resource, status, time.monotonic() - started)
        async with response:
            if status != 200:
                with _translated(call):
                    answer = await response.read()
                raise refusal(str(call), call.resource, status, answer, response.headers)
            yield _chunks(call, response)

    async def read_text(self, call: Call) -> str:
        """Send one read whose answer is text, such as a container's log; what is not UTF-8 in it is replaced."""
        return (await self._exchange(call, None)).decode(errors="replace")

    async def _exchange(self, call: Call, body: Object | None) -> bytes:
        content = None if body is None else msgspec.json.encode(body)
        kind = _CONTENT_TYPES.get(call.verb, "application/json")
        method, target = _METHODS.get(call.verb, "GET"), _target(call)
        ask = self._ask_through_proxy if self._login.proxy else self._requests.ask
        started, status = time.monotonic(), 0
        try:
            answer = await ask(method, target, content, kind)
            status = answer.status
        except _FAULTS as error:
            raise _unreachable(call, error) from None
        finally:
            self._on_request(call.verb, call.resource, status, time.monotonic() - started)
        if not 200 <= status < 300:
            raise refusal(str(call), call.resource, status, answer.body, answer.headers)
        return answer.body

    async def _ask_through_proxy(self, method: str, target: str, content: bytes | None, kind: str) -> Answer:
        headers = {"Content-Type": kind} if content else {}
        async with self._proxied.request(
            method, self._url(target), data=content, headers=headers, timeout=_PROXIED_TIMEOUT, allow_redirects=False
        ) as response:
            again = response.headers.get("Retry-After")
            return Answer(response.status, {} if again is None else {"Retry-After": again}, await response.read())

    def _url(self, target: str) -> URL:
        # Encoded already: yarl would otherwise decode what must stay quoted in a name.
        return URL(f"{self._login.server}{target}", encoded=True)


@lru_cache(maxsize=256)
def _query(params: tuple[tuple[str, str], ...]) -> str:
    return urlencode([(key, value) for key, value in params if value])


def _target(call: Call) -> str:
    try:
        return call.target
    except ValueError as error:
        raise Invalid(f"{call}: {error}") from None


@contextmanager
def _translated(call: Call) -> Iterator[None]:
    try:
        yield
    except _FAULTS as error:
        raise _unreachable(call, error) from None


def _unreachable(call: Call, error: Exception) -> Unreachable:
    """Return what to raise from None: aiohttp's response errors carry the request's headers, and with them the credential."""
    return Unreachable(f"{call}: {type(error).__name__}: {error}")


async def _chunks(call: Call, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    with _translated(call):
        async for chunk in response.content.iter_any():
            yield chunk


def _decode(call: Call, answer: bytes) -> Object:
    try:
        return msgspec.json.decode(answer, type=Object)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreachable(f"{call}: the answer is not a JSON object; is this the API server?") from None
