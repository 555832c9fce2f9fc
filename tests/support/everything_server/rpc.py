"""JSON-RPC messages, as plain dictionaries."""

from collections.abc import Awaitable, Callable
from typing import Any

Json = dict[str, Any]
Send = Callable[[Json], Awaitable[None]]
"""Takes one message to the other side."""

INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL_KEY = "io.modelcontextprotocol/logLevel"


class RpcError(Exception):
    """Ends a request with an error."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    def object(self) -> Json:
        return {"code": self.code, "message": str(self)} | ({} if self.data is None else {"data": self.data})


def result(id_: object, value: Json) -> Json:
    return {"jsonrpc": "2.0", "id": id_, "result": value}


def failure(id_: object, error: RpcError) -> Json:
    # An id that could not be read is null.
    return {"jsonrpc": "2.0", "id": id_, "error": error.object()}


def request(id_: object, method: str, params: Json) -> Json:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


def notification(method: str, params: Json | None = None) -> Json:
    return {"jsonrpc": "2.0", "method": method} | ({"params": params} if params else {})


def is_modern(message: Json, header: str | None) -> bool:
    """Tell whether a request is of the era that repeats version and capabilities in each request."""
    meta = message.get("params", {}).get("_meta")
    return (isinstance(meta, dict) and VERSION_KEY in meta) or (header is not None and header not in LEGACY)
