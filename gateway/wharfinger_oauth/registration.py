"""Clients that register themselves (RFC 7591), with nothing stored: the id is what was registered, and a MAC over it. Pure.

`dcr1.<base64url(deflated metadata, 16 bytes of HMAC-SHA256)>`. A confidential client's secret is another HMAC of its id. A platform that forgets
its root key forgets these clients; many of them never register twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import unicodedata
import zlib
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from wharfinger_crds.derived_key import derived_key
from wharfinger_crds.oauth import Registration
from wharfinger_oauth.client import Client, Method
from wharfinger_oauth.redirect_uri import RedirectUri, RedirectUriError, check_registered, parse
from wharfinger_oauth.request import MAX_BODY, Response

MARK: Final = "dcr1."
MAX_ID: Final = 1024
MAX_NAME: Final = 100
MAX_REDIRECT_URIS: Final = 10
UNNAMED: Final = "unnamed client"

_MAC: Final = 16
_GRANTS: Final = ("authorization_code", "refresh_token")
_METHODS: Final[tuple[Method, ...]] = ("none", "client_secret_basic", "client_secret_post")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Categories of characters that can change how others look; a name has none of them."""
_Error = Literal["invalid_redirect_uri", "invalid_client_metadata"]


class _Metadata(msgspec.Struct, frozen=True):
    """What of a registration counts; anything else is ignored (RFC 7591 §2)."""

    redirect_uris: tuple[str, ...] | None = None
    client_name: str | None = None
    token_endpoint_auth_method: str | None = None
    grant_types: tuple[str, ...] | None = None
    response_types: tuple[str, ...] | None = None
    application_type: str | None = None


