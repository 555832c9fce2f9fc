"""The command lines and paths that the operator writes into pods."""

import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bridge_process import OPERATOR
from wharfinger_bridge import VERSION, command
from wharfinger_bridge.command import bridge_command, install_command
from wharfinger_bridge.install import install
from wharfinger_bridge.options import parse_options


def test_a_server_container_starts_the_loader_with_the_servers_command_last() -> None:
    assert bridge_command(["uvx", "server", "--", "--flag"]) == [
        *("/bridge/lib/ld.so", "--inhibit-cache", "--library-path", "/bridge/lib"),
        *("/bridge/bin/python3", "-I", "-S", "-X", "utf8", "-m", "wharfinger_bridge"),
        *("--listen", "[::]:8080", "--token-file", "/bridge-auth/token"),
        *("--", "uvx", "server", "--", "--flag"),
    ]


def test_what_the_operator_writes_is_what_the_bridge_reads() -> None:
    written = bridge_command(
        ["uvx", "--", "--grace", "1"], port=9000, call_timeout=1, handshake_timeout=2, grace=3, max_sessions=4, idle_timeout=5
    )
    options = parse_options(written[written.index("wharfinger_bridge") + 1 :])
    assert (options.host, options.port, str(options.token_file)) == ("::", 9000, "/bridge-auth/token")
    assert (options.call_timeout, options.handshake_timeout, options.grace) == (1, 2, 3)
    assert (options.max_sessions, options.idle_timeout) == (4, 5)
    assert options.command == ("uvx", "--", "--grace", "1")


def test_a_server_without_a_command_is_refused() -> None:
    with pytest.raises(ValueError, match="command"):
        bridge_command([])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--token-file"),
        (["--token-file", "t"], "a command is required after --"),
        (["--token-file", "t", "--"], "a command is required after --"),
        (["--token-file", "t", "--listen", "8080", "--", "x"], "expected HOST:PORT"),
        (["--token-file", "t", "--listen", "a:65536", "--", "x"], "expected HOST:PORT"),
        (["--token-file", "t", "--listen", "a:²", "--", "x"], "expected HOST:PORT"),
        (["--token-file", "t", "--grace", "nan", "--", "x"], "is not a number of seconds"),
        (["--token-file", "t", "--grace", "x", "--", "x"], "is not a number of seconds"),
        (["--token-file", "t", "--max-body", "-1", "--", "x"], "is not a whole number"),
        (["--token-file", "t", "--unknown", "--", "x"], "--unknown"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("listen", ["nowhere.invalid:8080", "192.0.2.1:8080", "127.0.0.1:1x"])
def test_an_address_that_cannot_be_listened_on_ends_the_program_with_its_reason(listen: str) -> None:
    words = [sys.executable, "-m", "wharfinger_bridge", "--listen", listen, "--token-file", "t", "--", "x"]
    done = subprocess.run(words, env={"PYTHONPATH": str(OPERATOR)}, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode in {1, 2}
    assert listen.rpartition(":")[0] in done.stderr and "Traceback" not in done.stderr


def test_an_installed_copy_is_readable_and_runnable_by_everyone_whatever_the_umask(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "lib/deep").mkdir(parents=True)
    (source / "lib/ld.so").write_bytes(b"x")
    (source / "lib/ld.so").chmod(0o755)
    (source / "lib/deep/file.zip").write_bytes(b"y")
    target.mkdir()
    script = f"import os; from pathlib import Path; from wharfinger_bridge.install import install; os.umask(0o077); install(Path({str(source)!r}), Path({str(target)!r}))"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(OPERATOR)}, check=True)
        modes = {str(path.relative_to(target)): stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*")}
        assert modes == {"lib": 0o755, "lib/ld.so": 0o755, "lib/deep": 0o755, "lib/deep/file.zip": 0o644}
    assert (target / "lib/deep/file.zip").read_bytes() == b"y"


def test_an_image_without_the_folder_says_how_to_build_it() -> None:
    words = [sys.executable, *install_command()[1:]]
    assert words[1:] == ["-m", "wharfinger_bridge.install", command.MOUNT_PATH]
    if Path(command.IMAGE_PATH).exists():
        pytest.skip(f"{command.IMAGE_PATH} exists on this machine")
    done = subprocess.run(words, env={"PYTHONPATH": str(OPERATOR)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "build it with python -m wharfinger_bridge.runtime" in done.stderr


def test_a_source_that_vanishes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        (tmp_path / "source").mkdir()
        (tmp_path / "source/file").write_bytes(b"")
        install(tmp_path / "source", tmp_path / "nowhere")


def test_the_bridge_names_the_projects_version() -> None:
    project = tomllib.loads((OPERATOR.parent / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
