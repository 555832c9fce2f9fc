"""Which tools a caller sees in a gateway, and under which names."""

import json
from typing import Any

import pytest

from gateway_world import (
    DEFAULT_TOOLS,
    Manifest,
    by_entry,
    entry,
    gateway,
    installation,
    pinned,
    snapshot_of,
    tool,
)
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.catalog import Catalog, Catalogs, find, sources
from wharfinger_gateway.principal import Principal
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.snapshot import Snapshot

ALICE = Principal("user", "okta:alice", frozenset({"engineering"}), "")
DAVE = Principal("user", "okta:dave", frozenset(), "")
ENGINEERING = Principal("team", None, frozenset({"engineering"}), "")
ORGANIZATION = Principal("organization", None, frozenset(), "")


def seen(snapshot: Snapshot, caller: Principal) -> Catalog:
    return Catalogs().of(Permit(caller, snapshot.gateways["dev.tools"], snapshot))


def listed(snapshot: Snapshot, caller: Principal = ALICE) -> list[str]:
    return list(seen(snapshot, caller).tools)


def definitions(*tools: Manifest) -> list[Manifest]:
    catalog = seen(snapshot_of(bot(*tools), gateway("tools", pinned("bot"))), ALICE)
    return list(json.loads(bytes(catalog.legacy_result))["tools"])


def bot(*tools: Manifest, **options: Any) -> list[Manifest]:
    return installation("bot", team="engineering", tools=tools or DEFAULT_TOOLS, **options)


@pytest.mark.requirement("GW-2")
@pytest.mark.parametrize(
    ("assignment", "names"),
    [
        ({}, ["bot__create_issue", "bot__get_issue", "bot__get_me"]),
        ({"include": []}, []),
        ({"include": ["get_*"]}, ["bot__get_issue", "bot__get_me"]),
        ({"include": ["get_*"], "exclude": ["get_me"]}, ["bot__get_issue"]),
        ({"include": ["get_me"], "prefix": "github"}, ["github__get_me"]),
        ({"include": ["get_me"], "rename": {"get_me": "whoami"}}, ["bot__whoami"]),
        ({"include": ["get_me", "absent"], "rename": {"absent": "x"}}, ["bot__get_me"]),
    ],
    ids=["all", "none-by-default", "glob", "exclude", "prefix", "rename", "absent"],
)
def test_an_assignment_chooses_and_names_tools(assignment: Manifest, names: list[str]) -> None:
    tools = (tool("get_me"), tool("get_issue"), tool("create_issue"))
    assert listed(snapshot_of(bot(*tools), gateway("tools", pinned("bot", **assignment)))) == names


@pytest.mark.requirement("GW-2")
def test_names_fit_every_client_and_stay_distinct() -> None:
    tools = (tool("a.b"), tool("a_b"), tool("x" * 100 + "1"), tool("x" * 100 + "2"), tool("schön"))
    names = listed(snapshot_of(bot(*tools), gateway("tools", pinned("bot"))))
    assert len(names) == len(set(names)) == 5
    assert all(len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum() and name.isascii() for name in names)


@pytest.mark.requirement("GW-2")
def test_names_do_not_depend_on_what_else_is_assigned() -> None:
    others = installation("other", team="engineering", tools=[tool("zzz"), tool("aaa")])
    alone = listed(snapshot_of(bot(), gateway("tools", pinned("bot"))))
    together = listed(snapshot_of(bot(), others, gateway("tools", pinned("other"), pinned("bot"))))
    assert set(alone) < set(together)


def test_of_two_assignments_that_name_one_tool_the_first_has_it() -> None:
    other = installation("other", team="engineering")
    world = snapshot_of(bot(), other, gateway("tools", pinned("other", prefix="g"), pinned("bot", prefix="g")))
    assert {one.assignment.pinned for one in seen(world, ALICE).tools.values()} == {("dev", "other")}


@pytest.mark.requirement("GW-3", "GW-6")
@pytest.mark.parametrize(
    ("caller", "world", "sees"),
    [
        (ALICE, [bot(), gateway("tools", pinned("bot"))], True),
        (DAVE, [bot(), gateway("tools", pinned("bot"))], False),
        (DAVE, [bot(through_gateways=True), gateway("tools", pinned("bot"))], True),
        (ORGANIZATION, [bot(), gateway("tools", pinned("bot"))], False),
        (ORGANIZATION, [bot(through_gateways=True), gateway("tools", pinned("bot"))], True),
        (DAVE, [bot(), entry("github"), gateway("tools", by_entry(prefix="bot"))], True),
        (DAVE, [bot(), entry("github", teams=["engineering"]), gateway("tools", by_entry(prefix="bot"))], False),
        (ALICE, [bot(), entry("github", teams=["sales"]), gateway("tools", by_entry(prefix="bot"))], True),
        (ORGANIZATION, [bot(), entry("github"), gateway("tools", by_entry(prefix="bot"))], False),
        (DAVE, [entry("github"), gateway("tools", by_entry(prefix="bot"))], False),
    ],
    ids=[
        "in-scope", "out-of-scope", "through-the-gateway", "organization-out-of-scope", "organization-through-the-gateway",
        "gets-a-link", "does-not-see-the-entry", "has-one-though-the-entry-is-hidden", "organization-by-entry", "no-definitions-known",
    ],
)  # fmt: skip
def test_a_tool_is_listed_when_the_caller_can_use_it_or_gets_a_link(caller: Principal, world: list[Any], sees: bool) -> None:
    assert listed(snapshot_of(*world), caller) == (["bot__echo", "bot__get_me"] if sees else [])


