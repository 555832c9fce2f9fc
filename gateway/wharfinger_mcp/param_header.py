"""Tool arguments that are repeated in headers: `x-mcp-header` in an input schema, `Mcp-Param-…` on the wire.

Pure. Source: specification 2026-07-28, transports/streamable-http, "Custom Headers from Tool Parameters". Towards a server
the headers are derived from the arguments that are really sent; of a client they are checked against them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wharfinger_mcp import header
from wharfinger_mcp.header import PARAM_PREFIX, Fields

ANNOTATION: Final = "x-mcp-header"
MAX_POSITIONS: Final = 20_000

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_DECIMAL = re.compile(r"-?[0-9]{1,32}(?:\.0{1,32})?")
_SAFE_INTEGER: Final = 2**53 - 1
_TYPES: Final = ("string", "integer", "boolean")

# Keywords whose values are schemas. Data (`default`, `enum`, `const`, `examples`) is never searched, `$ref` never followed.
_ONE_SCHEMA: Final = frozenset(
    {"items", "contains", "unevaluatedItems", "additionalProperties", "propertyNames", "unevaluatedProperties", "contentSchema"}
    | {"not", "if", "then", "else"}
)
_SCHEMA_LIST: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMA_MAP: Final = frozenset({"patternProperties", "dependentSchemas", "$defs", "definitions"})

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParamHeader:
    """One argument that has a header."""

    path: Path
    name: str
    """The header's name, prefix included."""
    type: str


@dataclass(frozen=True, slots=True)
class InvalidAnnotation:
    """Why a tool must not be used over HTTP: the specification has clients drop it from the list."""

    reason: str


def param_headers(input_schema: object) -> tuple[ParamHeader, ...] | InvalidAnnotation:
    """Return the annotated arguments of a schema, or the first fault of its annotations."""
    found: list[ParamHeader] = []
    seen: set[str] = set()
    for count, (path, schema) in enumerate(_positions(input_schema)):
        if count >= MAX_POSITIONS:
            return InvalidAnnotation(f"the input schema has more than {MAX_POSITIONS} subschemas")
        if ANNOTATION not in schema:
            continue
        token = schema[ANNOTATION]
        if not path:
            return InvalidAnnotation(f"{ANNOTATION} stands where no chain of `properties` leads")
        if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
            return InvalidAnnotation(f"{ANNOTATION} of {_shown(path)} is no header name")
        if schema.get("type") not in _TYPES:
            return InvalidAnnotation(f"{ANNOTATION} of {_shown(path)} is on a type other than string, integer and boolean")
        if token.lower() in seen:
            return InvalidAnnotation(f"{ANNOTATION} of {_shown(path)} is used twice")
        seen.add(token.lower())
        found.append(ParamHeader(path, PARAM_PREFIX + token, str(schema["type"])))
    return tuple(found)


def headers_for(annotated: Sequence[ParamHeader], arguments: object) -> dict[str, str]:
    """Return the headers that a call with these arguments carries; absent and null arguments have none."""
    headers = {}
    for one in annotated:
        text = _text(_value(arguments, one.path))
        if text is not None:
            headers[one.name] = header.encode_value(text)
    return headers


def param_mismatch(annotated: Sequence[ParamHeader], arguments: object, fields: Fields) -> str | None:
    """Return how a call's headers contradict its arguments (answer 400 / -32020), None where they agree."""
    for one in annotated:
        if header.repeated(fields, one.name) is not None:
            return f"{one.name} is given more than once"
        value = _value(arguments, one.path)
        expected = _text(value)
        stated = header.sole(fields, one.name)
        if stated is None:
            if expected is not None:
                return f"{one.name} is missing and the argument {_shown(one.path)} is there"
            continue
        decoded = header.decode_value(stated) if header.is_field_value(stated) else None
        if decoded is None:
            return f"{one.name} has characters that a header cannot have, or no valid Base64"
        if expected is None or not _agree(one.type, value, expected, decoded):
            return f"{one.name} does not match the argument {_shown(one.path)}"
    return None


def _positions(root: object) -> Iterator[tuple[Path | None, Mapping[str, object]]]:
    """Yield every schema with its chain of property names; None once another keyword was passed."""
    stack: list[tuple[Path | None, object]] = [((), root)]
    while stack:
        path, schema = stack.pop()
        if not isinstance(schema, dict):
            continue
        yield path, schema
        for keyword, value in schema.items():
            if keyword == "properties" and isinstance(value, dict):
                stack.extend((None if path is None else (*path, name), sub) for name, sub in value.items())
            elif keyword in _ONE_SCHEMA:
                stack.append((None, value))
            elif keyword in _SCHEMA_LIST and isinstance(value, list):
                stack.extend((None, sub) for sub in value)
            elif keyword in _SCHEMA_MAP and isinstance(value, dict):
                stack.extend((None, sub) for sub in value.values())


def _value(arguments: object, path: Path) -> object:
    for name in path:
        if not isinstance(arguments, dict):
            return None
        arguments = arguments.get(name)
    return arguments


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) <= _SAFE_INTEGER else None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) <= _SAFE_INTEGER else repr(value)
    return value if isinstance(value, str) else None


def _agree(type_: str, value: object, expected: str, decoded: str) -> bool:
    if type_ == "integer" and isinstance(value, int | float) and _DECIMAL.fullmatch(decoded):
        # "42.0" and 42 are equal: the specification has integers compared as numbers.
        return int(decoded.partition(".")[0]) == value
    return decoded == expected


def _shown(path: Path) -> str:
    return repr(".".join(path)[:128])
