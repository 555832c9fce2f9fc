"""Egress rules through the pipeline: what a caller is told, and what an edit of the rules ends."""

import asyncio
import dataclasses

import pytest

from eventually import eventually
from gateway_served import Serve, Served
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, SECRET, Manifest, gateway, installation, pinned, snapshot_of, tool
from own_address import ADDRESS, rules
from recording_server import Http, RecordingServer, always, serving
from wharfinger_crds import names
from wharfinger_crds.egress_rules import EgressRules

pytestmark = pytest.mark.requirement("ENV-8")

TOOLS = (tool("echo"), tool("wait"))
REFUSED = "Egress rules do not let the tool's server be reached. The call was not carried out: environment prod: "
SHUT = rules(mode="DenyAll")


def bot(url: str, egress: EgressRules | None = None, name: str = "bot", environment: str = "prod") -> list[Manifest]:
    return installation(name, team="engineering", url=url, egress=egress or rules(), tools=TOOLS, in_environment=environment)


def publish(served: Served, *parts: list[Manifest]) -> None:
    """Let other connections count, as the watch does."""
    snapshot = snapshot_of(*parts, gateway("tools", pinned("bot")))
    # What is made anew here is newer; in a cluster it would be the same object.
    known = served.current.snapshot.installations if served.current.snapshot else {}
    same = {key: dataclasses.replace(one, created=known[key].created) for key, one in snapshot.installations.items() if key in known}
    served.put_in_force(dataclasses.replace(snapshot, installations={**snapshot.installations, **same}))


@pytest.mark.parametrize("modern", [False, True], ids=["legacy-client", "modern-client"])
async def test_a_refused_call_names_the_environment_and_what_its_rules_lack_and_nothing_is_sent(
    serve: Serve, legacy_server: UpstreamServer, modern: bool
) -> None:
    served = serve(bot(legacy_server.url, SHUT), gateway("tools", pinned("bot")))

    answered = await served.caller(ALICE).call("bot__echo", modern=modern)

    where = legacy_server.url.removeprefix("http://").removesuffix("/mcp")
    assert answered.status == 200
    assert answered.result["isError"] is True
    assert answered.text == f"{REFUSED}no rule of mode DenyAll opens {where}"
    assert legacy_server.requests == []
    assert any(b'"egress_refused"' in line for line in served.audit)
    assert SECRET not in answered.text


async def test_a_name_that_leads_inside_is_told_by_its_block_and_not_by_its_address(serve: Serve) -> None:
    egress = rules(mode="Restricted", cidrs=[{"cidr": "127.0.0.0/8"}])
    served = serve(bot("http://127.0.0.1:8443/mcp", egress), gateway("tools", pinned("bot")))

    answered = await served.caller(ALICE).call("bot__echo")

    assert answered.text.startswith(f"{REFUSED}127.0.0.1:8443 leads into 127.0.0.0/8: a loopback")


async def test_a_server_whose_operator_said_no_rules_is_not_reached(serve: Serve, legacy_server: UpstreamServer) -> None:
    old = installation("bot", team="engineering", url=legacy_server.url, egress=None, tools=TOOLS)

    answered = await serve(old, gateway("tools", pinned("bot"))).caller(ALICE).call("bot__echo")

    assert (
        answered.text
        == f"{REFUSED}no egress rules came with the connection, as from an operator older than this program: upgrade the operator"
    )
    assert legacy_server.requests == []


async def test_a_server_of_ours_needs_no_rules(serve: Serve) -> None:
    hosted = installation("bot", team="engineering", url=names.server_url("dev", "bot", "servers"), egress=None, tools=TOOLS)

    answered = await serve(hosted, gateway("tools", pinned("bot"))).caller(ALICE).call("bot__echo")

    assert answered.text.startswith("The tool's server cannot be reached"), (
        "there is no cluster here to find it in, and nothing else is wrong"
    )


async def test_tighter_rules_end_the_session_and_the_connections_of_before(serve: Serve, legacy_server: UpstreamServer) -> None:
    served = serve(bot(legacy_server.url), gateway("tools", pinned("bot")))
    publish(served, bot(legacy_server.url))
    caller = served.caller(ALICE)
    assert not (await caller.call("bot__echo")).result.get("isError")
    asked = len(legacy_server.requests)
    waiting = asyncio.create_task(caller.call("bot__wait"))
    await eventually(lambda: len(legacy_server.calls()) == 2)

    publish(served, bot(legacy_server.url, SHUT))

    assert "broke off" in (await asyncio.wait_for(waiting, 5)).text
    assert (await caller.call("bot__echo")).text.startswith(REFUSED)
    assert len(legacy_server.requests) == asked + 1
    assert len(served.upstreams) == 1
    publish(served, bot(legacy_server.url))
    assert not (await caller.call("bot__echo")).result.get("isError")
    assert [one.method for one in legacy_server.requests].count("initialize") == 2


async def test_rules_of_another_environment_end_nothing_here(serve: Serve, legacy_server: UpstreamServer) -> None:
    other = "http://elsewhere.example/mcp"
    served = serve(bot(legacy_server.url), gateway("tools", pinned("bot")))
    publish(served, bot(legacy_server.url), bot(other, rules(mode="AllowAll"), "second", "staging"))
    caller = served.caller(ALICE)
    waiting = asyncio.create_task(caller.call("bot__wait"))
    await eventually(legacy_server.calls)

    publish(served, bot(legacy_server.url), bot(other, SHUT, "second", "staging"))
    legacy_server.gate.set()

    assert not (await asyncio.wait_for(waiting, 5)).result.get("isError")
    assert not (await caller.call("bot__echo")).result.get("isError")
    assert [one.method for one in legacy_server.requests].count("initialize") == 1


async def test_wider_rules_let_what_is_under_way_end(serve: Serve, legacy_server: UpstreamServer) -> None:
    served = serve(bot(legacy_server.url), gateway("tools", pinned("bot")))
    publish(served, bot(legacy_server.url))
    waiting = asyncio.create_task(served.caller(ALICE).call("bot__wait"))
    await eventually(legacy_server.calls)

    publish(served, bot(legacy_server.url, rules(mode="Restricted", cidrs=[{"cidr": f"{ADDRESS}/32"}, {"cidr": "198.51.100.0/24"}])))
    legacy_server.gate.set()

    assert not (await asyncio.wait_for(waiting, 5)).result.get("isError")


@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_is_not_followed_wherever_it_leads(serve: Serve, status: int) -> None:
    async with serving(host=ADDRESS) as start:
        elsewhere = RecordingServer()
        for target in (f"http://{(await _http(start, elsewhere))}/mcp", "http://169.254.169.254/latest/meta-data"):
            redirecting = RecordingServer(replies={"*": always(status, Location=target)})
            url = f"http://{await _http(start, redirecting)}/mcp"
            answered = await serve(bot(url), gateway("tools", pinned("bot"))).caller(ALICE).call("bot__echo")
            assert answered.text.startswith("The tool's server broke off or gave no valid answer")
            assert redirecting.messages
    assert elsewhere.messages == []


async def _http(start: Http, server: RecordingServer) -> str:
    return (await start(server)).host
