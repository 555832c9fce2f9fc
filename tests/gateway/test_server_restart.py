"""A server that goes down and comes back, as a rollout of it does: callers are told, no call is sent twice, and the next one arrives."""

import asyncio
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from eventually import eventually
from gateway_served import Serve
from gateway_upstream import EraName, UpstreamServer, running_server
from gateway_world import ALICE, BOB, gateway, installation, pinned, tool

TOOLS = (tool("echo"), tool("wait"))


@dataclass
class DyingServer(UpstreamServer):
    """It can go down amid calls."""

    under_way: set[asyncio.Transport] = field(default_factory=set)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, if it lives so long."""
        transport = request.transport
        assert transport is not None
        self.under_way.add(transport)
        try:
            return await super().handle(request)
        finally:
            self.under_way.discard(transport)

    def die(self) -> None:
        """Break off whatever is under way, and know no session any more."""
        for transport in self.under_way:
            transport.abort()
        self.forget_sessions()


@pytest.mark.requirement("GW-14")
@pytest.mark.parametrize("modern", [False, True], ids=["legacy-client", "modern-client"])
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_calls_before_amid_and_after_the_restart_of_a_server(serve: Serve, era: EraName, modern: bool) -> None:
    server = DyingServer(era)
    async with running_server(server):
        served = serve(installation("bot", team="engineering", url=server.url, tools=TOOLS), gateway("tools", pinned("bot")))
        alice, bob = served.caller(ALICE), served.caller(BOB)
        for caller in (alice, bob):
            assert (await caller.call("bot__echo", modern=modern)).result.get("isError", False) is False
        waiting = [asyncio.create_task(alice.call("bot__wait", modern=modern)), asyncio.create_task(bob.call("bot__echo", modern=modern))]
        await waiting[1]
        await eventually(lambda: len(server.calls()) == 4)
        server.die()
        assert "may have been carried out" in (await waiting[0]).text
    assert "cannot be reached. The call was not carried out" in (await alice.call("bot__echo", modern=modern)).text
    assert len(server.calls()) == 4
    server.gate.clear()
    async with running_server(server, urlsplit(server.url).port or 0):
        for caller in (alice, bob, alice):
            answered = await caller.call("bot__echo", modern=modern, after=True)
            assert (answered.status, answered.text) == (200, '{"after": true}')
    # A request to a session that the server does not know was not taken by it: that one alone is sent again.
    assert len([one for one in server.calls() if one.message["params"]["arguments"]]) == 3 + 2 * (era == "legacy")
    begun = [one for one in server.requests if one.method == ("initialize" if era == "legacy" else "server/discover")]
    assert len(begun) == (4 if era == "legacy" else 2)
