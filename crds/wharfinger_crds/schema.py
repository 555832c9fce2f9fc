"""Models to structural CRD schemas, and kinds to CRDs.

A structural schema (Kubernetes, "Specifying a structural schema") knows no `$ref`, no `anyOf` over types, no `const`, no
`additionalProperties: false`; the API server refuses them. What has no faithful translation is a SchemaError here, at
generation, rather than a surprise there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

_DROPPED: Final = {"title", "$defs", "required", "default", "minProperties", "x-visible-default", "x-required"}
_DEEPEST: Final = 30
_CHILDREN: Final = {"const", "properties", "items", "additionalProperties"}
_KEPT: Final = {
    "type", "description", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "maxProperties", "format",
    "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-preserve-unknown-fields",
}  # fmt: skip


class SchemaError(Exception):
    """A model says something that a structural schema cannot."""


def structural_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the structural schema of a model.

    Raises SchemaError where the model has no structural translation.
    """
    raw = model.model_json_schema(by_alias=True)
    return _convert(raw, raw.get("$defs", {}), model.__name__)


def _convert(node: Mapping[str, Any], definitions: Mapping[str, Any], where: str) -> dict[str, Any]:
    if where.count(".") > _DEEPEST:
        raise SchemaError(f"{where[:200]}…: a model contains itself")
    node = _resolve(node, definitions, where)
    unknown = set(node) - _KEPT - _CHILDREN - _DROPPED
    if unknown:
        raise SchemaError(f"{where}: {', '.join(sorted(unknown))} has no structural translation")
    out = {key: value for key, value in node.items() if key in _KEPT}
    if "const" in node:
        out["enum"] = [node["const"]]
    if node.get("x-visible-default"):
        out["default"] = node["default"]
    if out.get("x-kubernetes-preserve-unknown-fields"):
        return out
    if "properties" in node:
        out["properties"] = {name: _convert(child, definitions, f"{where}.{name}") for name, child in node["properties"].items()}
    if "items" in node:
        out["items"] = _convert(node["items"], definitions, f"{where}[]")
    if isinstance(node.get("additionalProperties"), Mapping):
        out["additionalProperties"] = _convert(node["additionalProperties"], definitions, f"{where}[*]")
    required = [
        name
        for name in node.get("properties", {})
        if name in node.get("required", ()) or _is_required(node["properties"][name], definitions)
    ]
    return {**out, "required": required} if required else out


def _is_required(child: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    return bool(_resolve(child, definitions, "").get("x-required"))


def _resolve(node: Mapping[str, Any], definitions: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return `node` without `$ref`, `allOf` of one and `anyOf` with null; what stands beside a reference wins."""
    rest = {key: value for key, value in node.items() if key not in {"$ref", "anyOf", "allOf"}}
    if "$ref" in node:
        return _merged(_resolve(definitions[node["$ref"].rsplit("/", 1)[1]], definitions, where), rest)
    for union in ("anyOf", "allOf"):
        if union in node:
            options = [option for option in node[union] if option.get("type") != "null"]
            if len(options) != 1:
                raise SchemaError(f"{where}: a union of {len(options)} types has no structural translation")
            return _merged(_resolve(options[0], definitions, where), rest)
    return rest


def _merged(inner: Mapping[str, Any], outer: Mapping[str, Any]) -> dict[str, Any]:
    rules = [*inner.get("x-kubernetes-validations", ()), *outer.get("x-kubernetes-validations", ())]
    merged = {**inner, **outer}
    return {**merged, "x-kubernetes-validations": rules} if rules else merged
