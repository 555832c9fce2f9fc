"""The gateway's process where every name of the internet is one site of the tests: `python gateway_with_documents.py …`, arguments as ever.

The site's port stands in DOCUMENTS_PORT, its certificate in the file that SSL_CERT_FILE names. Only where names lead is made up: the guard
looks at an address of the public internet, and TLS proves the site's names as it would those of the real ones.
"""

import ipaddress
import os
from collections.abc import Sequence
from typing import Any

import httpcore

from wharfinger_crds.address_ranges import Address
from wharfinger_gateway import doors
from wharfinger_gateway.__main__ import main
from wharfinger_oauth.guarded_http import Fetcher

PUBLIC = ipaddress.ip_address("93.184.215.14")


class Elsewhere(httpcore.AnyIOBackend):
    """Connects to the site, whatever address was asked for."""

    async def connect_tcp(self, host: str, port: int, *rest: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        """Connect to the site."""
        assert (host, port) == (str(PUBLIC), 443)
        return await super().connect_tcp("127.0.0.1", int(os.environ["DOCUMENTS_PORT"]), *rest, **options)


async def resolve(_host: str, _port: int) -> Sequence[Address]:
    """Say that a name is in the public internet."""
    return (PUBLIC,)


class SiteFetcher(Fetcher):
    """Finds every name in the public internet."""

    def __init__(self) -> None:
        super().__init__(resolve=resolve)


if __name__ == "__main__":
    httpcore.AnyIOBackend = Elsewhere  # type: ignore[misc]
    doors.Fetcher = SiteFetcher  # type: ignore[assignment,attr-defined]
    main()
