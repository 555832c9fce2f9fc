"""What asking real servers gives: lists of any size, remarks for the condition, and reasons where it fails."""

import asyncio
import random
from typing import Any, Literal

import pytest
from aiohttp import web

from eventually import eventually
from own_address import rules
from recording_server import Handler, Http, RecordingServer, Reply, always, result
from sse_server import Message, Say, SseServer
from sse_server import answer as answered
from wharfinger_crds import conditions as c
from wharfinger_crds.connection import Connection
from wharfinger_operator.ask_server import ServerAsker
from wharfinger_operator.discover import DiscoveryError
from wharfinger_operator.listen import StreamError
from wharfinger_operator.plan.installation import fingerprint

pytestmark = pytest.mark.requirement("INS-3")

MEBIBYTE = 1024 * 1024


def listing(tools: list[Any], page: int = 60, capabilities: dict[str, Any] | None = None) -> RecordingServer:
    """Return a modern server that lists tools, so many a page."""

    async def reply(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        start = int(message["params"].get("cursor", 0))
        following = {"nextCursor": str(start + page)} if start + page < len(tools) else {}
        return result(message, {"tools": tools[start : start + page], **following})

    async def discovered(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        declared = {"tools": {}} if capabilities is None else capabilities
        return result(message, {"supportedVersions": ["2026-07-28"], "capabilities": declared})

    return RecordingServer(modern=True, replies={"tools/list": reply, "server/discover": discovered})


async def connection(http: Http, server: Handler, **egress: Any) -> Connection:
    endpoint = await http(server)
    url = f"http://{endpoint.host}{endpoint.path}"
    return Connection(namespace="team-a", name="x", uid="u", entry="e", environment="prod", url=url, egress=rules(**egress))


def tool(name: str, description: str = "") -> dict[str, Any]:
    return {"name": name, "description": description, "inputSchema": {"type": "object"}}


async def test_five_hundred_tools_of_more_than_a_mebibyte_are_all_known(asker: ServerAsker, http: Http) -> None:
    tools = [tool(f"tool-{number:03}", f"{number} " * 900) for number in range(500)]

    answer = await asker.ask(await connection(http, listing(tools)), 30)

    assert len(answer.definitions.digests) == 500
    assert len(answer.definitions.text) > MEBIBYTE
    assert (answer.reason, answer.message) == (c.SUCCEEDED, "")


async def refused(asker: ServerAsker, http: Http, server: RecordingServer) -> DiscoveryError:
    with pytest.raises(DiscoveryError) as failed:
        await asker.ask(await connection(http, server), 10)
    return failed.value


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ([tool(f"tool-{n}", random.Random(n).randbytes(4000).hex()) for n in range(300)], "compressed"),  # noqa: S311 - noise
        ([tool(f"tool-{n}") for n in range(2001)], "more than 2000 items"),
        ([tool(f"tool-{n}", "x" * 200_000) for n in range(30)], "bytes"),
    ],
    ids=["more than a ConfigMap holds", "too many", "too many bytes"],
)
async def test_a_list_that_is_too_large_says_so_and_what_to_do(asker: ServerAsker, http: Http, tools: list[Any], words: str) -> None:
    error = await refused(asker, http, listing(tools, page=500))

    assert error.reason == c.DEFINITIONS_TOO_LARGE
    assert words in str(error)
    assert "fewer tools" in str(error)


