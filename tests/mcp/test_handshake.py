"""Which era a server is taken for, by what it answers; and what a handshake must bring."""

from typing import Any

import pytest
from aiohttp import web

from recording_server import Http, RecordingServer, Reply, always, error, result, streamed
from wharfinger_mcp.envelope import Era, Identity
from wharfinger_mcp.errors import InterruptedCallError, NotMcpError, ProtocolError, RefusedError, TimedOutError, UpstreamError
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.upstream import CallLimits, Upstream

IDENTITY = Identity("wharfinger", "0.1.0")
JSON = "application/json"


def refused(code: int, status: int = 400, data: object = None) -> Reply:
    async def reply(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return error(message, code, data=data, status=status)

    return reply


def accepted(value: object, **headers: str) -> Reply:
    async def reply(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return result(message, value, headers=headers)

    return reply


def discovered(*versions: str, **more: object) -> dict[str, object]:
    return {"supportedVersions": list(versions), "capabilities": {}, **more}


def initialized(version: object, **more: object) -> dict[str, object]:
    return {"protocolVersion": version, "capabilities": {}, **more}


ERAS: dict[str, tuple[Reply, Era]] = {
    "a discovery": (accepted(discovered("2026-07-28")), Era.MODERN),
    "a discovery in an event stream": (
        streamed({"jsonrpc": "2.0", "id": ..., "result": discovered("2026-07-28", resultType="complete")}),
        Era.MODERN,
    ),
    "a discovery of legacy revisions only": (accepted(discovered("2025-11-25")), Era.LEGACY),
    "a result that is no discovery": (accepted({"supportedVersions": "2026-07-28"}), Era.LEGACY),
    "a result that is no object": (accepted([]), Era.LEGACY),
    "400 and nothing": (always(400), Era.LEGACY),
    "400 and a JSON-RPC error of its own": (refused(-32600), Era.LEGACY),
    "400 and a web page": (always(400, "<html>"), Era.LEGACY),
    "200 and method not found": (refused(-32601, 200), Era.LEGACY),
    "404 and method not found: a modern server must have the method": (refused(-32601, 404), Era.LEGACY),
    "400 and -32022 with a legacy revision": (refused(-32022, data={"supported": ["2099-01-01", "2025-06-18"]}), Era.LEGACY),
    "400 and -32022 without its data": (refused(-32022), Era.LEGACY),
    "404": (always(404), Era.LEGACY),
    "405": (always(405), Era.LEGACY),
    "406": (always(406), Era.LEGACY),
    "500, as servers that trip over a request without session": (always(500), Era.LEGACY),
    "a web page": (always(200, "<html>"), Era.LEGACY),
    "202 and nothing": (always(202, "", JSON), Era.LEGACY),
}


@pytest.mark.parametrize("case", ERAS)
async def test_a_server_is_taken_for_its_era(client: HttpClient, http: Http, case: str) -> None:
    reply, era = ERAS[case]
    server = RecordingServer(replies={"server/discover": reply})
    found = await Upstream(client, await http(server), IDENTITY).open({})
    assert found.era is era
    assert server.count()["initialize"] == (1 if era is Era.LEGACY else 0)


FAILURES: dict[str, tuple[dict[str, Reply], type[UpstreamError], str]] = {
    "401 to the probe": ({"*": always(401)}, RefusedError, "HTTP 401 to POST /mcp: the server wants authorization"),
    "403 to the probe": ({"*": always(403)}, RefusedError, "HTTP 403"),
    "429 to the probe": ({"*": always(429)}, RefusedError, "fewer requests"),
    "503 to the probe": ({"*": always(503)}, RefusedError, "HTTP 503 to POST /mcp: the server, or a proxy before it, failed"),
    "headers lost on the way": ({"*": refused(-32020)}, ProtocolError, "does something on the way remove or change"),
    "no revision in common": ({"*": refused(-32022, data={"supported": ["2099-01-01"]})}, ProtocolError, "none of the protocol revisions"),
    "404 to everything": ({"*": always(404)}, RefusedError, "HTTP 404 to POST /mcp: is the path right"),
    "405 to everything": ({"*": always(405)}, RefusedError, "HTTP 405 to POST /mcp: are path and transport right"),
    "a web page for everything": ({"*": always(200, "<html>")}, NotMcpError, "'text/html' .* is the path right"),
    "a redirect of everything": ({"*": always(307, Location="/mcp/")}, NotMcpError, "to /mcp/: redirects are not followed"),
    "an error to initialize": ({"initialize": refused(-32603, 200)}, ProtocolError, "refused initialize with error -32603"),
    "an unknown revision": ({"initialize": accepted(initialized("2019-01-01"))}, ProtocolError, "none of the protocol revisions"),
    "a revision that is no text": ({"initialize": accepted(initialized(5))}, ProtocolError, "another shape"),
    "capabilities that are no object": (
        {"initialize": accepted(initialized("2025-11-25", capabilities=[]))},
        ProtocolError,
        "another shape",
    ),
    "a session id with blanks": (
        {"initialize": accepted(initialized("2025-11-25"), **{"Mcp-Session-Id": "a b"})},
        ProtocolError,
        "visible ASCII",
    ),
    "a session id without end": (
        {"initialize": accepted(initialized("2025-11-25"), **{"Mcp-Session-Id": "a" * 2000})},
        ProtocolError,
        "more than 1024",
    ),
    "initialized refused": ({"notifications/initialized": always(400)}, RefusedError, "HTTP 400"),
    "a stream for initialize that ends": ({"initialize": streamed(": x\n\n")}, InterruptedCallError, "without the response"),
    "no answer to initialize": ({"initialize": streamed(end=False)}, TimedOutError, "in time"),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_a_handshake_that_fails_says_why(client: HttpClient, http: Http, case: str) -> None:
    replies, expected, message = FAILURES[case]
    upstream = Upstream(client, await http(RecordingServer(replies=replies)), IDENTITY)
    with pytest.raises(expected, match=message):
        await upstream.open({}, CallLimits(seconds=0.5 if expected is TimedOutError else 10))


async def test_a_revision_that_a_server_offers_when_it_refuses_is_asked_for_once(client: HttpClient, http: Http) -> None:
    server = RecordingServer(modern=True)
    offer = refused(-32022, data={"supported": ["2099-01-01", "2026-07-28"]})

    async def offer_once(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        del server.replies["server/discover"]
        return await offer(request, message)

    server.replies["server/discover"] = offer_once
    assert (await Upstream(client, await http(server), IDENTITY).open({})).era is Era.MODERN
    server.replies["server/discover"] = offer
    with pytest.raises(ProtocolError, match="none of the protocol revisions"):
        await Upstream(client, await http(server), IDENTITY).open({})
    assert server.count() == {"server/discover": 4}


async def test_authorization_is_asked_for_before_anything_else_is_tried(client: HttpClient, http: Http) -> None:
    server = RecordingServer(replies={"*": always(401)})
    with pytest.raises(RefusedError):
        await Upstream(client, await http(server), IDENTITY).open({})
    assert server.count() == {"server/discover": 1}


@pytest.mark.parametrize("version", ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"])
async def test_a_server_settles_on_a_legacy_revision_with_or_without_a_session(client: HttpClient, http: Http, version: str) -> None:
    server = RecordingServer(replies={"initialize": accepted(initialized(version)), "notifications/initialized": always(204)})
    found = await Upstream(client, await http(server), IDENTITY).open({})
    assert (found.protocol_version, found.session_id) == (version, None)
    assert server.headers[-1]["mcp-protocol-version"] == version
    assert "mcp-protocol-version" not in server.headers[1]


async def test_a_modern_server_is_known_by_what_its_result_says_of_it(client: HttpClient, http: Http) -> None:
    meta = {"io.modelcontextprotocol/serverInfo": {"name": "s", "version": "2", "title": "S"}}
    server = RecordingServer(replies={"server/discover": accepted(discovered("2026-07-28", _meta=meta, instructions="be kind"))})
    found = await Upstream(client, await http(server), IDENTITY).open({})
    assert (found.server_info.name, found.server_info.version, found.server_info.title) == ("s", "2", "S")
    assert (found.protocol_version, found.instructions) == ("2026-07-28", "be kind")


async def test_a_known_legacy_server_is_not_asked_for_a_discovery(client: HttpClient, http: Http) -> None:
    server = RecordingServer()
    await Upstream(client, await http(server), IDENTITY, Era.LEGACY).open({})
    assert server.count() == {"initialize": 1, "notifications/initialized": 1}


async def test_a_server_known_as_legacy_that_refuses_the_handshake_is_probed_at_the_next_call(client: HttpClient, http: Http) -> None:
    upstream = Upstream(client, await http(RecordingServer(modern=True)), IDENTITY, Era.LEGACY)
    with pytest.raises(ProtocolError):
        await upstream.open({})
    assert (await upstream.open({})).era is Era.MODERN
