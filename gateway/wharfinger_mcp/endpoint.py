"""Where a server answers, and the bytes that begin a request to it.

Pure. An endpoint is made once and used for every call. Its origin is the key of the connection pool: two endpoints share
connections only where host, CA bundle and egress guard are the same, so that no guard is passed by another's connection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import quote, urlsplit

import idna

from wharfinger_mcp.errors import MisconfiguredError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressGuard(Protocol):
    """Says what may be connected to. Two that would say the same compare equal, so that connections are shared; hashing is cheap."""

    def __call__(self, host: str, port: int, addresses: tuple[Address, ...]) -> tuple[Address, ...]:
        """Return those of the resolved addresses that may be connected to, in order. Raises EgressRefusedError where there are none.

        Asked whenever a connection is made, and only what it returned is connected to: a name cannot change in between.
        """

    def replaces(self, other: AddressGuard) -> bool:
        """Tell whether it stands for the same as another one, at another time."""


MAX_URL_CHARS: Final = 4096

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNSAFE_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_RESERVED: Final = frozenset(
    {"host", "connection", "content-length", "content-type", "transfer-encoding", "accept", "accept-encoding", "te", "trailer"}
    | {"upgrade", "expect", "keep-alive", "proxy-connection", "mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name"}
    | {"last-event-id"}
)
"""Ours to set: a second value would make two readers disagree about where the request ends or what it is."""


@dataclass(frozen=True)
class Origin:
    """What connections are shared by."""

    host: str
    port: int
    tls: bool
    ca_bundle: str | None = field(default=None, repr=False)
    """PEM certificates that a server's certificate must lead to; None for the system's."""
    guard: AddressGuard | None = None


_NONE: Final[Mapping[str, str]] = {}


@dataclass(slots=True)
class _Written:
    """A head as it was written last, up to the length, and of what."""

    method: str = ""
    kind: Mapping[str, str] | None = field(default=None, repr=False)
    own: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    lines: str = field(default="", repr=False)
    """Those of the caller."""
    head: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Endpoint:
    """The URL of a server, taken apart once; make it with `parse_endpoint`."""

    origin: Origin
    path: str
    """For messages to people: without the query, which may hold a key."""
    target: str = field(repr=False)
    host: str
    """The Host field."""
    _written: _Written = field(default_factory=_Written, repr=False, compare=False)

    def request_head(
        self, method: str, own: Mapping[str, str], headers: Mapping[str, str], length: int, kind: Mapping[str, str] = _NONE
    ) -> bytes:
        """Return the head of a request: our own header fields, those of its kind first, and then the caller's.

        What was written for the same objects is used again, so they must not change. Raises MisconfiguredError for a caller's field that is
        ours to set or cannot stand in a header; never shows its value.
        """
        written = self._written
        if written.headers is not headers:
            written.lines, written.headers, written.own = _lines(headers), headers, None
        if written.own is not own or written.kind is not kind or written.method != method:
            ours = "".join([f"{name}: {value}\r\n" for name, value in (*kind.items(), *own.items())])
            head = f"{method} {self.target} HTTP/1.1\r\nHost: {self.host}\r\nAccept-Encoding: identity\r\n{ours}{written.lines}Content-Length: "
            written.head, written.method, written.kind, written.own = head.encode("latin-1"), method, kind, own
        return b"%b%d\r\n\r\n" % (written.head, length)


def _lines(headers: Mapping[str, str]) -> str:
    lines = []
    for name, value in headers.items():
        if _TOKEN.fullmatch(name) is None or _UNSAFE_VALUE.search(value) is not None:
            raise MisconfiguredError(f"the header {name[:64]!r} has characters that a header cannot have")
        if name.lower() in _RESERVED:
            raise MisconfiguredError(f"the header {name!r} cannot be set: the protocol sets it")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines)


def parse_endpoint(url: str, *, ca_bundle: str | None = None, guard: AddressGuard | None = None) -> Endpoint:
    """Return the endpoint of a URL.

    Raises MisconfiguredError saying what is wrong with it.
    """
    if len(url) > MAX_URL_CHARS:
        raise MisconfiguredError(f"the URL has more than {MAX_URL_CHARS} characters")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = _ascii_host(parts.hostname or "")
    except ValueError as error:
        raise MisconfiguredError("the URL's host or port is malformed") from error
    if parts.scheme not in ("http", "https"):
        raise MisconfiguredError("the URL must begin with https:// or http://")
    if not host:
        raise MisconfiguredError("the URL names no host")
    if parts.username is not None or parts.password is not None:
        raise MisconfiguredError("the URL holds a user or password: a credential belongs in a header")
    if parts.fragment:
        raise MisconfiguredError("the URL has a fragment (#…), which servers never see")
    tls = parts.scheme == "https"
    default_port = 443 if tls else 80
    bracketed = f"[{host}]" if ":" in host else host
    path = _escaped(parts.path) or "/"
    return Endpoint(
        origin=Origin(host, port or default_port, tls, ca_bundle, guard),
        path=path,
        target=f"{path}?{_escaped(parts.query)}" if parts.query else path,
        host=bracketed if port in (None, default_port) else f"{bracketed}:{port}",
    )


def _ascii_host(host: str) -> str:
    """Return a host as it is resolved: of a name the form that egress rules have, of an address the one that everybody reads alike."""
    if ":" in host:
        address = ipaddress.IPv6Address(host)
        if address.scope_id is not None:
            raise ValueError(host)
        return str(address)
    ascii_host = host if host.isascii() else idna.encode(host, uts46=True).decode()
    if re.fullmatch(r"[a-z0-9._-]{0,254}", ascii_host) is None:
        raise ValueError(host)
    if _NUMBER.fullmatch(ascii_host.removesuffix(".").rpartition(".")[2]):
        # What resolvers take for IPv4, `0x7f.1` and `2130706433` among it; four decimal numbers are the only form that no two read differently.
        return str(ipaddress.IPv4Address(ascii_host))
    return ascii_host


def _escaped(text: str) -> str:
    return quote(text, safe="%/:=&?~#+!$,;'@()*[]")
