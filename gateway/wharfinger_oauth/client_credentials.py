"""What a client proves itself with at the token endpoint (RFC 6749 §2.3, RFC 7521 §4.2). Pure.

Invariants: one way at a time, and never through the query. What cannot be read is nobody's, and never falls through to a weaker way.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_plus

from wharfinger_oauth.client import Method
from wharfinger_oauth.client_assertion import ASSERTION_TYPE, claimed_client
from wharfinger_oauth.request import Request

_IN_BODIES_ONLY: Final = frozenset({"client_secret", "client_assertion"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who a client says it is, and how it would prove that."""

    client_id: str
    method: Method
    proof: str = field(default="", repr=False)
    """A secret or an assertion."""
    raw: str = field(default="", repr=False)
    """The secret as it stood in the header: many clients do not encode it, though RFC 6749 §2.3.1 says so."""


def credentials(request: Request) -> Credentials | None:
    """Return what a request holds; None where that is no client, two ways at once, or not readable."""
    if not _IN_BODIES_ONLY.isdisjoint(request.query):
        return None
    authorization = request.headers.get("authorization", ())
    # A parameter without a value is as if it were not there (RFC 6749 §3.2).
    client_id, secret, assertion = (request.form.get(name) or None for name in ("client_id", "client_secret", "client_assertion"))
    if len(authorization) + (secret is not None) + (assertion is not None) > 1:
        return None
    if authorization:
        found = _basic(authorization[0])
        return found if found and client_id in {None, found.client_id} else None
    if assertion is not None:
        named = client_id or claimed_client(assertion)
        is_typed = request.form.get("client_assertion_type") == ASSERTION_TYPE
        return Credentials(named, "private_key_jwt", assertion) if named and is_typed else None
    if client_id is None:
        return None
    return Credentials(client_id, "none") if secret is None else Credentials(client_id, "client_secret_post", secret)


def _basic(authorization: str) -> Credentials | None:
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(text.strip(), validate=True).decode().partition(":")
        client_id, proof = unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        return None
    return Credentials(client_id, "client_secret_basic", proof, secret) if client_id and colon and secret else None
