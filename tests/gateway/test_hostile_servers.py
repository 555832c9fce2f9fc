"""What a hostile server may answer a call with: its caller is told, nobody else notices, and the next call is a call like any other."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, repeat

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from any_json import BODIES
from gateway_served import Serve, Served
from gateway_upstream import EraName, Json, UpstreamServer, running_server
from gateway_world import ALICE, BOB, gateway, installation, pinned, tool

BROKE_OFF = "broke off or gave no valid answer"
LATE = "did not answer in time"
ENDED = f"{BROKE_OFF}|{LATE}"
"""Which of the two bounds is reached first, of bytes or of time, is a matter of speed."""
Pieces = Callable[[Json], Iterator[bytes]]
"""Gives what a server writes, for a request."""


def event(message: object) -> bytes:
    return b"data: " + json.dumps(message).encode() + b"\n\n"


def result(request: Json, **more: object) -> Json:
    return {"jsonrpc": "2.0", "id": request["id"], "result": {"content": [{"type": "text", "text": "done"}]} | more}


NOTE = event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 1000}})
QUESTION = event({"jsonrpc": "2.0", "id": 7, "method": "sampling/createMessage", "params": {}})

STREAMS: dict[str, tuple[Pieces, str]] = {
    "comments for ever": (lambda _: repeat(b":\n\n"), LATE),
    "empty lines for ever": (lambda _: repeat(b"\n" * 1000), ENDED),
    "notifications for ever": (lambda _: repeat(NOTE * 100), ENDED),
    "one line for ever": (lambda _: repeat(b"data: " + b"x" * 100_000), ENDED),
    "an event of many lines for ever": (lambda _: repeat(b"data: x\n" * 10_000), ENDED),
    "a field for ever": (lambda _: repeat(b"x" * 100_000), ENDED),
    "events of another kind for ever": (lambda _: repeat(b"event: x\ndata: y\n\n" * 10_000), ENDED),
    "responses to others for ever": (lambda _: (event({"jsonrpc": "2.0", "id": n, "result": {}}) * 100 for n in count(10_000)), ENDED),
    "silence": (lambda _: iter([b":\n\n"]), LATE),
    "no JSON": (lambda _: iter([b"data: {\n\n"]), BROKE_OFF),
    "no UTF-8": (lambda _: iter([b'data: {"jsonrpc":"2.0","method":"\xff"}\n\n']), BROKE_OFF),
    "no message": (lambda _: iter([event([])]), BROKE_OFF),
    "nesting without end": (lambda _: iter([b"data: " + b"[" * 100_000 + b"\n\n"]), BROKE_OFF),
    "its id as another type": (lambda r: iter([event(result(r) | {"id": str(r["id"])})]), LATE),
    "a result beside an error": (lambda r: iter([event(result(r) | {"error": {"code": 1, "message": "x"}})]), BROKE_OFF),
    "a result that is a number": (lambda r: iter([event({"jsonrpc": "2.0", "id": r["id"], "result": 5})]), BROKE_OFF),
    "a result that fails by a text": (lambda r: iter([event(result(r, isError="yes"))]), BROKE_OFF),
    "an error whose code is a text": (
        lambda r: iter([event({"jsonrpc": "2.0", "id": r["id"], "error": {"code": "1", "message": ""}})]),
        BROKE_OFF,
    ),
    "its answer twice": (lambda r: iter([event(result(r)) + event(result(r, isError=True))]), "done"),
    "its answer, and then for ever": (lambda r: (event(result(r)) if n == 0 else NOTE for n in count()), "done"),
    "a thousand questions before its answer": (lambda r: iter([QUESTION * 1000, event(result(r))]), "done"),
    "the answers to the next calls as well": (
        lambda r: iter([b"".join(event(result(r | {"id": r["id"] + n}, isError=True)) for n in (1, 2, 3)) + event(result(r))]),
        "done",
    ),
    "its answer in a batch with others": (
        lambda r: iter([event([result(r), result(r | {"id": -1}), {"jsonrpc": "2.0", "method": "x"}])]),
        "done",
    ),
}


@dataclass
class HostileServer(UpstreamServer):
    """It answers the tool `hostile` with these pieces of a stream, as fast as they are taken, until nobody takes any."""

    pieces: Pieces = field(default=lambda _: iter(()))
    content_type: str = "text/event-stream"
    ends: bool = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        message = json.loads(await request.read() or b"{}")
        if message.get("method") != "tools/call" or message["params"]["name"] != "hostile":
            return await super().handle(request)
        self.remember(request, message)
        stream = web.StreamResponse(headers={"Content-Type": self.content_type})
        await stream.prepare(request)
        with suppress(ConnectionError):
            for piece in self.pieces(message):
                await stream.write(piece)
                await asyncio.sleep(0)
            if not self.ends:
                await self.gate.wait()
        return stream


def started(serve: Serve, hostile: HostileServer, good: UpstreamServer) -> Served:
    tools = (tool("hostile"), tool("echo"))
    return serve(
        installation("bad", team="engineering", url=hostile.url, tools=tools),
        installation("good", team="engineering", url=good.url, tools=tools),
        gateway("tools", pinned("bad"), pinned("good"), limits={"callTimeout": "5s"}),
    )


@pytest.fixture(params=["legacy", "modern"])
async def hostile(request: pytest.FixtureRequest) -> AsyncIterator[HostileServer]:
    era: EraName = request.param
    server = HostileServer(era)
    async with running_server(server):
        yield server


@pytest.mark.requirement("GW-12")
@pytest.mark.parametrize("case", STREAMS)
async def test_whatever_a_server_streams_ends_its_own_call_alone(
    serve: Serve, hostile: HostileServer, legacy_server: UpstreamServer, case: str
) -> None:
    hostile.pieces, says = STREAMS[case]
    served = started(serve, hostile, legacy_server)
    alice, bob = served.caller(ALICE), served.caller(BOB)
    await alice.initialize()
    call = asyncio.create_task(alice.call("bad__hostile"))
    for caller in (alice, bob):
        answered = await caller.call("good__echo", modern=True, word="here")
        assert answered.text == '{"word": "here"}'
    async with asyncio.timeout(30):
        assert re.search(says, (await call).text)
    assert (await alice.call("bad__echo", word="next")).text == '{"word": "next"}'
    assert len([one for one in hostile.calls() if one.message["params"]["name"] == "hostile"]) == 1


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=60) | BODIES.map(lambda body: b"data: " + body + b"\n\n"), max_size=4), st.booleans())
async def test_no_answer_breaks_it(
    serve: Serve, hostile: HostileServer, legacy_server: UpstreamServer, pieces: list[bytes], is_json: bool
) -> None:
    hostile.pieces, hostile.ends = lambda _: iter(pieces), True
    hostile.content_type = "application/json" if is_json else "text/event-stream"
    answered = await started(serve, hostile, legacy_server).caller(ALICE).call("bad__hostile", modern=True)
    assert answered.status in (200, 400, 404)
    assert "result" in answered.message or "error" in answered.message
