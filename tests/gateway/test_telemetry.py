"""What is counted, and that neither callers nor time make series without bound."""

import json
from typing import Any

import pytest
from prometheus_client import generate_latest

from gateway_served import Serve, Served
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, DAVE, gateway, installation, pinned, text_of, token, tool
from own_address import ADDRESS, rules
from wharfinger_gateway import call_metrics
from wharfinger_gateway.connection_bounds import Ended
from wharfinger_gateway.telemetry import Telemetry
from wharfinger_gateway.upstreams import Upstreams
from wharfinger_mcp.connect import Connect

BOUND = text_of("bound")


def metrics(served: Served | Telemetry) -> str:
    return generate_latest((served if isinstance(served, Telemetry) else served.telemetry).registry).decode()


def series(text: str, name: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(name)]


@pytest.mark.requirement("OPS-5")
async def test_connections_to_servers_are_counted_as_made_used_again_and_missed(serve: Serve, modern_server: UpstreamServer) -> None:
    served = serve(
        installation("bot", team="engineering", url=modern_server.url),
        installation("gone", team="engineering", url=f"http://{ADDRESS}:9/mcp"),
        installation("shut", team="engineering", url="http://192.0.2.1/mcp", egress=rules()),
        gateway("tools", pinned("bot"), pinned("gone"), pinned("shut")),
    )
    alice = served.caller(ALICE)
    for name in ("bot", "bot", "bot", "gone", "shut"):
        await alice.call(f"{name}__echo", modern=True)
    found = series(metrics(served), "wharfinger_gateway_upstream_connects_total")
    # The first call asks the server what it is before it calls.
    assert {line.split('"')[1]: float(line.split()[-1]) for line in found} == {
        "new": 1, "reused": 3, "unreachable": 1, "egress_refused": 1, "busy": 0, "misconfigured": 0,
    }  # fmt: skip


@pytest.mark.requirement("OPS-5")
async def test_calls_errors_and_durations_are_counted_by_gateway_server_and_tool(serve: Serve, modern_server: UpstreamServer) -> None:
    served = serve(
        installation("bot", team="engineering", url=modern_server.url), gateway("tools", pinned("bot", rename={"echo": "shout"}))
    )
    alice = served.caller(ALICE)
    answers: list[Any] = [{"isError": True}, {"code": -32000, "message": "no"}, 500, {"content": []}]
    for one in answers:
        modern_server.behaviour = {"echo": one}
        await alice.call("bot__shout", modern=True)
    text = metrics(served)
    for outcome in ("tool_error", "error", "upstream_failed", "ok"):
        labels = f'gateway="dev.tools",outcome="{outcome}",server="github",tool="echo"'
        assert f"wharfinger_gateway_calls_total{{{labels}}} 1.0" in text
    assert 'wharfinger_gateway_call_seconds_count{gateway="dev.tools",server="github",tool="echo"} 4.0' in text
    assert "wharfinger_gateway_overhead_seconds_count 4.0" in text
    assert 'wharfinger_gateway_overhead_seconds_bucket{le="5e-05"}' in text


@pytest.mark.requirement("OPS-5")
async def test_tools_beyond_a_number_are_counted_together(
    serve: Serve, modern_server: UpstreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_metrics, "MAX_TOOLS", 3)
    names = [f"t{number}" for number in range(6)]
    tools = [tool(name) for name in names]
    served = serve(installation("bot", team="engineering", url=modern_server.url, tools=tools), gateway("tools", pinned("bot")))
    for name in (*names, *names):
        await served.caller(ALICE).call(f"bot__{name}", modern=True)
    text = metrics(served)
    assert len(series(text, "wharfinger_gateway_calls_total")) == 4
    assert 'calls_total{gateway="(other)",outcome="ok",server="(other)",tool="(other)"} 6.0' in text
    assert len({json.loads(line)["server_tool"] for line in served.audit}) == 6, "the audit record still tells them apart"


@pytest.mark.requirement("OPS-5")
async def test_what_a_caller_makes_up_makes_no_series(serve: Serve) -> None:
    served = serve(gateway("tools"))
    before = len(metrics(served).splitlines())
    for number in range(20):
        await served.caller(ALICE).call(f"made-up-{number}", modern=True)
        await served.caller(ALICE).modern(f"made/up{number}")
        await served.caller(ALICE, f"made.up{number}").modern("tools/list")
    assert "made" not in metrics(served)
    assert len(metrics(served).splitlines()) < before + 10


@pytest.mark.requirement("OPS-5")
async def test_connections_sessions_and_who_was_let_go_are_seen(serve: Serve) -> None:
    telemetry = Telemetry(lambda _: None)
    upstreams: Upstreams = serve(gateway("tools")).upstreams
    telemetry.watch_clients(lambda: 7, lambda: 1024)
    telemetry.watch_sessions(lambda: len(upstreams))
    telemetry.client_ended(Ended.UNREAD)
    text = metrics(telemetry)
    for line in ("connections 7.0", "unread_bytes 1024.0", "sessions 0.0", 'connections_ended_total{reason="unread"} 1.0'):
        assert f"wharfinger_gateway_{line}" in text
    assert [how.value for how in Connect] == [line.split('"')[1] for line in series(text, "wharfinger_gateway_upstream_connects_total")]


@pytest.mark.requirement("OPS-6", "GW-3")
@pytest.mark.parametrize(
    ("text", "gateway_id", "principal", "reason"),
    [
        (ALICE, "dev.absent", "user okta:alice", "gateway_unknown"),
        (DAVE, "dev.tools", "user okta:dave", "gateway_hidden"),
        (ALICE, "dev.shut", "user okta:alice", "door_closed"),
        (BOUND, "dev.tools", "user okta:alice", "token_of_another_gateway"),
    ],
)
async def test_a_gateway_refused_to_somebody_is_in_the_audit_log(
    serve: Serve, text: str, gateway_id: str, principal: str, reason: str
) -> None:
    bound = token("bound", BOUND, user="okta:alice", gateways=["dev.other"])
    served = serve(gateway("tools", teams=["engineering"]), gateway("shut", bearer=False), bound)
    answered = await served.caller(text, gateway_id).modern("tools/list")
    (record,) = [json.loads(line) for line in served.audit]
    assert {key: record[key] for key in ("audit", "gateway", "principal", "outcome")} == {
        "audit": "refusal", "gateway": gateway_id, "principal": principal, "outcome": reason,
    }  # fmt: skip
    assert (record["credential"].startswith("McpToken "), text in served.audit[0].decode()) == (True, False)
    assert reason not in answered.reply.body.decode()
    assert "okta" not in answered.reply.body.decode()


@pytest.mark.requirement("OPS-6")
async def test_where_nobody_is_known_nothing_was_decided_and_nothing_is_written(serve: Serve) -> None:
    served = serve(gateway("tools"))
    for text in (None, text_of("nobody")):
        assert (await served.caller(text, "dev.tools").modern("tools/list")).status == 401
    assert (await served.caller(ALICE, "x" * 10_000).modern("tools/list")).status == 404
    assert served.audit == []
