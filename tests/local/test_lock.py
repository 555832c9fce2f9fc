"""Who may change the cluster, and who uses it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cluster import lock
from local_cluster.layout import LOCAL
from local_cluster.progress import LaunchError

HOLD = """
import sys
from pathlib import Path
from local_cluster import lock
lock.LOCK, lock.USERS = Path(sys.argv[1]) / "lock", Path(sys.argv[1]) / "users"
def hold():
    print("held", flush=True)
    sys.stdin.read()
if sys.argv[2] == "use":
    lock.use()
    hold()
else:
    with lock.machine("up"):
        hold()
"""


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(lock, "USERS", tmp_path / "users")
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.3)


@pytest.fixture
def other(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", HOLD, str(tmp_path), request.param]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PYTHONPATH": str(LOCAL)}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("other", ["machine"], indirect=True)
def test_a_second_launcher_waits_bounded_and_says_for_whom(other: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LaunchError, match=rf"`up` \(pid {other.pid}, of .*\) has held"), lock.machine("down"):
        pass

    assert f"waiting for `up` (pid {other.pid}" in capsys.readouterr().err


@pytest.mark.parametrize("other", ["machine"], indirect=True)
def test_a_killed_launcher_holds_nothing(other: subprocess.Popen[bytes]) -> None:
    other.kill()
    other.wait()

    with lock.machine("down"):
        pass


@pytest.mark.parametrize("other", ["use"], indirect=True)
def test_a_use_lasts_as_long_as_its_process(other: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert [f"(pid {other.pid}, " in user for user in lock.users()] == [True]

    other.kill()
    other.wait()

    assert lock.users() == ()
    assert list((tmp_path / "users").iterdir()) == []
