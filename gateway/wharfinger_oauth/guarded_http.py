"""Small documents from URLs that strangers named: nothing but the public internet is reached, and not for long.

The address is checked when the connection is made, and the connection is made to that address, so that a name that resolves anew to something
else (DNS rebinding) reaches nothing. Redirects, cookies, proxies and compression do not exist here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import httpcore

from wharfinger_crds.address_ranges import FLOOR, METADATA, Address, Network, in_any

MAX_ADDRESSES: Final = 4
"""Tried, of one name."""
RESOLVERS: Final = 4

_HEADERS: Final[Mapping[bytes | str, bytes | str]] = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "wharfinger",
}
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All that IANA has given out of IPv6."""

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Gives the addresses of a name, for a port. Raises OSError."""


class FetchError(Exception):
    """Nothing came, or not within the bounds. The message is for logs: whoever named the URL learns nothing of it."""


class OversizeError(FetchError):
    """What came is larger than it may be, and will be the next time."""


@dataclass(frozen=True)
class Answer:
    """An answer, whole."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case; of several of a name, the last."""
    body: bytes


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the public internet, and leads nowhere else than it says."""
    end = (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
    if isinstance(end, ipaddress.IPv6Address) and end not in _GLOBAL_UNICAST:
        return False
    # The floor holds what is translated to other addresses: NAT64 and 6to4; Teredo is not global.
    return end.is_global and not end.is_multicast and not in_any(end, FLOOR) and not in_any(end, METADATA)


class Fetcher:
    """Fetches with GET over https. Belongs to one event loop; it is a context manager, and closes what is open at its end."""

    def __init__(
        self,
        *,
        seconds: float = 5.0,
        at_once: int = 16,
        networks: Iterable[Network] = (),
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        """Bound every fetch to `seconds` altogether and to `at_once` at a time; `networks` are reached though they are not public."""
        self._seconds = seconds
        self._free = at_once
        # Names of strangers can be slow to resolve: they wait for each other, and not those of everybody else for them.
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="names-of-strangers")
        backend = _GuardedBackend(tuple(networks), resolve or self._resolved)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(), max_connections=at_once, max_keepalive_connections=0, network_backend=backend
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._pool.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def get(self, url: str, limit: int) -> Answer:
        """Return the answer of a URL, of any status, with at most `limit` bytes. Raises FetchError."""
        if not url.startswith("https://"):
            raise FetchError("not https")
        if not self._free:
            raise FetchError("too many fetches at once")
        self._free -= 1
        try:
            async with asyncio.timeout(self._seconds):
                return await self._answer(url, limit)
        except TimeoutError:
            raise FetchError(f"no whole answer within {self._seconds:g} s") from None
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            httpcore.UnsupportedProtocol,
            OSError,
            ValueError,
        ) as error:
            raise FetchError(f"{type(error).__name__}: {error}") from None
        finally:
            self._free += 1

    async def _resolved(self, host: str, port: int) -> Sequence[Address]:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return tuple(dict.fromkeys(ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in found))

    async def _answer(self, url: str, limit: int) -> Answer:
        async with self._pool.stream("GET", url, headers=_HEADERS) as answer:
            found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
            body = b""
            if answer.status == 200:
                async for piece in answer.aiter_stream():
                    body += piece
                    if len(body) > limit:
                        raise OversizeError(f"more than {limit} bytes")
            return Answer(answer.status, found, body)


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Makes connections to addresses that were looked at."""

    def __init__(self, networks: tuple[Network, ...], resolve: Resolve) -> None:
        self._networks = networks
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a name that has public addresses only."""
        addresses = await self._resolve(host, port)
        if not addresses or not all(self._lets_through(address) for address in addresses):
            raise httpcore.ConnectError(f"{host} has no address, or one that is not public")
        for address in addresses[:MAX_ADDRESSES]:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse."""
        raise httpcore.ConnectError("no sockets of this machine")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def _lets_through(self, address: Address) -> bool:
        return is_public(address) or (in_any(address, self._networks) is not None and not in_any(address, METADATA))
