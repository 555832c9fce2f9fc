"""What callers and probes see when the server misbehaves."""

import asyncio
import sys
from typing import Any

import pytest

from bridge_process import Start, stdio_server


@pytest.mark.requirement("ORC-2")
@pytest.mark.parametrize(
    ("tool", "arguments", "how"),
    [
        ("exit", {"code": 7}, "exited with code 7"),
        ("kill", {}, "was killed by SIGKILL"),
        ("close_output", {}, "exited with code 0"),
    ],
)
async def test_a_server_that_ends_fails_its_calls_and_is_started_again(
    start: Start, tool: str, arguments: dict[str, Any], how: str
) -> None:
    bridge = await start()
    waiting = [asyncio.create_task(bridge.call("hang", id_=f"h{each}")) for each in range(3)]
    await bridge.logged("hanging", times=3)
    ended = await bridge.call(tool, id_="x", **arguments)
    for answer in [ended, *await asyncio.wait_for(asyncio.gather(*waiting), 20)]:
        assert answer.status == 200
        assert answer.body["error"] == {
            "code": -32603,
            "message": f"the server {how} before it answered",
            "data": {"reason": "ServerExited"},
        }
    assert {answer.body["id"] for answer in [await task for task in waiting]} == {"h0", "h1", "h2"}
    assert "restart_in_s=0.5" in await bridge.logged(f"server {how}")
    await bridge.ready()
    assert (await bridge.call("echo")).status == 200
    assert len([line for line in bridge.log if "hanging" in line]) == 3, "a call was sent again"


async def test_an_answer_printed_right_before_the_end_arrives(start: Start) -> None:
    bridge = await start()
    assert (await bridge.call("answer_and_exit")).body["result"] == {"content": []}


@pytest.mark.requirement("ORC-2")
async def test_while_no_server_runs_calls_are_refused_unsent_and_readiness_says_why(start: Start) -> None:
    bridge = await start("--exit-at-start", "4", ready=False)
    await bridge.logged("server exited with code 4", times=2)
    ready = await bridge.get("/readyz")
    assert (ready.status, ready.body) == (503, "the server exited with code 4, again and again")
    answer = await bridge.call("echo", id_="e")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.body == {
        "jsonrpc": "2.0",
        "id": "e",
        "error": {"code": -32603, "message": "the server exited with code 4, again and again"},
    }
    assert (await bridge.get("/livez")).status == 200
    assert "restart_in_s=1.0" in await bridge.logged("restart_in_s", times=2)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("no-such-program", "--secret-argument"), "the server could not be started: 'no-such-program': No such file or directory"),
        (("/etc/passwd", "--secret-argument"), "the server could not be started: '/etc/passwd': Permission denied"),
    ],
)
async def test_a_program_that_cannot_start_is_named_without_its_arguments(start: Start, command: tuple[str, ...], reason: str) -> None:
    bridge = await start(command=command, ready=False)
    await bridge.logged("could not be started")
    assert (await bridge.get("/readyz")).body == reason
    assert "secret-argument" not in "\n".join(bridge.log)


async def test_a_call_without_an_answer_ends_at_its_time_limit(start: Start) -> None:
    bridge = await start(options=("--call-timeout", "0.3"))
    answer = await bridge.call("hang", id_=3)
    assert (answer.status, answer.body["id"], answer.body["error"]["data"]) == (200, 3, {"reason": "Timeout"})
    assert (await bridge.call("heard", method="notifications/cancelled", count=1)).status == 200


async def test_garbage_on_standard_output_is_logged_and_harmless(start: Start) -> None:
    bridge = await start()
    assert (await bridge.call("garbage")).value == "after garbage"
    assert await bridge.logged('line="starting up!"')
    assert len(max(bridge.log, key=len)) < 1000


async def test_standard_error_goes_to_the_container_log(start: Start) -> None:
    bridge = await start()
    await bridge.call("stderr")
    assert await bridge.logged("a line on stderr") == "a line on stderr"


async def test_large_answers_arrive_and_larger_ones_fail_alone(start: Start) -> None:
    bridge = await start()
    waiting = asyncio.create_task(bridge.call("sleep", seconds=2, value="other"))
    assert len((await bridge.call("big", size=15_000_000)).body["result"]["content"][0]["text"]) == 15_000_000
    for id_last in (False, True):
        answer = await bridge.call("big", size=17_000_000, id_last=id_last)
        assert answer.body["error"]["data"] == {"reason": "AnswerTooLarge"}
    assert (await waiting).value == "other"


