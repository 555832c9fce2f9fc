"""Redirect URIs: read strictly, compared exactly, and what clients that register themselves may have. Pure.

Sources: RFC 6749 §3.1.2, RFC 8252 §7 and §8.4, RFC 9700 §2.1 and §4.1. What browsers, URL parsers and servers read differently is no redirect
URI at all: a client never needs it, and each such difference has once led somebody's codes elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from wharfinger_crds.domain import covers
from wharfinger_crds.oauth import Registration

MAX_LENGTH: Final = 2048
APP_SCHEMES: Final = frozenset(
    {
        "claude", "code-oss", "cursor", "goose", "kiro", "raycast", "trae", "vscode", "vscode-insiders", "vscodium", "warp", "windsurf", "zed",
    }
)  # fmt: skip
"""Of MCP clients that have no reverse-DNS scheme, as RFC 8252 §7.1 wants one."""

_CHARACTERS: Final = re.compile(r"(?:[A-Za-z0-9._~:/?@!$&'()+,;=\[\]-]|%[0-9A-Fa-f]{2})+", re.ASCII)
"""Of RFC 3986 §2, without the fragment's mark and the wildcard."""
_PARTS: Final = re.compile(r"(?P<scheme>[^:/?]+):(?://(?P<authority>[^/?]*))?(?P<path>[^?]*)(?P<query>\?.*)?")
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9a-f:]+\]|[^:\[\]]+)(?::(?P<port>[1-9][0-9]{0,4}))?")
_HOST: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_APP_HOST: Final = re.compile(r"[A-Za-z0-9._-]*", re.ASCII)
_REVERSE_DNS: Final = re.compile(r"[a-z]{2,}(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


class RedirectUriError(ValueError):
    """A text that is no redirect URI, or none that may be registered; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class RedirectUri:
    """Where a browser is sent with a code or an error."""

    text: str
    """As it was written."""
    kind: Literal["Web", "Loopback", "App"]
    """Loopback: a program on the user's own machine. App: one that the machine knows by a scheme; any app may claim that."""
    scheme: str
    host: str
    """In lower case, with the brackets of IPv6; of an app, whatever stands in its place."""
    port: int | None
    rest: str
    """Path and query, as written."""

    @property
    def shown(self) -> str:
        """Where it leads, in a word for people."""
        return f"{self.scheme}:" if self.kind == "App" else self.host if self.port is None else f"{self.host}:{self.port}"


def parse(text: str) -> RedirectUri:
    """Return a redirect URI. Raises RedirectUriError."""
    if not 0 < len(text) <= MAX_LENGTH:
        raise RedirectUriError(f"is empty or longer than {MAX_LENGTH} characters")
    if not _CHARACTERS.fullmatch(text):
        raise RedirectUriError("has a fragment, a wildcard or a character that a URI cannot have: percent-encode it")
    parts = _PARTS.fullmatch(text)
    if not parts:
        raise RedirectUriError("has no scheme: use https, or http on the loopback interface")
    scheme, authority, path, query = parts["scheme"], parts["authority"], parts["path"], parts["query"] or ""
    if authority is not None and "@" in authority:
        raise RedirectUriError("has a user in front of the host: leave it out")
    _check_path(path, query)
    if scheme in {"https", "http"}:
        return _web(text, scheme, authority or "", path + query)
    if scheme not in APP_SCHEMES and not _REVERSE_DNS.fullmatch(scheme):
        raise RedirectUriError(
            "has a scheme that is not let through: use https, http on the loopback interface, or a scheme like com.example.app"
        )
    if not (path.startswith("/") or authority) or not _APP_HOST.fullmatch(authority or ""):
        raise RedirectUriError("has no path after its scheme: write it like com.example.app:/callback")
    return RedirectUri(text, "App", scheme, authority or "", None, path + query)


def match(registered: Iterable[str], given: str) -> RedirectUri | None:
    """Return what a request gives as redirect URI, if it is one of those of the client.

    The same characters, or, of http on the loopback interface, any port (RFC 8252 §7.3): `localhost` is not 127.0.0.1 though.
    """
    try:
        wanted = parse(given)
    except RedirectUriError:
        return None
    return wanted if any(one == given or _is_same_but_for_port(one, wanted) for one in registered) else None


def check_registered(uri: RedirectUri, registration: Registration) -> None:
    """Raise RedirectUriError where no client that registered itself may have this redirect URI."""
    if uri.kind != "Web" or registration.dynamic == "Open":
        return
    if uri.port not in {None, 443} or not any(covers(rule, uri.host) for rule in registration.redirect_hosts):
        raise RedirectUriError(
            f"leads to {uri.shown}, which is none of this platform's redirectHosts: use the loopback interface, or ask the administrator for it"
        )


def _check_path(path: str, query: str) -> None:
    if any(byte < 0x20 or byte == 0x7F for byte in unquote_to_bytes(path + query)):
        raise RedirectUriError("has an encoded control character")
    decoded = unquote_to_bytes(path)
    if b"\\" in decoded or not {b".", b".."}.isdisjoint(decoded.split(b"/")):
        raise RedirectUriError("has a backslash or a dot segment in its path: write the path out")


def _web(text: str, scheme: str, authority: str, rest: str) -> RedirectUri:
    found = _AUTHORITY.fullmatch(authority.lower())
    if not found or int(found["port"] or 1) > 65535:
        raise RedirectUriError("has no host, or one that cannot be read")
    host, port = found["host"], int(found["port"]) if found["port"] else None
    if host == "localhost" or _is_loopback_address(host):
        if authority != authority.lower():
            raise RedirectUriError("has a host that is not in lower case")
        return RedirectUri(text, "Loopback", scheme, host, port, rest)
    if scheme == "http":
        raise RedirectUriError("is http to another machine: use https")
    if len(host) > 253 or not _HOST.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise RedirectUriError("has an address in place of a host's name, or a name that is none: use a name in ASCII")
    return RedirectUri(text, "Loopback" if host.endswith(".localhost") else "Web", scheme, host, port, rest)


def _is_loopback_address(host: str) -> bool:
    if host == "[::1]":
        return True
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


def _is_same_but_for_port(registered: str, wanted: RedirectUri) -> bool:
    if (wanted.scheme, wanted.kind) != ("http", "Loopback"):
        return False
    try:
        one = parse(registered)
    except RedirectUriError:
        return False
    return (one.scheme, one.host, one.rest) == (wanted.scheme, wanted.host, wanted.rest)
