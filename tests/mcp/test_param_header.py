"""Arguments repeated in headers, with the official SDK as the judge of schemas."""

from typing import Any

import pytest
from mcp.shared import inbound
from multidict import CIMultiDict

from wharfinger_mcp.param_header import InvalidAnnotation, ParamHeader, headers_for, param_headers, param_mismatch


def schema(**properties: object) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


REGION = {"type": "string", "x-mcp-header": "Region"}
VALID: dict[str, Any] = {
    "no annotation": schema(a={"type": "string"}),
    "a text": schema(region=REGION),
    "an integer and a boolean": schema(n={"type": "integer", "x-mcp-header": "N"}, b={"type": "boolean", "x-mcp-header": "B"}),
    "a nested property": schema(outer=schema(region=REGION)),
    "a property of the annotation's name": schema(**{"x-mcp-header": {"type": "string"}}),
    "an annotation in data is none": schema(a={"type": "object", "default": {"x-mcp-header": ""}, "enum": [{"x-mcp-header": 1}]}),
    "a schema that is no object": True,
}
INVALID: dict[str, Any] = {
    "an empty name": schema(a={"type": "string", "x-mcp-header": ""}),
    "a name that is no text": schema(a={"type": "string", "x-mcp-header": 5}),
    "a name with a space": schema(a={"type": "string", "x-mcp-header": "a b"}),
    "a name with a line end": schema(a={"type": "string", "x-mcp-header": "a\n"}),
    "a number, which has no one spelling": schema(a={"type": "number", "x-mcp-header": "A"}),
    "an object": schema(a={"type": "object", "x-mcp-header": "A"}),
    "several types": schema(a={"type": ["string", "null"], "x-mcp-header": "A"}),
    "no type": schema(a={"x-mcp-header": "A"}),
    "one name in two cases": schema(a=REGION, b={"type": "string", "x-mcp-header": "REGION"}),
    "the root": {"type": "string", "x-mcp-header": "A"},
    "below items": schema(a={"type": "array", "items": schema(region=REGION)}),
    "below anyOf": {"anyOf": [schema(region=REGION)]},
    "below $defs": {"$defs": {"a": REGION}},
    "below if": {"if": schema(region=REGION)},
    "below not": schema(a={"not": schema(region=REGION)}),
}


@pytest.mark.parametrize("case", VALID)
def test_valid_annotations_are_found(case: str) -> None:
    assert inbound.find_invalid_x_mcp_header(VALID[case]) is None

    found = param_headers(VALID[case])

    assert isinstance(found, tuple)
    assert {one.path: one.name.removeprefix("Mcp-Param-") for one in found} == inbound.x_mcp_header_map(VALID[case])


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_annotation_is_a_reason_to_leave_the_tool_out(case: str) -> None:
    assert inbound.find_invalid_x_mcp_header(INVALID[case]) is not None
    assert isinstance(param_headers(INVALID[case]), InvalidAnnotation)


def test_a_schema_without_end_is_given_up() -> None:
    assert param_headers({"allOf": [{}] * 30_000}) == InvalidAnnotation("the input schema has more than 20000 subschemas")


ANNOTATED = (
    ParamHeader(("region",), "Mcp-Param-Region", "string"),
    ParamHeader(("outer", "count"), "Mcp-Param-Count", "integer"),
    ParamHeader(("dry",), "Mcp-Param-Dry", "boolean"),
)


def test_headers_repeat_the_arguments_that_are_there() -> None:
    assert headers_for(ANNOTATED, {"region": "süd", "outer": {"count": 42}, "dry": False, "other": 1}) == {
        "Mcp-Param-Region": "=?base64?c8O8ZA==?=",
        "Mcp-Param-Count": "42",
        "Mcp-Param-Dry": "false",
    }


@pytest.mark.parametrize("arguments", [None, 5, [], {}, {"region": None}, {"region": ["a"]}, {"outer": 5}, {"outer": {"count": 10**400}}])
def test_absent_null_and_shapeless_arguments_have_no_header(arguments: object) -> None:
    assert headers_for(ANNOTATED, arguments) == {}


AGREE: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "nothing on either side": ({}, {}),
    "null is nothing": ({"region": None}, {}),
    "equal": ({"region": "a"}, {"mcp-param-region": " a "}),
    "encoded": ({"region": "süd"}, {"Mcp-Param-Region": "=?base64?c8O8ZA==?="}),
    "integers as numbers": ({"outer": {"count": 42}}, {"Mcp-Param-Count": "42.0"}),
    "a float that is an integer": ({"outer": {"count": 42.0}}, {"Mcp-Param-Count": "42"}),
    "an unknown one is not ours to judge": ({}, {"Mcp-Param-Other": "x"}),
}
DISAGREE: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "missing": ({"region": "a"}, {}),
    "other value": ({"region": "a"}, {"Mcp-Param-Region": "b"}),
    "other case": ({"region": "a"}, {"Mcp-Param-Region": "A"}),
    "no argument": ({}, {"Mcp-Param-Region": "a"}),
    "null": ({"region": None}, {"Mcp-Param-Region": "null"}),
    "broken Base64": ({"region": "a"}, {"Mcp-Param-Region": "=?base64?!?="}),
    "no ASCII": ({"region": "süd"}, {"Mcp-Param-Region": "süd"}),
    "another integer": ({"outer": {"count": 42}}, {"Mcp-Param-Count": "43"}),
    "no integer": ({"outer": {"count": 42}}, {"Mcp-Param-Count": "42.5"}),
    "a boolean is not 1": ({"dry": True}, {"Mcp-Param-Dry": "1"}),
    "an argument that has no header": ({"region": ["a"]}, {"Mcp-Param-Region": "a"}),
}


@pytest.mark.parametrize("case", AGREE)
def test_headers_that_repeat_the_arguments_pass(case: str) -> None:
    arguments, headers = AGREE[case]
    assert param_mismatch(ANNOTATED, arguments, CIMultiDict(headers)) is None


@pytest.mark.parametrize("case", DISAGREE)
def test_headers_that_contradict_the_arguments_are_a_mismatch(case: str) -> None:
    arguments, headers = DISAGREE[case]
    assert param_mismatch(ANNOTATED, arguments, CIMultiDict(headers)) is not None


def test_a_header_given_twice_is_a_mismatch() -> None:
    twice = CIMultiDict([("Mcp-Param-Region", "a"), ("mcp-param-region", "a")])
    assert param_mismatch(ANNOTATED, {"region": "a"}, twice) == "Mcp-Param-Region is given more than once"


def test_what_we_send_is_what_the_sdk_accepts() -> None:
    input_schema = schema(
        region=REGION, outer=schema(count={"type": "integer", "x-mcp-header": "Count"}), dry={"type": "boolean", "x-mcp-header": "Dry"}
    )
    annotated = param_headers(input_schema)
    assert isinstance(annotated, tuple)
    for arguments in ({"region": " ", "dry": True}, {"region": "a", "outer": {"count": -7}}, {"outer": {"count": 3.0}, "dry": None}):
        assert inbound.validate_mcp_param_headers(input_schema, arguments, headers_for(annotated, arguments)) is None
