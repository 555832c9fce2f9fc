"""Prompts, resources and completion through the pipeline to real servers, as far as the gateway selects them."""

import json
from typing import Any

import pytest

from gateway_caller import Answered, Caller, Json
from gateway_served import Serve, Served
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, BOB, DAVE, by_entry, entry, gateway, installation, pinned

pytestmark = pytest.mark.requirement("GW-16", "GW-5")
ERAS = pytest.mark.parametrize("modern", [False, True], ids=["legacy client", "modern client"])
SERVERS = pytest.mark.parametrize("server", ["legacy_server", "modern_server"], indirect=True)
ALL: Json = {"prompts": ["*"], "resources": ["*"]}
LISTS: dict[str, list[Json]] = {
    "prompts/list": [{"name": "greet", "arguments": [{"name": "who"}]}, {"name": "bye"}, {"name": "secret"}],
    "resources/list": [{"uri": "a://1", "name": "one", "x": 1.5}, {"uri": "a://2", "name": "two"}, {"uri": "b://3", "name": "three"}],
    "resources/templates/list": [{"uriTemplate": "t://{id}/data", "name": "t"}],
}


@pytest.fixture
def server(request: pytest.FixtureRequest) -> UpstreamServer:
    found: UpstreamServer = request.getfixturevalue(request.param)
    found.gate.set()
    found.lists |= LISTS
    return found


def start(serve: Serve, server: UpstreamServer, **selection: Any) -> Served:
    return serve(installation("bot", team="engineering", url=server.url), gateway("tools", pinned("bot", **selection)))


async def ask(caller: Caller, method: str, params: Json | None = None, *, modern: bool) -> Answered:
    if modern:
        name = (params or {}).get("uri")
        return await caller.modern(method, params, **({"Mcp_Name": name} if method == "resources/read" and isinstance(name, str) else {}))
    if caller.session is None:
        await caller.initialize()
    return await caller.request(method, params)


@ERAS
@SERVERS
async def test_what_is_selected_is_listed_from_every_page_and_the_rest_is_not(serve: Serve, server: UpstreamServer, modern: bool) -> None:
    caller = start(serve, server, prompts=["greet", "bye"], resources=["a://*", "t://{id}/data"]).caller(ALICE)
    prompts = (await ask(caller, "prompts/list", modern=modern)).result
    assert [one["name"] for one in prompts["prompts"]] == ["bot__bye", "bot__greet"]
    assert prompts["prompts"][1]["arguments"] == [{"name": "who"}]
    resources = (await ask(caller, "resources/list", modern=modern)).result
    assert resources["resources"] == LISTS["resources/list"][:2]
    templates = (await ask(caller, "resources/templates/list", modern=modern)).result
    assert templates["resourceTemplates"] == LISTS["resources/templates/list"]
    if modern:
        for one in (prompts, resources, templates):
            assert (one["resultType"], one["ttlMs"], one["cacheScope"]) == ("complete", 0, "private")
    asked = [one.method for one in server.requests if one.method.endswith("/list")]
    await ask(caller, "prompts/list", modern=modern)
    assert [one.method for one in server.requests if one.method.endswith("/list")] == asked, "what was listed is remembered"


@ERAS
@SERVERS
async def test_a_prompt_is_got_under_its_own_name_and_one_that_is_not_selected_is_none(
    serve: Serve, server: UpstreamServer, modern: bool
) -> None:
    server.behaviour["greet"] = {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}]}
    caller = start(serve, server, prompts=["greet"]).caller(ALICE)
    got = (await ask(caller, "prompts/get", {"name": "bot__greet", "arguments": {"who": "x"}}, modern=modern)).result
    assert got["messages"][0]["content"]["text"] == "hi"
    (sent,) = [one.message["params"] for one in server.requests if one.method == "prompts/get"]
    assert (sent["name"], sent["arguments"]) == ("greet", {"who": "x"})
    for name in ("bot__bye", "greet", "bot__secret", 3):
        refused = await ask(caller, "prompts/get", {"name": name}, modern=modern and name != 3)
        assert refused.error["code"] == -32602
    assert len([one for one in server.requests if one.method == "prompts/get"]) == 1


@ERAS
@SERVERS
async def test_a_resource_is_read_where_it_is_listed_or_fits_a_template(serve: Serve, server: UpstreamServer, modern: bool) -> None:
    for uri in ("a://1", "t://7/data"):
        server.behaviour[uri] = {"contents": [{"uri": uri, "text": uri}], "x": {"y": 1.50}}
    caller = start(serve, server, resources=["a://1", "t://{id}/data"]).caller(ALICE)
    for uri in ("a://1", "t://7/data"):
        read = (await ask(caller, "resources/read", {"uri": uri}, modern=modern)).result
        assert (read["contents"], read["x"]) == ([{"uri": uri, "text": uri}], {"y": 1.5})
        if modern:
            assert (read["ttlMs"], read["cacheScope"], read["resultType"]) == (0, "private", "complete")
    for uri in ("a://2", "t://7/other", "b://3"):
        refused = await ask(caller, "resources/read", {"uri": uri}, modern=modern)
        assert (refused.status, refused.error["code"]) == (400 if modern else 200, -32602)
    assert len([one for one in server.requests if one.method == "resources/read"]) == 2


