"""Processes are ended only when they are known to be ours."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local_cluster import process
from local_cluster.progress import LaunchError

SLEEP = process.Component("sleeper", ("sleep", "60"))


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PIDS", tmp_path / "pids")
    monkeypatch.setattr(process, "LOGS", tmp_path / "log")
    monkeypatch.setattr(process, "MARKER", "WHARFINGER_LOCAL_TEST")


@pytest.fixture
def sleeper() -> Iterator[process.Running]:
    running = process.start(SLEEP)
    yield running
    process.end([running])


def test_a_started_process_is_recorded_and_marked(sleeper: process.Running) -> None:
    assert process.recorded() == (sleeper,)
    assert process.marked() == (sleeper,)


def test_an_ended_process_is_gone(sleeper: process.Running) -> None:
    process.end([sleeper])

    assert not process.is_alive(sleeper)
    assert process.marked() == ()


def test_a_process_that_got_a_recycled_pid_is_spared(sleeper: process.Running) -> None:
    process.end([replace(sleeper, started=sleeper.started - 1)])

    assert process.is_alive(sleeper)


def test_a_pid_file_that_is_no_record_names_nothing_alive(tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    (tmp_path / "pids" / "etcd.json").write_text("cut o")

    assert [process.is_alive(p) for p in process.recorded()] == [False]
    process.end(process.recorded())


def test_a_component_that_ends_stops_the_wait_at_once_with_the_end_of_its_log() -> None:
    with pytest.raises(LaunchError, match=r"(?s)short ended.*no such flag"):
        running = process.start(process.Component("short", ("sh", "-c", "echo no such flag >&2")))
        process.wait_until(lambda: False, "short is ready", 30, [running])


def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen(["true"]) as child:
        process.wait_until(lambda: process.start_time(child.pid) is None, "gone but not waited for", 10, [])
