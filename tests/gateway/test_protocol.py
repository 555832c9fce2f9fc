"""What both eras' clients meet at the gateway before any server is asked."""

import json

import pytest
from multidict import CIMultiDict

from gateway_served import Serve
from gateway_world import ALICE, gateway, installation, pinned
from wharfinger_gateway.incoming import Incoming
from wharfinger_mcp import revision

WORLD = (installation("bot", team="engineering"), gateway("tools", pinned("bot"), title="Developer tools"))


@pytest.mark.parametrize(
    ("asked", "agreed"), [*((version, version) for version in revision.LEGACY), ("2024-11-05", "2025-11-25"), ("1999-01-01", "2025-11-25")]
)
async def test_initialize_settles_on_the_clients_revision_if_it_is_served(serve: Serve, asked: str, agreed: str) -> None:
    caller = serve(*WORLD).caller(ALICE)
    result = (await caller.initialize(asked)).result
    assert result["protocolVersion"] == agreed
    assert result["capabilities"] == {"tools": {"listChanged": True}, "logging": {}}
    assert (result["serverInfo"]["name"], result["serverInfo"]["title"]) == ("dev.tools", "Developer tools")
    assert caller.session
    assert await caller.tools() == ["bot__echo", "bot__get_me"]


async def test_initialize_without_a_version_is_refused_with_its_id(serve: Serve) -> None:
    answered = await serve(*WORLD).caller(ALICE).request("initialize", {"capabilities": {}}, id_="x")
    assert (answered.message["id"], answered.error["code"], "Mcp-Session-Id" in answered.reply.headers) == ("x", -32602, False)


async def test_initialize_with_a_stale_session_opens_a_new_one(serve: Serve) -> None:
    caller = serve(*WORLD).caller(ALICE)
    caller.session = "stale"
    assert (await caller.initialize()).status == 200
    assert caller.session not in (None, "stale")


async def test_sessions_differ(serve: Serve) -> None:
    callers = [serve(*WORLD).caller(ALICE) for _ in range(2)]
    for caller in callers:
        await caller.initialize()
    assert callers[0].session != callers[1].session


@pytest.mark.parametrize("method", ["tools/list", "tools/call", "ping", "no/such/method"])
async def test_a_legacy_request_without_a_session_is_400_and_with_an_unknown_one_404(serve: Serve, method: str) -> None:
    caller = serve(*WORLD).caller(ALICE)
    without = await caller.request(method, id_=5)
    assert (without.status, without.message["id"]) == (400, 5)
    caller.session = "unknown"
    unknown = await caller.request(method, id_=5)
    assert (unknown.status, unknown.message["id"], unknown.error["code"]) == (404, 5, -32001)


async def test_a_session_id_that_is_given_twice_is_none(serve: Serve) -> None:
    caller = serve(*WORLD).caller(ALICE)
    await caller.initialize()

    async def read(limit: int) -> bytes:
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()

    fields = [("Authorization", f"Bearer {ALICE}"), ("Content-Type", "application/json"), *[("Mcp-Session-Id", str(caller.session))] * 2]
    assert (await caller.serve(Incoming("POST", "/v1/mcp/dev.tools", CIMultiDict(fields), read, caller.channel))).status == 404


async def test_a_version_header_that_contradicts_the_session_is_400(serve: Serve) -> None:
    caller = serve(*WORLD).caller(ALICE)
    await caller.initialize("2025-06-18")
    assert (await caller.request("ping", MCP_Protocol_Version="2025-06-18")).result == {}
    assert (await caller.request("ping", MCP_Protocol_Version="2025-11-25")).status == 400
    assert (await caller.request("ping", MCP_Protocol_Version="2020-01-01")).status == 400


async def test_notifications_are_accepted_without_an_answer(serve: Serve) -> None:
    caller = serve(*WORLD).caller(ALICE)
    await caller.initialize()
    answered = await caller.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
    assert (answered.status, answered.reply.body) == (202, b"")


