"""Client ID metadata documents: a client whose id is the https URL of what it says of itself. Pure.

Source: draft-ietf-oauth-client-id-metadata-document-01. The host vouches for the document, and nobody for what the document says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from wharfinger_crds.domain import covers
from wharfinger_crds.oauth import Registration
from wharfinger_oauth.client import Client
from wharfinger_oauth.redirect_uri import RedirectUri, RedirectUriError, parse
from wharfinger_oauth.registration import MAX_NAME, MAX_REDIRECT_URIS, is_showable

MAX_ID: Final = 512
MAX_DOCUMENT: Final = 5 * 1024
"""Bytes (§6.6 of the draft)."""
MAX_KEY_SET: Final = 16 * 1024
MAX_KEYS: Final = 16

_PATH: Final = re.compile(r"/(?:[A-Za-z0-9._~:@!$&'()+,;=/-]|%[0-9A-Fa-f]{2})+", re.ASCII)


class DocumentError(ValueError):
    """What came is no document of that client; the message says why."""


class _Document(msgspec.Struct, frozen=True):
    """What of a document counts."""

    client_id: str
    client_name: str
    redirect_uris: tuple[str, ...]
    token_endpoint_auth_method: Literal["none", "private_key_jwt"] | None = None
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    client_secret: Any = None
    client_secret_expires_at: Any = None


@dataclass(frozen=True, slots=True)
class Read:
    """A client, and where its keys are if they are not in the document."""

    client: Client
    keys_url: str | None = None


def document_host(client_id: str) -> str | None:
    """Return the host of an id that is a document's URL; None where it is none (§3 of the draft; a query is refused as well)."""
    url = _https(client_id)
    if url is None or len(client_id) > MAX_ID or not _PATH.fullmatch(url.rest):
        return None
    return url.host


def is_trusted(host: str, registration: Registration) -> bool:
    """Tell whether documents of a host count."""
    if registration.metadata_documents == "Off":
        return False
    return not registration.document_hosts or any(covers(rule, host) for rule in registration.document_hosts)


def read_document(client_id: str, content_type: str, body: bytes) -> Read:
    """Return the client that a document describes. Raises DocumentError."""
    _check_is_json(content_type)
    try:
        document = msgspec.json.decode(body, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DocumentError(f"no document: {str(error)[:200]}") from None
    host = document_host(client_id)
    if host is None or document.client_id != client_id:
        raise DocumentError("client_id is not the document's own URL")
    if document.client_secret is not None or document.client_secret_expires_at is not None:
        raise DocumentError("a secret stands in the document, where everybody reads it")
    if not 0 < len(document.client_name) <= MAX_NAME or not is_showable(document.client_name):
        raise DocumentError(f"client_name is empty, longer than {MAX_NAME} characters, or has some that cannot be seen")
    redirect_uris = _redirect_uris(document.redirect_uris)
    if document.token_endpoint_auth_method != "private_key_jwt":  # noqa: S105 - a method's name
        return Read(Client(client_id, document.client_name, redirect_uris, "Document", host=host))
    if (document.jwks is None) == (document.jwks_uri is None):
        raise DocumentError("private_key_jwt takes one of jwks and jwks_uri")
    if document.jwks_uri is not None and _https(document.jwks_uri) is None:
        raise DocumentError("jwks_uri is not https")
    keys = None if document.jwks is None else _checked_keys(document.jwks)
    client = Client(client_id, document.client_name, redirect_uris, "Document", "private_key_jwt", keys=keys, host=host)
    return Read(client, document.jwks_uri)


def read_keys(content_type: str, body: bytes) -> dict[str, Any]:
    """Return a key set (RFC 7517). Raises DocumentError."""
    _check_is_json(content_type)
    try:
        return _checked_keys(msgspec.json.decode(body, type=dict[str, Any]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DocumentError(f"no key set: {error}") from None


def _https(text: str) -> RedirectUri | None:
    """Return the parts of an https URL of a host with a name."""
    try:
        url = parse(text)
    except RedirectUriError:
        return None
    return url if url.kind in {"Web", "Loopback"} and url.scheme == "https" and text.startswith("https://") else None


def _redirect_uris(texts: tuple[str, ...]) -> tuple[str, ...]:
    if not 0 < len(texts) <= MAX_REDIRECT_URIS:
        raise DocumentError(f"redirect_uris must have between 1 and {MAX_REDIRECT_URIS} entries")
    try:
        return tuple(parse(text).text for text in dict.fromkeys(texts))
    except RedirectUriError as error:
        raise DocumentError(f"a redirect URI {error}") from None


def _checked_keys(keys: dict[str, Any]) -> dict[str, Any]:
    found = keys.get("keys")
    if not isinstance(found, list) or not 0 < len(found) <= MAX_KEYS or not all(isinstance(key, dict) for key in found):
        raise DocumentError(f"a key set has between 1 and {MAX_KEYS} keys")
    return {"keys": found}


def _check_is_json(content_type: str) -> None:
    essence = content_type.partition(";")[0].strip().lower()
    if essence != "application/json" and not (essence.startswith("application/") and essence.endswith("+json")):
        raise DocumentError(f"the content type is not JSON: {essence[:80]!r}")
