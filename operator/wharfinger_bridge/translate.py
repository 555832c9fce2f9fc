"""What changes between a caller of one era and a server of another, and what the bridge answers by itself. Pure.

Everything that is not named here passes through untouched. Inputs are never edited.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wharfinger_bridge import VERSION
from wharfinger_bridge.era import (
    CAPABILITIES_KEY,
    LEGACY_VERSIONS,
    META_PREFIX,
    MODERN_VERSION,
    SERVER_LEGACY_VERSIONS,
    VERSION_KEY,
    Era,
)
from wharfinger_bridge.jsonrpc import Json, Request

SERVER_INFO_KEY: Final = f"{META_PREFIX}serverInfo"
CLIENT_INFO: Final = {"name": "wharfinger-bridge", "version": VERSION}
ENVELOPE: Final[Json] = {VERSION_KEY: MODERN_VERSION, CAPABILITIES_KEY: {}, f"{META_PREFIX}clientInfo": CLIENT_INFO}
"""`_meta` of what the bridge asks on its own or for a legacy caller: no client capabilities, for nobody could be asked."""

_ASKED = frozenset({"elicitation", "sampling", "roots"})
_UNNAMED = {"name": "unknown", "version": "unknown"}
_LISTED = frozenset({"tools", "prompts", "resources"})
_CACHEABLE = frozenset({"server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"})
PROGRESS: Final = "notifications/progress"
_PROGRESS_TOKEN = "progressToken"  # noqa: S105  a name
_LOG_LEVEL_KEY = f"{META_PREFIX}logLevel"


@dataclass(frozen=True)
class Server:
    """What a server said of itself in its handshake."""

    era: Era
    version: str
    info: Mapping[str, Any]
    capabilities: Mapping[str, Any]
    instructions: str | None


def discovered_server(result: Any) -> Server | None:
    """Return the server that a `server/discover` result describes, or None where it does not speak the modern revision."""
    if not isinstance(result, dict) or MODERN_VERSION not in _list(result.get("supportedVersions")):
        return None
    info = _dict(_dict(result.get("_meta")).get(SERVER_INFO_KEY)) or _dict(result.get("serverInfo"))
    return Server(Era.MODERN, MODERN_VERSION, info or _UNNAMED, _dict(result.get("capabilities")), _text(result.get("instructions")))


def initialized_server(result: Any) -> Server | None:
    """Return the server that an `initialize` result describes, or None where its revision is not spoken here."""
    if not isinstance(result, dict) or result.get("protocolVersion") not in SERVER_LEGACY_VERSIONS:
        return None
    info = _dict(result.get("serverInfo")) or _UNNAMED
    return Server(Era.LEGACY, result["protocolVersion"], info, _dict(result.get("capabilities")), _text(result.get("instructions")))


def initialize_result(params: Json, server: Server, *, is_own: bool = False) -> Json:
    """Return the answer to a legacy caller's `initialize`: its revision where that is offered, else the newest.

    `is_own`: the server is the caller's alone, with all that it can.
    """
    requested = params.get("protocolVersion")
    version = requested if requested in LEGACY_VERSIONS else LEGACY_VERSIONS[0]
    capabilities = server.capabilities if is_own else _shared(server.capabilities)
    return {"protocolVersion": version, "capabilities": capabilities, "serverInfo": server.info} | _instructions(server)


def discover_result(server: Server) -> Json:
    """Return the answer to a modern caller's `server/discover`."""
    result = {"supportedVersions": [MODERN_VERSION], "capabilities": _shared(server.capabilities)} | _instructions(server)
    return _completed("server/discover", result, server)


def server_message(request: Request, caller: Era, server: Server) -> Json:
    """Return a caller's request as its server understands it; the id is the sender's to choose."""
    meta = request.params.get("_meta")
    dropped = {_PROGRESS_TOKEN, _LOG_LEVEL_KEY}  # the sender has a token of its own; log records name no call, so none are asked for
    kept = {
        key: value
        for key, value in _dict(meta).items()
        if key not in dropped and not (caller is Era.MODERN and server.era is Era.LEGACY and key.startswith(META_PREFIX))
    }
    if caller is Era.LEGACY and server.era is Era.MODERN:
        kept |= ENVELOPE
    if kept:
        return request.message | {"params": request.params | {"_meta": kept}}
    if meta is None:
        return request.message
    return request.message | {"params": {key: value for key, value in request.params.items() if key != "_meta"}}


def progress_token(request: Request) -> Any:
    """Return the token under which a caller wants to hear of progress; None where it does not."""
    return _dict(request.params.get("_meta")).get(_PROGRESS_TOKEN)


def tracked(message: Json, token: int) -> Json:
    """Return a request whose progress is told under this token."""
    params = _dict(message.get("params"))
    return message | {"params": params | {"_meta": _dict(params.get("_meta")) | {_PROGRESS_TOKEN: token}}}


def caller_progress(message: Json, request: Request) -> Json:
    """Return what a server says of the progress of a request under its caller's own token."""
    return message | {"params": _dict(message.get("params")) | {_PROGRESS_TOKEN: progress_token(request)}}


def caller_result(method: str, result: Any, caller: Era, server: Server) -> Any:
    """Return a server's result as the caller understands it."""
    if caller is Era.MODERN and server.era is Era.LEGACY and isinstance(result, dict):
        return _completed(method, result, server)
    return result


def _completed(method: str, result: Json, server: Server) -> Json:
    added: Json = {"resultType": "complete"} | ({"ttlMs": 0, "cacheScope": "private"} if method in _CACHEABLE else {})
    return added | result | {"_meta": {SERVER_INFO_KEY: server.info} | _dict(result.get("_meta"))}


def asked_for(params: Json) -> Json:
    """Return what a caller says in `initialize` that it can be asked for."""
    return {name: value for name, value in _dict(params.get("capabilities")).items() if name in _ASKED and isinstance(value, dict)}


def _shared(capabilities: Mapping[str, Any]) -> Json:
    """Return capabilities without those whose methods or notifications end at the bridge where callers share a server."""
    return {name: _answered(settings) if name in _LISTED else settings for name, settings in capabilities.items() if name != "logging"}


def _answered(settings: Any) -> Any:
    return {key: value for key, value in _dict(settings).items() if key != "subscribe"}


def _instructions(server: Server) -> Json:
    return {} if server.instructions is None else {"instructions": server.instructions}


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
