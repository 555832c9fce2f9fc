"""The bridge as process 1 of a container: what it hands to the server, how it stops, what it leaves behind."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from bridge_process import OPERATOR, Start, until
from eventually import eventually

AS_PROCESS_1 = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-P")


def runs(pid: int) -> bool:
    """Tell whether a process is alive; a zombie, whose reaper is not the bridge here, is not."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "\nState:\tZ" not in status.read_text()


async def test_sigterm_lets_calls_finish_then_ends_the_server_and_exits_0(start: Start) -> None:
    bridge = await start()
    pid = (await bridge.call("process")).value["pid"]
    waiting = asyncio.create_task(bridge.call("sleep", seconds=1, value="finished"))
    hanging = asyncio.create_task(bridge.call("hang"))
    await bridge.logged("hanging")
    bridge.terminate()
    await bridge.logged("stopping in_flight=2")
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", int(bridge.url.rpartition(":")[2]))
    assert (await waiting).value == "finished"
    hanging.cancel()
    assert await asyncio.wait_for(bridge.process.wait(), 20) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_calls_that_outlast_the_grace_period_are_cut_off(start: Start) -> None:
    bridge = await start(options=("--grace", "0.3"))
    hanging = asyncio.create_task(bridge.call("hang"))
    await bridge.logged("hanging")
    bridge.terminate()
    assert await asyncio.wait_for(bridge.process.wait(), 20) == 0
    await bridge.logged("stopped cut_off=1")
    assert isinstance(await asyncio.gather(hanging, return_exceptions=True), list)


async def test_a_server_that_ignores_its_input_and_sigterm_is_killed_with_its_group(start: Start) -> None:
    bridge = await start("--ignore-term")
    pid = (await bridge.call("process")).value["pid"]
    bridge.terminate()
    assert await asyncio.wait_for(bridge.process.wait(), 20) == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)


async def test_what_the_server_started_dies_with_it(start: Start, tmp_path: Path) -> None:
    bridge = await start(command=("sh", "-c", f"sleep 600 & echo $! > {tmp_path}/pid; exit 1"), ready=False)
    await bridge.logged("server exited with code 1")
    left = int((tmp_path / "pid").read_text())
    await eventually(lambda: not runs(left))


async def test_the_server_inherits_the_containers_environment_and_nothing_of_the_bridge(start: Start) -> None:
    given = {"PYTHONPATH": str(OPERATOR), "MINE": "a b=ü", "EMPTY": ""}
    bridge = await start(environment=given)
    seen = (await bridge.call("process")).value
    # LC_CTYPE is what the server's own interpreter exports in a C locale.
    assert {name: value for name, value in seen["environment"].items() if name != "LC_CTYPE"} == given | {
        "PATH": "/usr/local/bin:/usr/bin:/bin"
    }
    assert seen["directory"] == str(Path.cwd())


async def test_the_interpreters_own_locale_and_signals_are_not_handed_on(start: Start, tmp_path: Path) -> None:
    bridge = await start(command=("sh", "-c", f"env > {tmp_path}/env; grep SigIgn /proc/self/status > {tmp_path}/ignored"), ready=False)
    await bridge.logged("server exited with code 0")
    assert "LC_CTYPE" not in (tmp_path / "env").read_text()
    ignored = int((tmp_path / "ignored").read_text().split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))


async def test_as_process_1_it_reaps_orphans_and_restarts_its_server(start: Start) -> None:
    bridge = await start(prefix=AS_PROCESS_1, environment={"PYTHONPATH": str(OPERATOR)})
    orphan = (await bridge.call("orphan", seconds=0.2)).value

    async def is_gone() -> bool:
        return not (await bridge.call("exists", pid=orphan)).value

    await until(is_gone)
    assert (await bridge.call("exit", code=5)).body["error"]["data"] == {"reason": "ServerExited"}
    await bridge.logged("server exited with code 5")
    await bridge.ready()
