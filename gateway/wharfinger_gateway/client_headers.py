"""Headers of the client's request that a gateway lets through to HTTP servers. Pure.

Rules, for each name that the gateway lists: a header that is not there is not sent; one that the client's `Connection` names is the
connection's and goes no further (RFC 9110 §7.6.1); one that is there twice, or holds anything but visible ASCII, space and tab, refuses the
request, and so do values that together are too long. What a connection to a server sets itself is decided where the call is made, and wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from wharfinger_crds.passthrough import is_forbidden
from wharfinger_gateway.incoming import Headers
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_mcp.header import is_field_value

MAX_CHARS: Final = 8192
"""Of all values together: many servers read no longer head than this, credential and session id included."""


def let_through(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that count, in lower case, each once. What is never passed on is left out whatever the object says: it may be older than
    the rule that refuses it."""
    return tuple(sorted({name.lower() for name in names if not is_forbidden(name)}))


def client_headers(names: tuple[str, ...], sent: Headers) -> Mapping[str, str] | Refusal:
    """Return the headers to pass on, or why what was sent cannot be."""
    ours = {name.strip().lower() for value in sent.getall("Connection", []) for name in value.split(",")}
    found: dict[str, str] = {}
    for name in names:
        values = sent.getall(name, [])
        if not values or name in ours:
            continue
        if len(values) > 1:
            return Refusal(Reason.HEADER_UNUSABLE, detail=f"{name} is sent {len(values)} times")
        if not is_field_value(values[0]):
            return Refusal(Reason.HEADER_UNUSABLE, detail=f"{name} has characters other than visible ASCII")
        found[name] = values[0].strip(" \t")
    if sum(map(len, found.values())) > MAX_CHARS:
        return Refusal(Reason.HEADER_UNUSABLE, detail=f"{', '.join(found)} have more than {MAX_CHARS} characters")
    return found


def beside(managed: Mapping[str, str], passed: Mapping[str, str]) -> Mapping[str, str]:
    """Return what of the passed headers can stand beside those that a connection sets itself."""
    taken = {name.lower() for name in managed}
    return {name: value for name, value in passed.items() if name not in taken}
