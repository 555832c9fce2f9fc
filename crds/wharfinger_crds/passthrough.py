"""Which headers of clients a gateway can pass on to servers: what says who calls, or how the message is framed, never.

The CRD's rule is made from the same lists that both programs check by, since an object may be older than the rule.
"""

from __future__ import annotations

from typing import Final

FORBIDDEN: Final = (
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "last-event-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)
"""Credentials, where the client was, hop-by-hop fields (RFC 9110 §7.6.1), and what a request to a server sets itself."""
FORBIDDEN_PREFIXES: Final = ("content-", "mcp-", "proxy-", "x-forwarded-")
MESSAGE: Final = "authorization, cookie, host, forwarded, accept, proxy-*, x-forwarded-*, mcp-*, content-* and hop-by-hop headers are never passed through"


def is_forbidden(name: str) -> bool:
    """Tell whether a header of that name, in any case, is never passed on."""
    lowered = name.lower()
    return lowered in FORBIDDEN or lowered.startswith(FORBIDDEN_PREFIXES)


def rule() -> str:
    """Return the same for a list of names, in CEL."""
    listed = ", ".join(f"'{name}'" for name in FORBIDDEN)
    prefixes = "".join(f" || h.lowerAscii().startsWith('{prefix}')" for prefix in FORBIDDEN_PREFIXES)
    return f"!self.exists(h, h.lowerAscii() in [{listed}]{prefixes})"
