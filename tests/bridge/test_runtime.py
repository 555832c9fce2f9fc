"""The bridge with its own runtime, in a root that has nothing else."""

import asyncio
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from bridge_process import OPERATOR, TESTDATA, TOKEN, Start, bridge
from local_cluster import packages
from wharfinger_bridge.command import bridge_command, python_command
from wharfinger_bridge.install import install

DEBIAN = Path("/usr/bin/python3")
CHROOT = shutil.which("chroot", path="/usr/sbin:/sbin:/usr/bin:/bin")
SIZE_LIMIT = 20_000_000


@pytest.fixture(scope="module", params=[sys.executable, str(DEBIAN)], ids=["this-python", "debian-python"])
def runtime(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("runtime") / "bridge"
    words = [request.param, "-m", "wharfinger_bridge.runtime", str(target)]
    subprocess.run(words, env={"PYTHONPATH": str(OPERATOR), "PATH": os.environ["PATH"]}, check=True, timeout=300)
    return target


@pytest.fixture(scope="module")
def static_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packages.ensure(packages.COMPILER)
    program = tmp_path_factory.mktemp("static") / "server"
    subprocess.run(["gcc", "-static", "-O1", "-o", str(program), str(TESTDATA / "static_server.c")], check=True)
    return program


@pytest.fixture
def root(runtime: Path, static_server: Path, tmp_path: Path) -> Path:
    """A root directory with the installed runtime, the token and one static program."""
    place = tmp_path / "root"
    (place / "bridge").mkdir(parents=True)
    (place / "bridge-auth").mkdir()
    (place / "bridge-auth/token").write_text(TOKEN)
    install(runtime, place / "bridge")
    shutil.copy(static_server, place / "server")
    return place


def within(root: Path) -> Sequence[str]:
    """Return the operator's command up to the interpreter, inside a root, as a user who owns nothing there."""
    command = bridge_command(["x"])
    return (str(CHROOT), "--userspec=65532:65532", str(root), *command[: command.index("-m")])


@pytest.mark.requirement("ORC-2")
@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root: run the tests as root")
async def test_it_serves_a_static_program_in_a_root_with_nothing_else(root: Path) -> None:
    image = {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "LD_LIBRARY_PATH": "/nowhere", "LANG": "ja_JP.eucJP", "MINE": "1"}
    async with bridge(["/server", "argument"], token_file=Path("/bridge-auth/token"), prefix=within(root), environment=image) as running:
        await running.ready()
        assert "name=static version=2" in await running.logged("server ready")
        answers = await asyncio.gather(
            *(running.request("tools/call", {"name": "x"}, id_=each, modern=each % 2 == 0) for each in range(20))
        )
        assert [answer.value for answer in answers] == [1] * 20
        inherited = {line.removeprefix("inherited ") for line in running.log if line.startswith("inherited ")}
        assert inherited >= {f"{name}={value}" for name, value in image.items()}
        running.terminate()
        assert await asyncio.wait_for(running.process.wait(), 20) == 0


async def test_a_python_server_is_untouched_by_the_bridges_python(runtime: Path, start: Start) -> None:
    running = await start(prefix=python_command(str(runtime)))
    seen = (await running.call("process")).value["environment"]
    assert {name for name in seen if name.startswith(("PYTHON", "LD_"))} == set()
    assert (await running.call("exit", code=1)).body["error"]["data"] == {"reason": "ServerExited"}
    await running.ready()


def test_the_runtime_is_small_and_holds_no_source_and_no_other_package(runtime: Path) -> None:
    assert sum(path.stat().st_size for path in runtime.rglob("*")) < SIZE_LIMIT
    [archive] = runtime.glob("lib/python3*.zip")
    words = [*python_command(str(runtime)), "-c", "import sys; print(*sys.path)"]
    path = subprocess.run(words, capture_output=True, text=True, check=True, env={"PYTHONPATH": "/nowhere"}).stdout.split()
    [library] = runtime.glob("lib/python3.*")
    assert path == [str(archive), str(library), str(library / "lib-dynload")]
    names = zipfile.ZipFile(archive).namelist()
    assert all(name.endswith(".pyc") for name in names)
    assert "wharfinger_bridge/endpoint.pyc" in names and "wharfinger_bridge/runtime.pyc" not in names
    assert not {name.partition("/")[0] for name in names} & {"site-packages", "test", "tkinter", "unittest", "ssl.pyc", "aiohttp"}


def test_a_system_without_ldd_is_told_so(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "wharfinger_bridge.runtime", str(tmp_path / "x")]
    done = subprocess.run(words, env={"PYTHONPATH": str(OPERATOR), "PATH": "/nowhere"}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "bridge: cannot build the runtime: ldd is missing: install libc-bin\n")
