"""A server a session: begun by initialize, bounded, ended by DELETE, by want of use or by itself."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from bridge_process import TOKEN, Bridge, Start, until

PER_SESSION = ("--max-sessions", "3")


async def pid_of(bridge: Bridge, session: str) -> int:
    pid: int = (await bridge.call("process", session=session)).value["pid"]
    return pid


async def end(bridge: Bridge, session: str) -> int:
    headers = {"Authorization": f"Bearer {TOKEN}", "Mcp-Session-Id": session}
    async with bridge.http.delete(f"{bridge.url}/mcp", headers=headers) as response:
        return response.status


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


async def ended(pid: int) -> None:
    async def is_gone() -> bool:
        return not lives(pid)

    await until(is_gone)


@pytest.mark.requirement("ORC-2")
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_each_session_has_a_process_of_its_own(start: Start, era: str) -> None:
    bridge = await start("--era", era, options=PER_SESSION)
    sessions = [await bridge.session() for _ in range(3)]
    pids = [await pid_of(bridge, session) for session in sessions]

    assert len(set(sessions)) == len(set(pids)) == 3
    assert [await pid_of(bridge, session) for session in sessions] == pids
    answers = await asyncio.gather(*(bridge.call("sleep", session=sessions[i % 3], seconds=0.05, value=i) for i in range(30)))
    assert [answer.value for answer in answers] == list(range(30))


@pytest.mark.requirement("ORC-2")
async def test_the_process_that_proved_readiness_is_the_first_sessions(start: Start) -> None:
    bridge = await start(options=PER_SESSION)
    await bridge.session()
    assert len([line for line in bridge.log if "server ready" in line]) == 1


@pytest.mark.requirement("ORC-2")
async def test_beyond_the_bound_callers_are_asked_to_come_again_and_an_ended_session_makes_room(start: Start) -> None:
    bridge = await start(options=("--max-sessions", "2"))
    first, second = await bridge.session(), await bridge.session()

    full = await bridge.request("initialize", {"protocolVersion": "2025-11-25"})
    assert (full.status, full.headers["Retry-After"], full.body["error"]["message"]) == (503, "1", "2 sessions are open")
    pid = await pid_of(bridge, first)
    assert await end(bridge, first) == 200
    await ended(pid)

    async def has_room() -> bool:
        return (await bridge.request("initialize", {"protocolVersion": "2025-11-25"})).status == 200

    await until(has_room)
    assert (await bridge.call("echo", session=second)).status == 200


@pytest.mark.requirement("ORC-2")
async def test_concurrent_callers_never_get_more_processes_than_the_bound(start: Start) -> None:
    bridge = await start(options=PER_SESSION)
    answers = await asyncio.gather(*(bridge.request("initialize", {"protocolVersion": "2025-11-25"}) for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [503] * 7
    assert len([line for line in bridge.log if "server ready" in line]) == 3


@pytest.mark.requirement("ORC-2")
@pytest.mark.parametrize("method", ["tools/list", "ping", "tools/call"])
async def test_an_unknown_or_ended_session_is_404_so_that_the_client_begins_anew(start: Start, method: str) -> None:
    bridge = await start(options=PER_SESSION)
    session = await bridge.session()
    assert await end(bridge, session) == 200
    assert await end(bridge, session) == 404
    for unknown in (session, "0" * 32):
        answer = await bridge.request(method, id_=4, Mcp_Session_Id=unknown)
        assert (answer.status, answer.body["id"]) == (404, 4)
        assert answer.body["error"]["code"] != -32601, "that would be an unknown method"
    assert (await bridge.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, Mcp_Session_Id=session)).status == 404
    assert (await bridge.request(method)).status == 400
    assert (await bridge.request("initialize", {"protocolVersion": "2025-11-25"}, Mcp_Session_Id=session)).status == 200


@pytest.mark.requirement("ORC-2")
async def test_a_process_that_dies_takes_its_session_with_it_and_no_other(start: Start) -> None:
    bridge = await start(options=PER_SESSION)
    dying, living = await bridge.session(), await bridge.session()
    waiting = asyncio.create_task(bridge.call("sleep", session=living, seconds=1, value="other"))

    lost = await bridge.call("exit", session=dying, code=7)

    assert lost.body["error"]["data"] == {"reason": "ServerExited"}

    async def is_gone() -> bool:
        return (await bridge.call("echo", session=dying)).status == 404

    await until(is_gone)
    assert (await waiting).value == "other"
    assert (await bridge.get("/readyz")).status == 200


@pytest.mark.requirement("ORC-2")
async def test_a_session_without_calls_ends_after_its_time_and_one_with_a_call_does_not(start: Start) -> None:
    bridge = await start(options=(*PER_SESSION, "--idle-timeout", "2"))
    busy = await bridge.session()
    working = asyncio.create_task(bridge.call("sleep", session=busy, seconds=6, value="done"))
    idle = await bridge.session()
    pid = await pid_of(bridge, idle)

    await ended(pid)

    assert (await bridge.call("echo", session=idle)).status == 404
    assert (await working).value == "done"


async def test_a_spare_that_nobody_takes_ends_too_and_the_next_session_starts_its_own(start: Start) -> None:
    bridge = await start(options=(*PER_SESSION, "--idle-timeout", "0.3"))
    await bridge.logged("server of a session ended running=0")
    assert (await bridge.get("/readyz")).status == 200
    assert await bridge.session()


@pytest.mark.requirement("ORC-2")
async def test_readiness_waits_for_one_good_handshake_and_says_why_there_is_none(start: Start) -> None:
    bridge = await start("--exit-at-start", "4", options=PER_SESSION, ready=False)
    await bridge.logged("server exited with code 4", times=2)
    assert (await bridge.get("/readyz")).status == 503
    assert "exited with code 4" in (await bridge.get("/readyz")).body
    answer = await bridge.request("initialize", {"protocolVersion": "2025-11-25"})
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


@pytest.mark.requirement("ORC-2")
@pytest.mark.parametrize(("method", "status", "code"), [("server/discover", 404, -32601), ("tools/list", 400, -32022)])
async def test_a_modern_caller_has_no_session_and_is_told_to_begin_one(start: Start, method: str, status: int, code: int) -> None:
    bridge = await start("--era", "modern", options=PER_SESSION)
    answer = await bridge.request(method, modern=True)
    assert (answer.status, answer.body["error"]["code"]) == (status, code)
    if code == -32022:
        assert answer.body["error"]["data"]["supported"][0] == "2025-11-25"


@pytest.mark.requirement("ORC-2")
async def test_a_cancellation_reaches_the_process_of_its_session_only(start: Start) -> None:
    bridge = await start(options=PER_SESSION)
    sessions = [await bridge.session() for _ in range(2)]
    calls = []
    for times, session in enumerate(sessions, 1):
        calls.append(asyncio.create_task(bridge.call("hang", id_=5, session=session)))
        await bridge.logged("hanging", times=times)
    cancelled: dict[str, Any] = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}
    assert (await bridge.post(cancelled, Mcp_Session_Id=sessions[1])).status == 202
    assert (await calls[1]).body["error"]["data"] == {"reason": "Cancelled"}
    assert not calls[0].done()
    calls[0].cancel()


@pytest.mark.requirement("ORC-2")
async def test_sigterm_lets_calls_finish_and_ends_every_process(start: Start) -> None:
    bridge = await start("--ignore-term", options=PER_SESSION)
    sessions = [await bridge.session() for _ in range(3)]
    pids = [await pid_of(bridge, session) for session in sessions]
    working = asyncio.create_task(bridge.call("sleep", session=sessions[0], seconds=1, value="finished"))
    hanging = asyncio.create_task(bridge.call("hang", session=sessions[1]))
    await bridge.logged("hanging")
    bridge.terminate()
    assert (await working).value == "finished"
    hanging.cancel()
    assert await asyncio.wait_for(bridge.process.wait(), 20) == 0
    assert not [pid for pid in pids if lives(pid)]


async def test_a_caller_that_leaves_while_its_server_starts_leaves_no_process_behind(start: Start) -> None:
    bridge = await start("--slow-start", "3", options=PER_SESSION)
    await bridge.session()
    leaving = asyncio.create_task(bridge.session())

    async def is_starting() -> bool:
        return len(children_of(bridge.process.pid)) == 2

    await until(is_starting)
    leaving.cancel()
    await bridge.logged("server of a session ended running=1")