@pytest.mark.requirement("INS-3")
def test_who_has_no_installation_sees_the_definitions_of_the_newest_that_has_any() -> None:
    first = installation("first", team="sales", tools=[tool("old")])
    second = installation("second", team="sales", tools=[tool("new")])
    third = installation("third", team="sales", tools=None)
    world = snapshot_of(first, second, third, entry("github"), gateway("tools", by_entry(prefix="g")))
    assert listed(world, DAVE) == ["g__new"]


@pytest.mark.requirement("INS-3")
def test_who_has_an_installation_sees_its_own_definitions_as_soon_as_there_are_any() -> None:
    others = installation("newer", team="sales", tools=[tool("new")])
    world = [entry("github"), gateway("tools", by_entry(prefix="g")), *others]
    assert listed(snapshot_of(world, installation("mine", user="okta:dave", tools=[tool("mine")])), DAVE) == ["g__mine"]
    assert listed(snapshot_of(world, installation("mine", user="okta:dave", tools=None)), DAVE) == ["g__new"]


@pytest.mark.requirement("INS-3")
def test_definitions_are_passed_on_whole_under_the_exposed_name() -> None:
    rich = tool(
        "get.me", title="Me", inputSchema={"type": "object", "$defs": {"a": {"$anchor": "x"}}, "properties": {}}, annotations={"x-y": [1.0]},
        _meta={"ui/resource": "ui://x"}, icons=[],
    )  # fmt: skip
    (one,) = definitions(rich)
    assert one == rich | {"name": "bot__get_me", "_meta": {"ui/resource": "ui://x", "wharfinger.dev/tool": "get.me"}}


def test_a_tool_without_input_schema_gets_one_and_task_support_is_not_announced() -> None:
    bare = {"name": "bare", "execution": {"taskSupport": "required"}}
    (one,) = definitions(bare)
    assert one["inputSchema"] == {"type": "object"}
    assert "execution" not in one


def test_callers_who_see_the_same_share_the_bytes() -> None:
    world = snapshot_of(bot(), gateway("tools", pinned("bot")))
    catalogs = Catalogs()
    permits = [Permit(caller, world.gateways["dev.tools"], world) for caller in (ALICE, ENGINEERING)]
    assert catalogs.of(permits[0]) is catalogs.of(permits[1])


def test_a_changed_gateway_has_a_new_catalogue() -> None:
    catalogs = Catalogs()
    for assignment, names in ((pinned("bot"), ["bot__echo", "bot__get_me"]), (pinned("bot", include=["echo"]), ["bot__echo"])):
        world = snapshot_of(bot(), gateway("tools", assignment))
        assert list(catalogs.of(Permit(ALICE, world.gateways["dev.tools"], world)).tools) == names


@pytest.mark.requirement("GW-3")
def test_a_tool_that_the_caller_does_not_see_is_as_unknown_as_one_that_is_not_there() -> None:
    world = snapshot_of(bot(), gateway("tools", pinned("bot")))
    assert find(seen(world, DAVE), "bot__echo") == Refusal(Reason.TOOL_UNKNOWN, detail="bot__echo")
    assert find(seen(world, DAVE), "x" * 200) == Refusal(Reason.TOOL_UNKNOWN)


def test_what_is_seen_is_told_by_definitions_not_by_installation() -> None:
    worlds = [installation(name, user=f"okta:{name}") for name in ("alice", "dave")]
    world = snapshot_of(*worlds, entry("github"), gateway("tools", by_entry()))
    assert len({sources(Permit(caller, world.gateways["dev.tools"], world)) for caller in (ALICE, DAVE)}) == 1


@pytest.mark.requirement("GW-5")
def test_older_clients_see_output_schemas_of_objects_and_newer_ones_every_schema() -> None:
    schemas: list[Any] = [{"type": "object", "x": 1.50}, {"type": "array"}, {"anyOf": []}, {"type": ["object", "null"]}, True, None]
    tools = [tool(f"t{number}", outputSchema=schema) for number, schema in enumerate(schemas)]
    catalog = seen(snapshot_of(bot(*tools, tool("u")), gateway("tools", pinned("bot"))), ALICE)
    older, newer = (json.loads(bytes(one))["tools"] for one in (catalog.legacy_result, catalog.modern_result))
    assert [one.get("outputSchema") for one in newer] == [*schemas, None]
    assert ["outputSchema" in one for one in newer] == [True] * 6 + [False]
    assert ["outputSchema" in one for one in older] == [True] + [False] * 6
    assert older[0] == newer[0]


@pytest.mark.requirement("INS-5")
def test_a_change_that_only_newer_clients_see_is_a_change() -> None:
    offers = [
        seen(snapshot_of(bot(tool("t", outputSchema={"type": kind})), gateway("tools", pinned("bot"))), ALICE).offer
        for kind in ("array", "string", "string")
    ]
    assert (offers[0] == offers[1], offers[1] == offers[2]) == (False, True)