@ERAS
@SERVERS
async def test_a_completion_goes_to_whose_reference_it_is(serve: Serve, server: UpstreamServer, modern: bool) -> None:
    completion = {"completion": {"values": ["a", "b"], "hasMore": False}}
    server.behaviour |= {"greet": completion, "t://{id}/data": completion}
    caller = start(serve, server, prompts=["greet"], resources=["t://{id}/data"]).caller(ALICE)
    argument = {"argument": {"name": "who", "value": "a"}}
    for ref in ({"type": "ref/prompt", "name": "bot__greet", "x": 1}, {"type": "ref/resource", "uri": "t://{id}/data"}):
        assert (await ask(caller, "completion/complete", {"ref": ref} | argument, modern=modern)).result["completion"] == completion[
            "completion"
        ]
    sent = [one.message["params"]["ref"] for one in server.requests if one.method == "completion/complete"]
    assert sent == [{"type": "ref/prompt", "name": "greet", "x": 1}, {"type": "ref/resource", "uri": "t://{id}/data"}]
    for wrong in ({"type": "ref/prompt", "name": "bot__bye"}, {"type": "ref/resource", "uri": "z://"}, {"type": "x"}, {}, 3):
        assert (await ask(caller, "completion/complete", {"ref": wrong} | argument, modern=modern)).error["code"] == -32602


@pytest.mark.requirement("OPS-6")
async def test_the_audit_record_says_by_which_method_what_was_asked_for_whether_it_was_there_or_not(
    serve: Serve, modern_server: UpstreamServer
) -> None:
    modern_server.lists |= LISTS
    served = start(serve, modern_server, prompts=["greet"], resources=["a://1"])
    caller = served.caller(ALICE)
    for name in ("bot__greet", "bot__bye"):
        await ask(caller, "prompts/get", {"name": name}, modern=True)
        await ask(caller, "completion/complete", {"ref": {"type": "ref/prompt", "name": name}, "argument": {}}, modern=True)
    for uri in ("a://1", "a://2"):
        await ask(caller, "resources/read", {"uri": uri}, modern=True)
    records = [json.loads(line) for line in served.audit]
    assert [(one["method"], one["tool"], one["outcome"], one["installation"]) for one in records] == [
        ("prompts/get", "bot__greet", "ok", "dev/bot"),
        ("completion/complete", "bot__greet", "ok", "dev/bot"),
        ("prompts/get", "bot__bye", "prompt_unknown", None),
        ("completion/complete", "bot__bye", "prompt_unknown", None),
        ("resources/read", "a://1", "ok", "dev/bot"),
        ("resources/read", "a://2", "resource_unknown", None),
    ]


@ERAS
async def test_what_a_gateway_does_not_select_does_not_exist(serve: Serve, legacy_server: UpstreamServer, modern: bool) -> None:
    legacy_server.lists |= LISTS
    caller = start(serve, legacy_server).caller(ALICE)
    found = (await (caller.modern("server/discover") if modern else caller.initialize())).result["capabilities"]
    assert found.keys() == {"tools", "logging"}
    for method in ("prompts/list", "prompts/get", "resources/list", "resources/templates/list", "resources/read", "completion/complete"):
        headers = {"Mcp_Name": "x"} if modern and method == "resources/read" else {}
        params = {"name": "x"} if method == "prompts/get" else {"uri": "x"} if method == "resources/read" else {}
        answered = await (caller.modern(method, params, **headers) if modern else caller.request(method, params))
        assert answered.error["code"] == -32601
    selecting = start(serve, legacy_server, **ALL).caller(ALICE)
    found = (await (selecting.modern("server/discover") if modern else selecting.initialize())).result["capabilities"]
    assert found.keys() == {"tools", "logging", "prompts", "resources", "completions"}


async def test_a_server_that_fails_or_is_not_there_for_the_caller_hides_nobody_elses(
    serve: Serve, legacy_server: UpstreamServer, modern_server: UpstreamServer
) -> None:
    legacy_server.lists |= LISTS
    served = serve(
        installation("bot", team="engineering", url=legacy_server.url),
        installation("dead", team="engineering"),
        installation("mine", user="okta:bob", url=modern_server.url),
        entry("github"),
        gateway("tools", pinned("bot", **ALL), pinned("dead", **ALL), pinned("mine", **ALL), by_entry(**ALL)),
    )
    for who, expected in ((ALICE, {"a://1", "a://2", "b://3"}), (DAVE, set())):
        found = (await ask(served.caller(who), "resources/list", modern=True)).result["resources"]
        assert {one["uri"] for one in found} == expected
    refused = await ask(served.caller(DAVE), "prompts/get", {"name": "bot__greet"}, modern=True)
    assert refused.error["code"] == -32602


@ERAS
async def test_one_callers_lists_are_not_anothers(serve: Serve, legacy_server: UpstreamServer, modern: bool) -> None:
    legacy_server.lists |= LISTS
    served = start(serve, legacy_server, **ALL)
    await ask(served.caller(ALICE), "resources/list", modern=modern)
    legacy_server.lists["resources/list"] = [{"uri": "bob://only"}]
    found = (await ask(served.caller(BOB), "resources/list", modern=modern)).result["resources"]
    assert [one["uri"] for one in found] == ["bob://only"]


@ERAS
async def test_a_failure_of_the_server_is_an_error_and_no_tools_result(serve: Serve, legacy_server: UpstreamServer, modern: bool) -> None:
    legacy_server.lists |= LISTS
    legacy_server.behaviour["a://1"] = 500
    caller = start(serve, legacy_server, **ALL).caller(ALICE)
    answered = await ask(caller, "resources/read", {"uri": "a://1"}, modern=modern)
    assert answered.error["code"] == -32000
    assert "server" in answered.error["message"]
