"""Resources as tools: for a server that has resources and no tools, one tool without arguments for each, which reads it.

Pure. One tool a resource rather than one tool for all, so that a gateway chooses resources as it chooses tools. A mark in the
definition's `_meta` says which resource; only definitions made here carry it. Templates are left out: they have arguments of their own.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from wharfinger_mcp import jsonrpc
from wharfinger_mcp.jsonrpc import Params

MARK: Final = "wharfinger.dev/resource"
PREFIX: Final = "read_resource_"
MAX_NAME_CHARS: Final = 64
MAX_URI_CHARS: Final = 2048
MAX_RESOURCES: Final = 200

_HASH_CHARS: Final = 8
_FORBIDDEN = re.compile(r"[^a-z0-9]+")


class _Resource(msgspec.Struct, rename="camel"):
    uri: str
    name: str | None = None
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None


class _Contents(msgspec.Struct, rename="camel"):
    contents: list[dict[str, Any]]
    meta: Raw | UnsetType = msgspec.field(name="_meta", default=UNSET)
    result_type: str | None = msgspec.field(name="resultType", default=None)


class _Marked(msgspec.Struct):
    meta: dict[str, Raw] = msgspec.field(name="_meta", default_factory=dict)


def resource_tools(raw_resources: Iterable[Raw]) -> tuple[Mapping[str, bytes], tuple[tuple[str, str], ...]]:
    """Return the definitions of the tools by name, sorted, and what is left out: its URI, or place as `#3`, and the reason."""
    found: dict[str, _Resource] = {}
    dropped: list[tuple[str, str]] = []
    for number, raw in enumerate(raw_resources, 1):
        resource = _resource(raw)
        if isinstance(resource, str):
            dropped.append((f"#{number}", resource))
        elif resource.uri in found:
            dropped.append((resource.uri, "a resource before it has the same URI"))
        elif len(found) == MAX_RESOURCES:
            dropped.append((resource.uri, f"{MAX_RESOURCES} resources at most become tools"))
        else:
            found[resource.uri] = resource
    return {name: _definition(name, found[uri]) for name, uri in sorted(tool_names(found).items())}, tuple(dropped)


def tool_names(uris: Iterable[str]) -> dict[str, str]:
    """Return the resource behind each tool's name, which depends on the set of resources, never on its order.

    The URI with `_` for what a tool's name cannot have; names that would be too long, and all that would be equal, end in a hash.
    """
    by_plain: defaultdict[str, list[str]] = defaultdict(list)
    for uri in uris:
        by_plain[PREFIX + (_FORBIDDEN.sub("_", uri.lower()).strip("_") or "resource")].append(uri)
    names = {}
    for plain, same in by_plain.items():
        for uri in same:
            alone = len(same) == 1 and len(plain) <= MAX_NAME_CHARS
            digest = hashlib.sha256(uri.encode()).hexdigest()[:_HASH_CHARS]
            names[plain if alone else f"{plain[: MAX_NAME_CHARS - _HASH_CHARS - 1]}_{digest}"] = uri
    return names


def _resource(raw: Raw) -> _Resource | str:
    try:
        resource = msgspec.json.decode(raw, type=_Resource)
    except (msgspec.DecodeError, RecursionError):
        return "no resource with a URI"
    if not 1 <= len(resource.uri) <= MAX_URI_CHARS or not resource.uri.isprintable():
        return f"its URI does not have 1 to {MAX_URI_CHARS} printable characters"
    return resource


def _definition(name: str, resource: _Resource) -> bytes:
    what = resource.title or resource.name or resource.uri
    kind = f" ({resource.mime_type})" if resource.mime_type else ""
    described = f"Reads the resource {what}{kind}." + (f" {resource.description}" if resource.description else "")
    return msgspec.json.encode(
        {
            "name": name,
            "title": what,
            "description": described,
            "inputSchema": {"type": "object", "properties": {}, "additionalProperties": False},
            "annotations": {"readOnlyHint": True},
            "_meta": {MARK: resource.uri},
        }
    )


def resource_uri(definition: bytes) -> str | None:
    """Return the resource that a tool reads; None for a tool of the server's own."""
    if MARK.encode() not in definition:
        return None
    try:
        raw = msgspec.json.decode(definition, type=_Marked).meta.get(MARK)
        return None if raw is None else msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        return None


def unmarked(definition: bytes) -> bytes:
    """Return a server's own definition without a mark that only we may set."""
    if resource_uri(definition) is None:
        return definition
    members = jsonrpc.members(definition) or {}
    meta = {key: value for key, value in (jsonrpc.members(members["_meta"]) or {}).items() if key != MARK}
    return bytes(jsonrpc.raw_json({**members, "_meta": meta}))


def read_params(params: Params, uri: str) -> Params:
    """Return the params of `resources/read` for a call of the tool."""
    return {"uri": jsonrpc.raw_json(uri), **({"_meta": params["_meta"]} if "_meta" in params else {})}


def tool_result(result: Params) -> Params | None:
    """Return the CallToolResult for a ReadResourceResult: text, images and sound as what they are, everything else embedded.

    None where it has another shape than the specification's. A result that is not complete stays as it is.
    """
    try:
        read = msgspec.json.decode(jsonrpc.raw_json(result), type=_Contents)
    except (msgspec.DecodeError, RecursionError):
        return result if jsonrpc.text_member(result, "resultType") not in (None, "complete") else None
    if read.result_type not in (None, "complete"):
        return result
    content = [_content(part) for part in read.contents]
    if None in content:
        return None
    whole = {"content": jsonrpc.raw_json(content)}
    return whole if read.meta is UNSET else {**whole, "_meta": jsonrpc.raw_json(read.meta)}


def _content(part: Mapping[str, Any]) -> dict[str, Any] | None:
    text, blob, mime_type = part.get("text"), part.get("blob"), part.get("mimeType")
    if isinstance(text, str):
        return {"type": "text", "text": text}
    if not isinstance(blob, str) or not isinstance(part.get("uri"), str):
        return None
    kind = mime_type.partition("/")[0] if isinstance(mime_type, str) else ""
    if kind in ("image", "audio"):
        return {"type": kind, "data": blob, "mimeType": mime_type}
    return {"type": "resource", "resource": dict(part)}
