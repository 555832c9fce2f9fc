"""Where to log in, said by whoever wants a token (RFC 9728 §5.1)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from wharfinger_crds import names
from wharfinger_oauth import paths

SCOPE: Final = "mcp"
"""The one scope there is: to use what a gateway offers, as the user who consents."""
ENDPOINT: Final = re.compile(rf"{names.ENDPOINT_PREFIX}/([-a-z0-9]{{1,63}}\.[-a-z0-9]{{1,63}})(?:/sse)?")
"""The path of a gateway; its group is the gateway's id."""


def challenge(public_url: str, path: str) -> str:
    """Return what the WWW-Authenticate field of a 401 at a path says of where to log in; nothing where no gateway can be."""
    if not ENDPOINT.fullmatch(path):
        return ""
    base = urlsplit(public_url)
    # Well-known paths are inserted between host and path (RFC 9728 §3.1).
    return f'resource_metadata="{base.scheme}://{base.netloc}{paths.RESOURCE_METADATA}{base.path}{path}", scope="{SCOPE}"'
