"""JSON-RPC 2.0 as MCP narrows it: bytes to messages, and messages to bytes.

Pure. Invariants:

- `parse` returns a value for any bytes; it raises nothing.
- An id is a string or an integer of 64 bits and keeps its type to the answer (specification, basic: "Messages").
- `params`, `result` and `error.data` stay raw JSON, so what is not understood is passed on byte for byte.
- Messages are written anew from the members that were looked at. A member given twice leaves once, with the value that
  every check saw, and no member leaves that differs from a known one only in case: some servers would take it for that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
HEADER_MISMATCH: Final = -32020
MISSING_CLIENT_CAPABILITY: Final = -32021
UNSUPPORTED_PROTOCOL_VERSION: Final = -32022

MAX_BATCH: Final = 50
MAX_ID_CHARS: Final = 256
MAX_METHOD_CHARS: Final = 256

Id = str | int
Params = Mapping[str, Raw]

_NO_PARAMS: Final[Params] = {}
_PARAM_NAMES: Final = frozenset({"name", "arguments", "uri", "_meta", "cursor", "ref", "taskId", "requestState", "inputResponses"})
_BY_FOLDED_NAME: Final = {name.casefold(): name for name in _PARAM_NAMES}


class ErrorObject(msgspec.Struct, frozen=True):
    """The `error` member of a response."""

    code: int
    message: str = ""
    data: Raw | UnsetType = UNSET


class Request(msgspec.Struct, frozen=True):
    """A message that wants an answer."""

    id: Id
    method: str
    params: Params = _NO_PARAMS


class Notification(msgspec.Struct, frozen=True):
    """A message that wants none."""

    method: str
    params: Params = _NO_PARAMS


class Response(msgspec.Struct, frozen=True):
    """An answer: exactly one of `result` and `error`."""

    id: Id | None
    """None only in errors of a peer that could not read the request's id."""
    result: Params | None = None
    """Its members; every result of MCP is an object."""
    error: ErrorObject | None = None


class Batch(msgspec.Struct, frozen=True):
    """Several messages in one body, as revision 2025-03-26 alone allows."""

    messages: tuple[Request | Notification | Response, ...]


class Malformed(msgspec.Struct, frozen=True):
    """What is no message, as the error to answer with."""

    code: int
    message: str
    id: Id | None = None


Message = Request | Notification | Response


class _Envelope(msgspec.Struct):
    jsonrpc: str = ""
    id: str | int | UnsetType | None = UNSET
    method: str | UnsetType = UNSET
    params: dict[str, Raw] | None = None
    result: dict[str, Raw] | UnsetType = UNSET
    error: ErrorObject | None = None


class _OnlyId(msgspec.Struct):
    id: str | int | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_only_id = msgspec.json.Decoder(_OnlyId)
_items = msgspec.json.Decoder(list[Raw])
_text = msgspec.json.Decoder(str)
_id = msgspec.json.Decoder(str | int)
_members = msgspec.json.Decoder(dict[str, Raw])
_encode = msgspec.json.Encoder().encode


def parse(body: bytes) -> Message | Batch | Malformed:
    """Return the message in `body`, or the error to answer with."""
    if not body.isascii():
        # The decoder skips over raw members without looking at their encoding.
        try:
            body.decode()
        except UnicodeDecodeError:
            return Malformed(PARSE_ERROR, "the body is not UTF-8")
    if body.lstrip()[:1] == b"[":
        return _parse_batch(body)
    return _parse_one(body)


def _parse_batch(body: bytes) -> Batch | Malformed:
    try:
        items = _items.decode(body)
    except msgspec.DecodeError as error:
        return Malformed(PARSE_ERROR, f"not JSON: {error}")
    except RecursionError:
        return _too_deep()
    if not 1 <= len(items) <= MAX_BATCH:
        return Malformed(INVALID_REQUEST, f"a batch has 1 to {MAX_BATCH} messages, this one has {len(items)}")
    messages: list[Message] = []
    ids: set[Id] = set()
    for item in items:
        message = _parse_one(bytes(item))
        if isinstance(message, Malformed):
            return Malformed(message.code, f"message {len(messages) + 1} of the batch: {message.message}")
        if isinstance(message, Request):
            if message.id in ids:
                return Malformed(INVALID_REQUEST, f"message {len(messages) + 1} of the batch: its id is used twice")
            ids.add(message.id)
        messages.append(message)
    return Batch(tuple(messages))


