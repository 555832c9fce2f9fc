"""How asking servers ends: counted by the reason that the condition has, and in time."""

import asyncio
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import generate_latest

from announcing_server import AnnouncingServer
from eventually import eventually
from own_address import ADDRESS, rules
from recording_server import Http, RecordingServer, result
from wharfinger_crds import conditions as c
from wharfinger_crds.connection import Connection
from wharfinger_operator import discover
from wharfinger_operator.ask_server import ServerAsker
from wharfinger_operator.discover import Discoverer, Question
from wharfinger_operator.telemetry import Telemetry


@pytest.mark.requirement("OPS-5")
async def test_discoveries_are_counted_by_reason(asker: ServerAsker, http: Http) -> None:
    telemetry = Telemetry()
    discoverer = Discoverer(asker.ask, lambda namespace, name: None, observe=telemetry.discovered)

    def ask(name: str, url: str) -> None:
        there = Connection(namespace="team-a", name=name, uid="u", entry="e", environment="prod", url=url, egress=rules())
        discoverer.ask(Question(there, revision=1, interval=3600, timeout=10))

    def counted(reason: str) -> bool:
        return f'wharfinger_discoveries_total{{reason="{reason}"}} 1.0' in generate_latest(telemetry.registry).decode()

    endpoint = await http(AnnouncingServer([{"name": "a"}]))
    ask("there", f"http://{endpoint.host}{endpoint.path}")
    ask("gone", f"http://{ADDRESS}:9/mcp")
    ask("shut", "http://192.0.2.77/mcp")
    for reason in ("Succeeded", "DiscoveryFailed", "EgressRefused"):
        await eventually(partial(counted, reason))
    await discoverer.close()


@pytest.mark.requirement("INS-3")
async def test_a_server_that_is_slow_with_everything_is_given_up_within_its_bound_and_a_little(
    asker: ServerAsker, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slowly(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(0.7)
        return result(message, {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "tools": []})

    monkeypatch.setattr(discover, "OVERTIME", 0.2)
    monkeypatch.setattr(discover, "QUIET_FAILURES", 1)
    endpoint = await http(RecordingServer(modern=True, replies={"server/discover": slowly, "tools/list": slowly}))
    there = Connection(
        namespace="team-a", name="x", uid="u", entry="e", environment="prod", url=f"http://{endpoint.host}/mcp", egress=rules()
    )
    discoverer = Discoverer(asker.ask, lambda *_: None)

    discoverer.ask(Question(there, revision=1, interval=3600, timeout=1))

    await eventually(lambda: discoverer.result("team-a", "x") is not None)
    found = discoverer.result("team-a", "x")
    assert found
    assert (found.definitions, found.reason, found.message) == (None, c.DISCOVERY_FAILED, "the server gave no list of tools within 1 s")
    await discoverer.close()
