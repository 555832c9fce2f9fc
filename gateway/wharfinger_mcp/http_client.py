"""Keep-alive connections to servers, for the life of the process.

Invariants:

- A connection is reused only if it is certain, as far as this side can know, that the server still listens: not idle for
  longer than servers keep one open, and silent since its last answer. What was sent once is never sent again.
- The egress guard sees every address before a connection is made, and the connection is made to that address. A connection is reused
  under an equal guard only.
- Redirects, cookies, proxies and compression do not exist here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final

from wharfinger_mcp.connect import Connect, failed
from wharfinger_mcp.endpoint import Address, AddressGuard, Endpoint, Origin
from wharfinger_mcp.errors import BusyError, EgressRefusedError, MisconfiguredError, NotSentError, UnreachableError
from wharfinger_mcp.http_answer import Answer
from wharfinger_mcp.http_connection import Connection
from wharfinger_mcp.loop_time import loop_time

MAX_ADDRESSES: Final = 8
MAX_CA_BUNDLES: Final = 256
MAX_IDLE_SECONDS: Final = 120.0
SWEEP_SECONDS: Final = 0.25
"""By so much an answer may be late: a timer for each would cost every call."""

Resolve = Callable[[str, int], Awaitable[tuple[Address, ...]]]
"""Gives the addresses of a name, for a port, in the order in which they are tried. Raises UnreachableError."""


@dataclass(frozen=True)
class PoolLimits:
    """Bounds of the pool."""

    connections: int = 1024
    """To one origin; a call beyond is refused at once rather than queued."""
    connect_seconds: float = 5.0
    """For name resolution, TCP and TLS together."""
    idle_seconds: float = 4.0
    """How long a connection waits for its next request. Common servers close after 5 s without saying so; those that say
    `Keep-Alive: timeout=…` are taken at their word, less a second."""


class HttpClient:
    """Sends requests over pooled connections. Belongs to one event loop."""

    def __init__(
        self, limits: PoolLimits | None = None, resolve: Resolve | None = None, observe: Callable[[Connect], None] = lambda _: None
    ) -> None:
        self._observe = observe
        self._limits = limits or PoolLimits()
        self._resolve = resolve or resolved
        self._in_force: frozenset[AddressGuard] | None = None
        self._idle: dict[Origin, list[Connection]] = {}
        self._origins: dict[Connection, Origin] = {}
        self._open: dict[Origin, int] = {}
        self._system_tls: ssl.SSLContext | None = None
        self._own_tls: dict[str, ssl.SSLContext] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def send(self, endpoint: Endpoint, head: bytes, body: bytes, *, deadline: float, limit: int) -> Answer:
        """Send one request and return its answer as soon as the head is there.

        `deadline` is loop time for the whole answer, `limit` the most bytes of its body. Raises NotSentError where nothing
        was sent, TimedOutError, InterruptedCallError, NotMcpError and ProtocolError afterwards.
        """
        connection = self._reusable(endpoint.origin)
        if connection is None:
            try:
                connection = await self._connect(endpoint.origin, deadline)
            except NotSentError as error:
                self._observe(failed(error))
                raise
            self._observe(Connect.NEW)
        else:
            self._observe(Connect.REUSED)
        connection.start(head, body, deadline=deadline, limit=limit)
        try:
            return Answer(connection, await connection.head())
        except BaseException:
            connection.abort()
            raise

    def enforce(self, guards: Collection[AddressGuard]) -> None:
        """Let these guards count, from now on, and no others.

        What is idle under another one is closed. What is under way there is, too, unless a guard that replaces that one lets its address
        through; then it ends with its answer. No connection is made under another one any more.
        """
        self._in_force = frozenset(guards)
        for origin in [origin for origin in self._idle if not self._counts(origin)]:
            for connection in self._idle.pop(origin):
                connection.abort()
        for connection, origin in tuple(self._origins.items()):
            if not self._counts(origin):
                connection.is_last = True
                if not self._is_still_open(origin, connection):
                    connection.abort()

    async def close(self) -> None:
        """Close every connection, idle or not, and wait until they are gone."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        connections = tuple(self._origins)
        for connection in connections:
            connection.abort()
        await asyncio.gather(*(connection.lost for connection in connections))

    def _counts(self, origin: Origin) -> bool:
        return self._in_force is None or origin.guard is None or origin.guard in self._in_force

    def _is_still_open(self, origin: Origin, connection: Connection) -> bool:
        address, guard = connection.address(), origin.guard
        successors = [one for one in self._in_force or () if guard is not None and one.replaces(guard)]
        return not successors or any(_lets_through(one, origin, address) for one in successors)

    def _reusable(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        now = loop_time()
        while idle:
            connection = idle.pop()
            if connection.idle_until > now and connection.is_quiet():
                return connection
            connection.abort()
        return None

    async def _connect(self, origin: Origin, deadline: float) -> Connection:
        if self._closed:
            raise UnreachableError("the client is closed")
        if not self._counts(origin):
            raise EgressRefusedError(f"the rules for {origin.host}:{origin.port} have changed since the call began: try again")
        if self._open.get(origin, 0) >= self._limits.connections:
            raise BusyError(f"{self._limits.connections} calls to {origin.host}:{origin.port} are under way: try again later")
        self._open[origin] = self._open.get(origin, 0) + 1
        seconds = max(0.0, min(self._limits.connect_seconds, deadline - asyncio.get_running_loop().time()))
        connection = None
        try:
            async with asyncio.timeout(seconds):
                connection = await self._dial(origin)
        except TimeoutError:
            raise UnreachableError(f"no connection to {origin.host}:{origin.port} in time") from None
        finally:
            if connection is None:
                self._count_down(origin)
        self._origins[connection] = origin
        if self._sweeper is None:
            self._sweep()
        return connection

    async def _dial(self, origin: Origin) -> Connection:
        context = self._tls_context(origin.ca_bundle) if origin.tls else None
        addresses = await self._addresses(origin.host, origin.port)
        if origin.guard is not None:
            addresses = origin.guard(origin.host, origin.port, addresses)
        loop = asyncio.get_running_loop()
        error: Exception = UnreachableError("no address")
        for number, address in enumerate(addresses):
            share = self._limits.connect_seconds / (len(addresses) - number)
            try:
                async with asyncio.timeout(share):
                    _, connection = await loop.create_connection(
                        lambda: Connection(self._take_back, self._forget),
                        str(address),
                        origin.port,
                        ssl=context,
                        server_hostname=origin.host.removesuffix(".") if context else None,
                    )
            except (OSError, TimeoutError) as failure:
                error = failure
            else:
                return connection
        raise UnreachableError(f"cannot connect to {origin.host}:{origin.port}: {_reason(error)}") from error

    async def _addresses(self, host: str, port: int) -> tuple[Address, ...]:
        try:
            return (ipaddress.ip_address(host),)
        except ValueError:
            return (await self._resolve(host, port))[:MAX_ADDRESSES]

    def _tls_context(self, ca_bundle: str | None) -> ssl.SSLContext:
        if ca_bundle is None:
            if self._system_tls is None:
                self._system_tls = ssl.create_default_context()
            return self._system_tls
        context = self._own_tls.get(ca_bundle)
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            try:
                # Not create_default_context, which takes the system's roots for an empty bundle.
                context.load_verify_locations(cadata=ca_bundle)
            except (ssl.SSLError, ValueError) as error:
                raise MisconfiguredError("the CA bundle holds no PEM certificate") from error
            if len(self._own_tls) >= MAX_CA_BUNDLES:
                del self._own_tls[next(iter(self._own_tls))]
            self._own_tls[ca_bundle] = context
        return context

    def _take_back(self, connection: Connection) -> None:
        origin = self._origins.get(connection)
        if origin is None or self._closed or connection.is_last:
            connection.abort()
            return
        promised = connection.promised_seconds()
        seconds = self._limits.idle_seconds if promised is None else min(promised - 1, MAX_IDLE_SECONDS)
        connection.idle_until = loop_time() + seconds
        self._idle.setdefault(origin, []).append(connection)

    def _sweep(self) -> None:
        """End what is late, and close what nobody used in time, so that a burst leaves no connections behind."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in tuple(self._origins):
            if connection.deadline <= now:
                connection.expire()
        for origin, idle in tuple(self._idle.items()):
            for connection in idle:
                if connection.idle_until <= now:
                    connection.abort()
            self._idle[origin] = [connection for connection in idle if connection.idle_until > now]
            if not self._idle[origin]:
                del self._idle[origin]
        self._sweeper = loop.call_later(min(SWEEP_SECONDS, self._limits.idle_seconds), self._sweep) if self._origins else None

    def _forget(self, connection: Connection) -> None:
        origin = self._origins.pop(connection, None)
        if origin is not None:
            self._count_down(origin)

    def _count_down(self, origin: Origin) -> None:
        left = self._open[origin] - 1
        if left:
            self._open[origin] = left
        else:
            del self._open[origin]


async def resolved(host: str, port: int) -> tuple[Address, ...]:
    """Return what the system's resolver says of a name. Raises UnreachableError where that is nothing."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        # UnicodeError: a label of the name is empty or too long.
        reason = error.strerror if isinstance(error, OSError) else None
        raise UnreachableError(f"cannot resolve {host}: {reason or 'no such name'}") from error
    return tuple(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


def _lets_through(guard: AddressGuard, origin: Origin, address: Address | None) -> bool:
    try:
        return address is not None and address in guard(origin.host, origin.port, (address,))
    except EgressRefusedError:
        return False


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}): name its CA if it is your own"
    if isinstance(error, ssl.SSLError):
        return "no TLS with it: is it http:// rather than https://?"
    if isinstance(error, TimeoutError) and not error.errno:
        return "no answer from its address"
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "the connection failed"