def _parse_one(body: bytes) -> Message | Malformed:
    try:
        envelope = _envelope.decode(body)
    except msgspec.ValidationError as error:
        return Malformed(INVALID_REQUEST, f"not a JSON-RPC message: {error}", _readable_id(body))
    except msgspec.DecodeError as error:
        return Malformed(PARSE_ERROR, f"not JSON: {error}")
    except RecursionError:
        return _too_deep()
    fault = _fault(envelope)
    if fault is not None:
        return Malformed(INVALID_REQUEST, fault, _usable(envelope.id))
    return _message(envelope)


def _fault(envelope: _Envelope) -> str | None:
    has_answer = envelope.result is not UNSET or envelope.error is not None
    if envelope.jsonrpc != "2.0":
        return 'jsonrpc must be "2.0"'
    if envelope.id is not UNSET and envelope.id is not None and _usable(envelope.id) is None:
        return f"id must have at most {MAX_ID_CHARS} characters, or 64 bits"
    if envelope.method is UNSET:
        return _answer_fault(envelope) if has_answer else "neither method nor result nor error"
    if has_answer:
        return "method stands beside result or error"
    if envelope.id is None:
        return "id must be a string or an integer, not null"
    if not 1 <= len(envelope.method) <= MAX_METHOD_CHARS:
        return f"method must have 1 to {MAX_METHOD_CHARS} characters"
    for name in envelope.params or ():
        if name not in _PARAM_NAMES and name.casefold() in _BY_FOLDED_NAME:
            return f"params has {name!r}: names are case-sensitive, use {_BY_FOLDED_NAME[name.casefold()]!r}"
    return None


def _answer_fault(envelope: _Envelope) -> str | None:
    if envelope.result is not UNSET and envelope.error is not None:
        return "result stands beside error"
    if envelope.error is None and (envelope.id is UNSET or envelope.id is None):
        return "a result needs the id of its request"
    return None


def _message(envelope: _Envelope) -> Message:
    request_id = None if envelope.id is UNSET else envelope.id
    if envelope.method is UNSET:
        result = None if envelope.result is UNSET else envelope.result
        return Response(request_id, result, envelope.error)
    params = envelope.params if envelope.params is not None else _NO_PARAMS
    if request_id is None:
        return Notification(envelope.method, params)
    return Request(request_id, envelope.method, params)


def _too_deep() -> Malformed:
    return Malformed(INVALID_REQUEST, "the JSON is nested too deeply")


def _readable_id(body: bytes) -> Id | None:
    try:
        return _usable(_only_id.decode(body).id)
    except (msgspec.DecodeError, RecursionError):
        return None


def _usable(value: str | int | UnsetType | None) -> Id | None:
    if isinstance(value, str):
        return value if len(value) <= MAX_ID_CHARS else None
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else None
    return None


def text_member(params: Params, name: str) -> str | None:
    """Return the string at `name`; None where it is absent or no string."""
    raw = params.get(name)
    if raw is None:
        return None
    try:
        return _text.decode(raw)
    except msgspec.DecodeError:
        return None


def id_member(params: Params, name: str) -> Id | None:
    """Return the id at `name`, a string or an integer; None where it is absent or neither."""
    try:
        return _usable(_id.decode(params[name]))
    except (KeyError, msgspec.DecodeError):
        return None


def members(raw: Raw | bytes) -> dict[str, Raw] | None:
    """Return the members of a JSON object, each raw; None where it is no object."""
    try:
        return _members.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def raw_json(value: object) -> Raw:
    """Return a value as raw JSON, to stand among raw members."""
    return Raw(_encode(value))


def renamed(params: Params, name: str) -> Params:
    """Return params with another `name`, everything else byte for byte and in its place."""
    return {**params, "name": raw_json(name)}


def request_bytes(request_id: Id, method: str, params: Params) -> bytes:
    """Return the body of a request."""
    return _encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})


def notification_bytes(method: str, params: Params = _NO_PARAMS) -> bytes:
    """Return the body of a notification."""
    message: dict[str, object] = {"jsonrpc": "2.0", "method": method}
    if params:
        message["params"] = params
    return _encode(message)


def response_bytes(request_id: Id, response: Response) -> bytes:
    """Return the body that carries `response` under another id: a server's answer, for the client that asked."""
    if response.error is not None:
        return _encode({"jsonrpc": "2.0", "id": request_id, "error": response.error})
    return result_bytes(request_id, response.result)


def result_bytes(request_id: Id, result: object) -> bytes:
    """Return the body of a response with a result."""
    return _encode({"jsonrpc": "2.0", "id": request_id, "result": result})


def error_bytes(request_id: Id | None, code: int, message: str, data: object = None) -> bytes:
    """Return the body of an error; the id is null where it could not be read."""
    error: dict[str, object] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return _encode({"jsonrpc": "2.0", "id": request_id, "error": error})
