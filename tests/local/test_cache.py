"""The cache: keys, and entries that are complete or absent."""

import os
from pathlib import Path

import pytest

from local_cluster import cache


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHARFINGER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_key_depends_on_where_one_part_ends_and_the_next_begins() -> None:
    assert cache.key(["ab", "c"]) != cache.key(["a", "bc"])
    assert cache.key(["ab", "c"]) == cache.key([b"ab", "c"])


def test_a_tree_s_key_depends_on_names_contents_and_the_executable_bit(tmp_path: Path) -> None:
    def key() -> str:
        return cache.key(cache.tree(tmp_path / "tree"))

    file = tmp_path / "tree" / "main.go"
    file.parent.mkdir()
    file.write_text("package main")
    keys = [key()]
    file.chmod(0o755)
    keys.append(key())
    file.write_text("package other")
    keys.append(key())
    file.rename(file.with_name("other.go"))
    keys.append(key())

    assert len(set(keys)) == 4


def test_bytecode_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    before = cache.key(cache.tree(tmp_path))
    (tmp_path / "__pycache__" / "x.pyc").write_bytes(b"x")

    assert cache.key(cache.tree(tmp_path)) == before


def test_an_entry_is_made_once() -> None:
    made = []

    def make(target: Path) -> None:
        made.append(target)
        target.write_text("made")

    first, second = (cache.obtain("thing", "0" * 16, make) for _ in range(2))

    assert first == second
    assert first.read_text() == "made"
    assert len(made) == 1


def test_an_entry_whose_making_fails_is_absent(folder: Path) -> None:
    def make(target: Path) -> None:
        target.mkdir()
        (target / "half").touch()
        raise RuntimeError("no room")

    with pytest.raises(RuntimeError):
        cache.obtain("thing", "0" * 16, make)

    assert [p.name for p in folder.iterdir()] == [".thing.lock"]


def test_only_the_entries_used_last_are_kept(folder: Path) -> None:
    for number in range(4):
        entry = cache.obtain("thing", f"{number:016x}", lambda target: target.touch())
        os.utime(entry, (number, number))
    cache.obtain("thing-else", "0" * 16, lambda target: target.touch())

    kept = sorted(p.name for p in folder.glob("thing*"))

    assert kept == [f"thing-{2:016x}", f"thing-{3:016x}", f"thing-else-{0:016x}"]


def test_the_folder_is_the_user_s_cache_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WHARFINGER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert cache.folder() == tmp_path / "wharfinger"
