"""JSON-RPC 2.0 messages: bytes to typed messages and back, and every error body with its HTTP status.

Pure. A message is parsed once; members this module does not know stay in it untouched. What is written is ASCII on one line, so it
is valid both as a stdio frame and as an HTTP body, lone surrogates included.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
HEADER_MISMATCH: Final = -32020
MISSING_CLIENT_CAPABILITY: Final = -32021
UNSUPPORTED_PROTOCOL_VERSION: Final = -32022

MODERN_HTTP_STATUS: Final[Mapping[int, int]] = MappingProxyType(
    {
        PARSE_ERROR: 400,
        INVALID_REQUEST: 400,
        INVALID_PARAMS: 400,
        HEADER_MISMATCH: 400,
        MISSING_CLIENT_CAPABILITY: 400,
        UNSUPPORTED_PROTOCOL_VERSION: 400,
        METHOD_NOT_FOUND: 404,
    }
)
"""HTTP status of a JSON-RPC error towards a 2026-07-28 caller; a code that is not here is 200."""

Json = dict[str, Any]
RequestId = int | str


@dataclass(frozen=True, slots=True)
class Request:
    """A call that wants an answer with the same id, of the same type."""

    id: RequestId
    method: str
    params: Json
    message: Json


@dataclass(frozen=True, slots=True)
class Notification:
    """A message without an id: there is nothing to answer."""

    method: str
    params: Json


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to something that the server asked."""

    id: RequestId
    message: Json


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message is not carried out, as HTTP status and JSON-RPC error."""

    status: int
    code: int
    message: str
    id: RequestId | None = None
    data: Any = None


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_STRICT = json.JSONDecoder(parse_constant=_not_json)
_LENIENT = json.JSONDecoder(parse_constant=lambda _: None)
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def decode(data: bytes, *, lenient: bool = False) -> Any:
    """Return the JSON value in UTF-8 bytes; lenient reads NaN and the infinities, which Python servers print, as null.

    Raises ValueError for everything else that is not JSON, nesting beyond the interpreter's depth included.
    """
    try:
        return (_LENIENT if lenient else _STRICT).decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def encode(value: Any) -> bytes:
    """Return compact ASCII JSON. Raises ValueError for a number that JSON has no form for."""
    return _ENCODER.encode(value).encode("ascii")


def read_message(body: bytes) -> Request | Notification | Reply | Refusal:
    """Return what one HTTP body asks for; the first failed check is the answer (JSON-RPC 2.0 §4; batches ended with MCP 2025-06-18)."""
    try:
        message = decode(body)
    except ValueError:
        return Refusal(400, PARSE_ERROR, "the body is not JSON in UTF-8")
    if isinstance(message, list):
        return Refusal(400, INVALID_REQUEST, "batches are not served: send one message per request")
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return Refusal(400, INVALID_REQUEST, 'the body is not a JSON-RPC message: an object with "jsonrpc": "2.0"')
    id_ = message.get("id")
    if "id" in message and (isinstance(id_, bool) or not isinstance(id_, int | str)):
        return Refusal(400, INVALID_REQUEST, "id must be a string or an integer")
    method = message.get("method")
    if "method" not in message and id_ is not None and ("result" in message) != ("error" in message):
        return Reply(id_, message)
    if not isinstance(method, str):
        return Refusal(400, INVALID_REQUEST, "method must be a string", id_)
    params = message.get("params", {})
    if not isinstance(params, dict):
        return Refusal(400, INVALID_PARAMS, "params must be an object", id_)
    return Notification(method, params) if id_ is None else Request(id_, method, params, message)


def error_body(code: int, message: str, id_: RequestId | None, data: Any = None) -> bytes:
    """Return a JSON-RPC error response."""
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return encode({"jsonrpc": "2.0", "id": id_, "error": error})
