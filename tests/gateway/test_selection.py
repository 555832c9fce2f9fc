"""Which prompts, resources and templates callers see, and whose a URI is."""

import json

import pytest
from msgspec import Raw

from gateway_world import gateway, installation, pinned, snapshot_of
from wharfinger_gateway.selection import PROMPTS, RESOURCES, TEMPLATES, climbs, fits, owner_of, selected
from wharfinger_gateway.snapshot import Gateway

pytestmark = pytest.mark.requirement("GW-16")


def made(**assignments: dict[str, list[str]]) -> Gateway:
    installations = [part for name in assignments for part in installation(name, team="engineering")]
    wanted = [pinned(name, **selection) for name, selection in assignments.items()]
    return snapshot_of(*installations, gateway("tools", *wanted)).gateways["dev.tools"]


def raw(**members: object) -> Raw:
    return Raw(json.dumps(members).encode())


def test_prompts_are_prefixed_keep_what_is_not_understood_and_only_the_selected_ones_show() -> None:
    found = made(a={"prompts": ["p*", "x"]}, b={"prompts": ["p1"]}, c={})
    prompts = [raw(name="p1", x={"$defs": 1.5}, _meta={"k": 1}), raw(name="q"), raw(name="x"), raw(title="none"), Raw(b"3")]
    shown = selected(PROMPTS, [(assignment, prompts) for assignment in found.assignments])
    assert list(shown) == ["a__p1", "a__x", "b__p1"]
    definition = json.loads(bytes(shown["a__p1"].definition))
    assert definition == {"name": "a__p1", "x": {"$defs": 1.5}, "_meta": {"k": 1, "wharfinger.dev/prompt": "p1"}}


def test_uris_stay_and_of_two_servers_with_one_the_first_counts() -> None:
    found = made(a={"resources": ["a://*"]}, b={"resources": ["*"]})
    shown = selected(RESOURCES, [(one, [raw(uri="a://1", from_=one.prefix), raw(uri="b://1")]) for one in found.assignments])
    assert {uri: item.assignment.prefix for uri, item in shown.items()} == {"a://1": "a", "b://1": "b"}


@pytest.mark.parametrize(
    ("uri", "owner"),
    [
        ("a://listed", "a"),
        ("t://7/data", "b"),
        ("t://7/8/data", None),
        ("only-a://anything", "a"),
        ("both://anything", None),
        ("nobody://x", None),
        ("only-a://x/../y", None),
        ("only-a://" + "x" * 5000, None),
    ],
)
def test_a_uri_belongs_to_who_lists_it_or_describes_it_or_alone_selects_it(uri: str, owner: str | None) -> None:
    found = made(a={"resources": ["a://listed", "only-a://*", "both://*"]}, b={"resources": ["a://*", "both://*", "t://{id}/data"]})
    first, second = found.assignments
    resources = selected(RESOURCES, [(first, [raw(uri="a://listed")]), (second, [raw(uri="a://listed")])])
    templates = selected(TEMPLATES, [(second, [raw(uriTemplate="t://{id}/data"), raw(uriTemplate="u://{id}")])])
    assignment = owner_of(uri, resources, templates, found)
    assert (assignment.prefix if assignment else None) == owner


@pytest.mark.parametrize(
    ("uri", "template", "expected"),
    [
        ("t://1/data", "t://{id}/data", True),
        ("t://1/data/more", "t://{id}/data", False),
        ("t://a/b", "t://{id}", False),
        ("t://a/b", "t://{+path}", True),
        ("t://a?q=1", "t://a{?q}", True),
        ("t://v1-x", "t://{v}-{w}", True),
        ("t://", "t://{id}", True),
        ("t://*", "t://*", False),
    ],
)
def test_a_plain_expression_stands_for_no_more_than_a_segment(uri: str, template: str, expected: bool) -> None:
    assert fits(uri, template) == expected


@pytest.mark.parametrize(
    "uri", ["file:///docs/../etc", "file:///docs/%2e%2e/etc", "f://a/%252e%252e/b", "f://a/./b", "f://a\\..\\b", "f://a/.."]
)
def test_what_leads_elsewhere_than_it_seems_is_seen(uri: str) -> None:
    assert climbs(uri)
    assert not climbs("f://a..b/...c/.d")