class _Contents(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What an id holds."""

    registered_at: int
    nonce: bytes
    """Two clients that say the same of themselves have no secret in common."""
    redirect_uris: tuple[str, ...]
    name: str = ""
    method: Method = "none"


class _RefusedError(Exception):
    """What is wrong with a registration, in the words of RFC 7591 §3.2.2."""

    def __init__(self, error: _Error, description: str) -> None:
        super().__init__(description)
        self.error = error


def register(body: bytes, registration: Registration, root_key: bytes, now: int) -> Response:
    """Answer a registration; `now` is in seconds since the epoch. The answer holds a new client's id and secret, or says what to do."""
    try:
        answer = _registered(body, registration, root_key, now)
    except _RefusedError as refused:
        return _json(400, {"error": refused.error, "error_description": str(refused)})
    return _json(201, answer)


def read_client_id(client_id: str, registration: Registration, root_key: bytes) -> Client | None:
    """Return the client that an id stands for; None where it is none of ours, or nothing of it is let through any more."""
    contents = None if registration.dynamic == "Off" else _opened(client_id, root_key)
    if contents is None:
        return None
    redirect_uris = tuple(text for text in contents.redirect_uris if _is_let_through(text, registration))
    if not redirect_uris:
        return None
    secret = None if contents.method == "none" else _secret(client_id, root_key)
    return Client(client_id, contents.name or UNNAMED, redirect_uris, "Registration", contents.method, secret)


def is_showable(name: str) -> bool:
    """Tell whether a name that somebody gave himself can stand in a sentence without changing the rest of it."""
    return all(unicodedata.category(character) not in _UNSEEN for character in name)


def _registered(body: bytes, registration: Registration, root_key: bytes, now: int) -> dict[str, Any]:
    if registration.dynamic == "Off":
        raise _RefusedError("invalid_client_metadata", "clients do not register here: use a metadata document, or ask the administrator")
    metadata = _read(body)
    redirect_uris = _redirect_uris(metadata.redirect_uris or (), registration)
    _check_grants(metadata)
    contents = _Contents(
        now, secrets.token_bytes(6), tuple(uri.text for uri in redirect_uris), _name(metadata), _method(metadata, redirect_uris)
    )
    client_id = _written(contents, root_key)
    if len(client_id) > MAX_ID:
        raise _RefusedError("invalid_redirect_uri", "redirect_uris are too long together: register fewer, or shorter ones")
    secret = {} if contents.method == "none" else {"client_secret": _secret(client_id, root_key), "client_secret_expires_at": 0}
    return _answer(client_id, contents, _application_type(metadata, redirect_uris)) | secret


def _read(body: bytes) -> _Metadata:
    if len(body) > MAX_BODY:
        raise _RefusedError("invalid_client_metadata", f"the body is longer than {MAX_BODY} bytes")
    try:
        return msgspec.json.decode(body, type=_Metadata)
    except msgspec.ValidationError as error:
        where: _Error = "invalid_redirect_uri" if "$.redirect_uris" in str(error) else "invalid_client_metadata"
        raise _RefusedError(where, str(error).replace("`", "")) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _RefusedError("invalid_client_metadata", "the body is not a JSON object") from None


def _redirect_uris(texts: Sequence[str], registration: Registration) -> tuple[RedirectUri, ...]:
    if not 0 < len(texts) <= MAX_REDIRECT_URIS:
        raise _RefusedError("invalid_redirect_uri", f"redirect_uris must have between 1 and {MAX_REDIRECT_URIS} entries")
    found = []
    for number, text in enumerate(dict.fromkeys(texts)):
        try:
            uri = parse(text)
            check_registered(uri, registration)
        except RedirectUriError as error:
            raise _RefusedError("invalid_redirect_uri", f"redirect_uris[{number}] {error}") from None
        found.append(uri)
    return tuple(found)


def _name(metadata: _Metadata) -> str:
    name = (metadata.client_name or "").strip()
    if len(name) > MAX_NAME or not is_showable(name):
        raise _RefusedError("invalid_client_metadata", f"client_name is longer than {MAX_NAME} characters, or has some that cannot be seen")
    return name


def _method(metadata: _Metadata, redirect_uris: Sequence[RedirectUri]) -> Method:
    # Omitted would mean client_secret_basic (RFC 7591 §2), but clients that omit it have nowhere to keep a secret.
    method = next((one for one in _METHODS if one == (metadata.token_endpoint_auth_method or "none")), None)
    if method is None:
        raise _RefusedError("invalid_client_metadata", f"token_endpoint_auth_method must be one of {', '.join(_METHODS)}")
    if method != "none" and any((uri.kind, uri.scheme) != ("Web", "https") for uri in redirect_uris):
        raise _RefusedError(
            "invalid_client_metadata",
            "a client with a secret has https redirect URIs only: register with token_endpoint_auth_method none",
        )
    return method


def _check_grants(metadata: _Metadata) -> None:
    if metadata.grant_types and _GRANTS[0] not in metadata.grant_types:
        raise _RefusedError(
            "invalid_client_metadata", "grant_types must have authorization_code: others need a client that the administrator made"
        )
    if metadata.response_types and "code" not in metadata.response_types:
        raise _RefusedError("invalid_client_metadata", "response_types must have code")


def _application_type(metadata: _Metadata, redirect_uris: Sequence[RedirectUri]) -> str:
    given = metadata.application_type or ("web" if all(uri.kind == "Web" for uri in redirect_uris) else "native")
    if given not in {"native", "web"}:
        raise _RefusedError("invalid_client_metadata", "application_type must be native or web")
    return given


def _answer(client_id: str, contents: _Contents, application_type: str) -> dict[str, Any]:
    return {
        "client_id": client_id,
        "client_id_issued_at": contents.registered_at,
        "client_name": contents.name or UNNAMED,
        "redirect_uris": contents.redirect_uris,
        "token_endpoint_auth_method": contents.method,
        "grant_types": _GRANTS,
        "response_types": ("code",),
        "application_type": application_type,
    }


def _secret(client_id: str, root_key: bytes) -> str:
    return _text(hmac.digest(derived_key(root_key, "oauth dcr secret v1"), client_id.encode(), hashlib.sha256))


def _written(contents: _Contents, root_key: bytes) -> str:
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    data = deflate.compress(msgspec.msgpack.encode(contents)) + deflate.flush()
    return MARK + _text(data + _mac(data, root_key))


def _opened(client_id: str, root_key: bytes) -> _Contents | None:
    text = client_id.removeprefix(MARK)
    if len(client_id) > MAX_ID or not client_id.startswith(MARK) or not text.isascii():
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    data, mac = raw[:-_MAC], raw[-_MAC:]
    # One client has one id: base64 has several texts for the same bytes, and the secret and the list of denied clients go by the text.
    if _text(raw) != text or not hmac.compare_digest(mac, _mac(data, root_key)):
        return None
    return msgspec.msgpack.decode(zlib.decompress(data, wbits=-zlib.MAX_WBITS), type=_Contents)


def _mac(data: bytes, root_key: bytes) -> bytes:
    return hmac.digest(derived_key(root_key, "oauth dcr id v1"), data, hashlib.sha256)[:_MAC]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _is_let_through(text: str, registration: Registration) -> bool:
    try:
        check_registered(parse(text), registration)
    except RedirectUriError:
        return False
    return True


def _json(status: int, contents: dict[str, Any]) -> Response:
    return Response(status, msgspec.json.encode(contents), {"Content-Type": "application/json", "Cache-Control": "no-store"})