async def test_batches_are_for_the_one_revision_that_has_them(serve: Serve) -> None:
    body = json.dumps(
        [{"jsonrpc": "2.0", "id": n, "method": "ping"} for n in range(3)] + [{"jsonrpc": "2.0", "method": "notifications/initialized"}]
    ).encode()
    for version, status in (("2025-03-26", 200), ("2025-06-18", 400)):
        caller = serve(*WORLD).caller(ALICE)
        await caller.initialize(version)
        answered = await caller.send(body)
        assert answered.status == status
        if status == 200:
            assert [one["id"] for one in answered.message] == [0, 1, 2]


@pytest.mark.parametrize("verb", ["GET", "PUT", "PATCH", "OPTIONS", "HEAD"])
async def test_other_verbs_are_405_with_what_is_allowed(serve: Serve, verb: str) -> None:
    answered = await serve(*WORLD).caller(ALICE).send(verb=verb)
    assert (answered.status, answered.reply.headers["Allow"]) == (405, "GET, POST, DELETE")


async def test_delete_ends_a_session_of_ones_own(serve: Serve) -> None:
    caller = serve(*WORLD).caller(ALICE)
    assert (await caller.send(verb="DELETE")).status == 405
    await caller.initialize()
    assert (await caller.send(verb="DELETE")).status == 204
    for again in (caller.request("ping"), caller.send(verb="DELETE"), caller.send(verb="GET")):
        assert (await again).status == 404
    caller.session = "unknown"
    assert (await caller.send(verb="DELETE")).status == 404


async def test_discover_tells_the_gateway_and_what_it_speaks(serve: Serve) -> None:
    answered = await serve(*WORLD).caller(ALICE).modern("server/discover")
    result = answered.result
    assert (answered.status, result["resultType"], result["ttlMs"], result["cacheScope"]) == (200, "complete", 0, "private")
    assert result["supportedVersions"] == list(revision.SUPPORTED)
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["title"] == "Developer tools"
    assert "Mcp-Session-Id" not in answered.reply.headers


async def test_a_modern_list_is_private_and_complete(serve: Serve) -> None:
    result = (await serve(*WORLD).caller(ALICE).modern("tools/list")).result
    assert (result["resultType"], result["ttlMs"], result["cacheScope"]) == ("complete", 0, "private")
    assert [tool["name"] for tool in result["tools"]] == ["bot__echo", "bot__get_me"]


@pytest.mark.parametrize("method", ["initialize", "ping", "logging/setLevel", "resources/subscribe", "no/list", "no/such/method"])
async def test_a_method_that_a_modern_client_cannot_have_is_404_with_its_id(serve: Serve, method: str) -> None:
    answered = await serve(*WORLD).caller(ALICE).modern(method, id_="x")
    assert (answered.status, answered.error["code"], answered.message["id"]) == (404, -32601, "x")


@pytest.mark.parametrize("method", ["server/discover", "resources/list", "prompts/list", "completion/complete", "no/such/method"])
async def test_a_method_that_a_legacy_client_cannot_have_is_an_error(serve: Serve, method: str) -> None:
    caller = serve(*WORLD).caller(ALICE)
    await caller.initialize()
    answered = await caller.request(method)
    assert (answered.status, answered.error["code"]) == (200, -32601)


@pytest.mark.parametrize("modern", [False, True])
async def test_a_cursor_that_was_never_given_is_refused(serve: Serve, modern: bool) -> None:
    caller = serve(*WORLD).caller(ALICE)
    await caller.initialize()
    answered = await (caller.modern if modern else caller.request)("tools/list", {"cursor": ""})
    assert answered.error["code"] == -32602
    assert (await caller.request("tools/list", {"cursor": None})).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/json; charset=utf-8"}, 200),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Accept": "text/html"}, 406),
        ({"Accept": "*/*"}, 200),
    ],
)
async def test_media_types_are_checked(serve: Serve, headers: dict[str, str], status: int) -> None:
    caller = serve(*WORLD).caller(ALICE)
    await caller.initialize()
    assert (await caller.request("ping", None, **headers)).status == status


async def test_before_the_first_snapshot_the_gateway_says_that_it_is_starting(serve: Serve) -> None:
    served = serve(*WORLD)
    served.current.snapshot = None
    assert (await served.caller(ALICE).initialize()).status == 503
