"""What is generated from the models is fresh, and models that a CRD cannot express are refused at generation."""

from typing import Any

import pytest
from pydantic import BaseModel

from wharfinger_crds.__main__ import generated
from wharfinger_crds.kinds import KINDS, Kind, custom_resource_definition
from wharfinger_crds.schema import SchemaError, structural_schema


def test_the_crds_and_the_charts_copy_are_what_the_models_say() -> None:
    stale = [path.name for path, text in generated().items() if not path.exists() or path.read_text() != text]

    assert stale == [], "run `make crds`"


def _strings_and_lists(node: dict[str, Any], where: str) -> list[str]:
    found = []
    kind = node.get("type")
    open_string = kind == "string" and not ({"maxLength", "enum", "format"} & node.keys())
    open_list = kind == "array" and "maxItems" not in node
    open_map = "additionalProperties" in node and "maxProperties" not in node
    if open_string or open_list or open_map:
        found.append(where)
    for name, child in node.get("properties", {}).items():
        found += _strings_and_lists(child, f"{where}.{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(node.get(part), dict):
            found += _strings_and_lists(node[part], f"{where}[]")
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_string_list_and_map_of_a_spec_has_a_maximum(kind: Kind) -> None:
    schema = custom_resource_definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

    assert _strings_and_lists(schema["properties"]["spec"], "spec") == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_an_object_nobody_has_seen_is_not_taken_for_settled(kind: Kind) -> None:
    schema = custom_resource_definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

    assert schema["properties"]["status"]["default"] == {"observedGeneration": -1}


class _Union(BaseModel):
    value: int | str


class _Recursive(BaseModel):
    child: "_Recursive | None" = None


@pytest.mark.parametrize(("model", "words"), [(_Union, "a union of 2 types"), (_Recursive, "contains itself")])
def test_a_model_without_structural_translation_is_refused_at_generation(model: type[BaseModel], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        structural_schema(model)