async def test_a_server_that_pages_for_ever_is_given_up(asker: ServerAsker, http: Http) -> None:
    async def reply(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return result(message, {"tools": [], "nextCursor": "again"})

    server = listing([])
    server.replies["tools/list"] = reply

    assert "never end" in str(await refused(asker, http, server))


async def hangs(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


async def trickles(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    """Have one page more each time."""
    page = int(message["params"].get("cursor", 0))
    await asyncio.sleep(0.05)
    return result(message, {"tools": [tool(f"tool-{page}")], "nextCursor": str(page + 1)})


@pytest.mark.parametrize(("method", "reply"), [("server/discover", hangs), ("tools/list", hangs), ("tools/list", trickles)])
async def test_a_server_that_has_not_listed_its_tools_in_time_is_given_up(
    asker: ServerAsker, http: Http, method: str, reply: Reply
) -> None:
    server = listing([])
    server.replies[method] = reply

    async with asyncio.timeout(5):
        with pytest.raises(DiscoveryError, match="in time") as failed:
            await asker.ask(await connection(http, server), 0.4)
    assert failed.value.reason == c.DISCOVERY_FAILED


async def test_what_cannot_be_used_is_counted_and_named_and_the_rest_stays(asker: ServerAsker, http: Http) -> None:
    tools = [tool("b"), {"name": 5}, tool("a"), tool("b", "again"), tool("big", "x" * 300_000)]

    answer = await asker.ask(await connection(http, listing(tools)), 10)

    assert list(answer.definitions.digests) == ["a", "b"]
    assert answer.reason == c.DEFINITIONS_DROPPED
    assert answer.message.startswith("3 of 5 cannot be used and are left out: #2: ")
    assert "b: a tool before it has the same name; big: its definition has" in answer.message


async def test_a_long_list_of_what_cannot_be_used_is_cut(asker: ServerAsker, http: Http) -> None:
    answer = await asker.ask(await connection(http, listing([{"name": 5}] * 30)), 10)

    assert answer.message.count("no tool definition") == 10
    assert answer.message.endswith("and 20 more")


@pytest.mark.parametrize(
    ("capabilities", "message"),
    [
        ({"tools": {}}, "the server lists no tools"),
        ({"prompts": {}}, "the server declares neither tools nor resources"),
    ],
)
async def test_no_tools_is_an_answer_that_says_so(asker: ServerAsker, http: Http, capabilities: dict[str, Any], message: str) -> None:
    answer = await asker.ask(await connection(http, listing([], capabilities=capabilities)), 10)

    assert (answer.definitions.text, answer.reason, answer.message) == ("[]", c.NO_TOOLS, message)


@pytest.mark.parametrize(("reply", "reason"), [(always(401), c.CREDENTIAL_REFUSED), (always(200, "<html>"), c.DISCOVERY_FAILED)])
async def test_a_server_that_cannot_be_asked_is_a_reason(asker: ServerAsker, http: Http, reply: Reply, reason: str) -> None:
    assert (await refused(asker, http, RecordingServer(replies={"*": reply}))).reason == reason


@pytest.mark.requirement("ENV-8")
async def test_a_server_that_the_environment_shuts_is_not_asked_and_the_reason_says_where_to_open_it(
    asker: ServerAsker, http: Http
) -> None:
    server = listing([tool("a")])
    shut = await connection(http, server, mode="DenyAll")

    with pytest.raises(DiscoveryError) as failed:
        await asker.ask(shut, 10)
    with pytest.raises(StreamError, match="environment prod: no rule of mode DenyAll opens"):
        await asker.listen(shut, lambda: None)

    where = shut.url.removeprefix("http://").removesuffix("/mcp")
    assert failed.value.reason == c.EGRESS_REFUSED
    assert str(failed.value) == f"environment prod: no rule of mode DenyAll opens {where}: see spec.egress of Environment prod"
    assert server.messages == []


@pytest.mark.requirement("ENV-8")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_wherever_it_leads(asker: ServerAsker, http: Http, status: int) -> None:
    elsewhere = listing([tool("a")])
    for target in (f"http://{(await http(elsewhere)).host}/mcp", "http://169.254.169.254/latest/meta-data"):
        redirecting = RecordingServer(replies={"*": always(status, Location=target)})
        assert "redirects are not followed" in str(await refused(asker, http, redirecting))
    assert elsewhere.messages == []


@pytest.mark.requirement("ENV-8")
async def test_other_rules_are_another_question(http: Http) -> None:
    server = listing([])
    one = await connection(http, server)

    assert fingerprint(one, 1) == fingerprint(one.model_copy(), 1)
    assert fingerprint(one, 1) != fingerprint(one.model_copy(update={"egress": rules(mode="DenyAll")}), 1)


@pytest.mark.parametrize("transport", ["Auto", "SSE"])
async def test_a_server_of_the_older_transport_is_asked_and_listened_to_on_its_stream(
    asker: ServerAsker, http: Http, transport: Literal["Auto", "SSE"]
) -> None:
    async def tools(message: Message, say: Say) -> None:
        await say(answered(message, tools=[tool("a")]))

    server = SseServer(capabilities={"tools": {"listChanged": True}}, behaviour={"tools/list": tools})
    asked = (await connection(http, server)).model_copy(update={"transport": transport})

    answer = await asker.ask(asked, 10)

    assert (list(answer.definitions.digests), answer.announces, answer.server.protocol_version) == (["a"], True, "2024-11-05")
    assert server.requests[0] == (("GET", "GET") if transport == "SSE" else ("POST", "server/discover"))
    await eventually(lambda: server.closed == 1)

    heard: list[None] = []
    listening = asyncio.create_task(asker.listen(asked, lambda: heard.append(None)))
    await eventually(lambda: len(heard) == 1)
    await server.say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    await eventually(lambda: len(heard) == 2)
    await server.say("")
    assert await listening is True


async def test_another_transport_is_another_question(http: Http) -> None:
    one = await connection(http, listing([]))
    assert fingerprint(one, 1) != fingerprint(one.model_copy(update={"transport": "SSE"}), 1)
