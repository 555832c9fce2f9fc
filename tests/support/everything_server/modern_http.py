"""Streamable HTTP of the revision without a handshake: each POST for itself, its headers repeating its body."""

import base64
import binascii
from collections.abc import Mapping

from aiohttp import web

from everything_server import modern, rpc
from everything_server.channel import HEADERS, event
from everything_server.rpc import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_CAPABILITY,
    UNSUPPORTED_VERSION,
    VERSION_KEY,
    Json,
    RpcError,
)
from everything_server.surface import Surface
from everything_server.tools import TOOLS

_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_STATUS = {METHOD_NOT_FOUND: 404} | dict.fromkeys(
    (INVALID_REQUEST, INVALID_PARAMS, HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION), 400
)


class _Response:
    """JSON, or from the first message before the answer on, a stream."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.stream: web.StreamResponse | None = None

    async def send(self, message: Json) -> None:
        if self.stream is None:
            self.stream = web.StreamResponse(headers=HEADERS)
            await self.stream.prepare(self._request)
        await self.stream.write(event(message))


async def handle(surface: Surface, request: web.Request, message: Json) -> web.StreamResponse:
    """Answer a POST. The client's leaving cancels it."""
    if "id" not in message:
        return web.Response(status=202)
    try:
        _check_headers(request.headers, message)
    except RpcError as error:
        return _json(rpc.failure(message["id"], error))
    response = _Response(request)
    answer = await modern.answer(surface, message, response.send)
    if response.stream is None:
        return _json(answer)
    await response.send(answer)
    return response.stream


def _json(answer: Json) -> web.Response:
    return web.json_response(answer, status=_STATUS.get(answer["error"]["code"], 200) if "error" in answer else 200)


def _check_headers(headers: Mapping[str, str], message: Json) -> None:
    """Raise RpcError where headers and body differ, or the body is no request; what it lacks in `_meta` is not the headers' matter."""
    if "method" not in message:
        raise RpcError(INVALID_REQUEST, "the body must be a request or a notification")
    method, params = message["method"], message.get("params", {})
    meta = params.get("_meta")
    version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
    if version is not None and headers.get("MCP-Protocol-Version") != version:
        raise RpcError(HEADER_MISMATCH, "MCP-Protocol-Version does not match")
    if headers.get("Mcp-Method", "").strip() != method:
        raise RpcError(HEADER_MISMATCH, "Mcp-Method does not match")
    named = params.get(_NAMED_BY.get(method, ""))
    if named is not None and _decoded(headers.get("Mcp-Name")) != named:
        raise RpcError(HEADER_MISMATCH, "Mcp-Name does not match")
    if method == "tools/call" and named in TOOLS:
        _check_params(headers, TOOLS[named].schema, params.get("arguments", {}))


def _check_params(headers: Mapping[str, str], schema: Json, arguments: Json) -> None:
    for name, declared in schema.get("properties", {}).items():
        header, value = declared.get("x-mcp-header"), arguments.get(name)
        if header is not None and _decoded(headers.get(f"Mcp-Param-{header}")) != value:
            raise RpcError(HEADER_MISMATCH, f"Mcp-Param-{header} does not match")


def _decoded(value: str | None) -> str | None:
    stripped = None if value is None else value.strip()
    if stripped is None or not (stripped.startswith("=?base64?") and stripped.endswith("?=")):
        return stripped
    try:
        return base64.b64decode(stripped[9:-2], validate=True).decode()
    except (binascii.Error, ValueError):
        return None
