"""How asking servers ended is counted, by the reason that the condition has."""

from functools import partial

import pytest
from prometheus_client import generate_latest

from announcing_server import AnnouncingServer
from eventually import eventually
from own_address import ADDRESS, rules
from recording_server import Http
from wharfinger_crds.connection import Connection
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