async def test_an_answer_that_is_none_is_an_error_at_once(start: Start) -> None:
    bridge = await start()
    answer = await bridge.call("odd_answer", id_=2)
    assert (answer.body["id"], answer.body["error"]["data"]) == (2, {"reason": "AnswerInvalid"})


async def test_a_server_that_does_not_read_is_not_fed_without_end(start: Start) -> None:
    script = "import json,sys,time; sys.stdin.readline(); print(json.dumps({'jsonrpc':'2.0','id':1,'result':{'supportedVersions':['2026-07-28']}}), flush=True); time.sleep(60)"
    bridge = await start(command=(sys.executable, "-c", script), options=("--call-timeout", "15"))
    calls = [asyncio.create_task(bridge.call("echo", id_=each, x="y" * 4_000_000)) for each in range(12)]
    done, pending = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    assert {task.result().status for task in done} == {503}
    assert pending
    for task in pending:
        task.cancel()


@pytest.mark.requirement("ORC-2")
@pytest.mark.parametrize(("server", "protocol"), [("legacy", "2025-11-25"), ("modern", "2026-07-28"), ("dual", "2026-07-28")])
async def test_the_era_of_a_server_is_found_and_kept_over_its_restarts(start: Start, server: str, protocol: str) -> None:
    bridge = await start("--era", server)
    assert f"protocol={protocol}" in await bridge.logged("server ready name=test-server version=7")
    await bridge.call("exit", code=1)
    assert f"protocol={protocol}" in await bridge.logged("server ready", times=2)


async def test_a_server_that_dies_of_an_unknown_method_is_started_again_and_asked_differently(start: Start) -> None:
    bridge = await start("--unknown", "exit")
    assert len([line for line in bridge.log if "exited with code 3" in line]) == 1
    assert (await bridge.call("echo")).status == 200


async def test_a_modern_server_that_dies_once_at_its_start_is_still_found(start: Start, tmp_path: object) -> None:
    flag = f"{tmp_path}/started"
    script = f"import os,sys; os.path.exists({flag!r}) or (open({flag!r}, 'w'), sys.exit(1)); os.execv(sys.argv[1], sys.argv[1:])"
    bridge = await start(command=(sys.executable, "-c", script, *stdio_server("--era", "modern")))
    assert "protocol=2026-07-28" in await bridge.logged("server ready")


async def test_a_server_that_ignores_unknown_methods_is_asked_again(start: Start) -> None:
    bridge = await start("--unknown", "ignore", options=("--probe-patience", "0.3"))
    assert "protocol=2025-11-25" in await bridge.logged("server ready")


@pytest.mark.parametrize(("server", "protocol"), [("legacy", "2025-11-25"), ("modern", "2026-07-28")])
async def test_a_slow_start_is_no_refusal(start: Start, server: str, protocol: str) -> None:
    bridge = await start("--era", server, "--slow-start", "1", options=("--probe-patience", "0.2"), ready=False)
    assert (await bridge.get("/readyz")).body == "the server is starting and has not answered server/discover or initialize yet"
    assert f"protocol={protocol}" in await bridge.logged("server ready")
    assert (await bridge.call("echo")).status == 200


async def test_a_server_that_speaks_no_known_revision_is_named_so(start: Start) -> None:
    bridge = await start("--version", "2019-01-01", ready=False)
    await bridge.logged("does not speak MCP")
    assert 'message="Method not found\\nin this era"' in await bridge.logged("server refused method=server/discover code=-32601")
    assert (await bridge.get("/readyz")).body == (
        "the server does not speak MCP: server/discover: error -32601; initialize: an answer that names no known protocol version"
    )


async def test_a_server_that_never_answers_is_ended_and_started_again(start: Start) -> None:
    bridge = await start(command=("sleep", "60"), options=("--probe-patience", "0.1", "--handshake-timeout", "0.5"), ready=False)
    await bridge.logged("gave no answer to initialize within")
    assert "gave no answer to initialize" in (await bridge.get("/readyz")).body
