"""Which files of its context an image is made from."""

from pathlib import Path

import pytest

from local_cluster import images
from local_cluster.dockerfile import Stage, bases, inputs, needed, stages
from local_cluster.layout import REPOSITORY
from local_cluster.progress import LaunchError

TEXT = """\
# FROM nothing
FROM --platform=linux/amd64 python:3.13-slim-trixie AS base
FROM base AS build
COPY --chown=1:1 one.lock \\
     two.lock ./
COPY src src
FROM base AS other
COPY other.txt /
FROM scratch
COPY --from=build /out /out
COPY --from=docker.io/library/busybox /bin/sh /bin/sh
"""


def test_stages_name_their_base_and_what_they_copy() -> None:
    assert stages(TEXT) == (
        Stage("base", "python:3.13-slim-trixie"),
        Stage("build", "base", ("one.lock", "two.lock", "src")),
        Stage("other", "base", ("other.txt",)),
        Stage("3", "scratch", (), ("build", "docker.io/library/busybox")),
    )


def test_a_target_needs_only_the_stages_that_lead_to_it() -> None:
    assert [s.name for s in needed(stages(TEXT), "other")] == ["base", "other"]
    assert [s.name for s in needed(stages(TEXT), None)] == ["base", "build", "3"]


def test_bases_are_the_images_from_elsewhere() -> None:
    assert bases(needed(stages(TEXT), None)) == ("docker.io/library/busybox", "python:3.13-slim-trixie")


def test_an_unknown_target_is_an_error() -> None:
    with pytest.raises(KeyError):
        needed(stages(TEXT), "missing")


def test_inputs_are_the_copied_files_without_caches(tmp_path: Path) -> None:
    for name in ("one.lock", "two.lock", "src/a.py", "src/__pycache__/a.pyc", "src/.git/HEAD", "notes.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    found = inputs(needed(stages(TEXT), None), tmp_path)

    assert [str(p) for p in found] == ["one.lock", "src/a.py", "two.lock"]


def test_the_project_s_images_are_made_from_sources_and_locks_only() -> None:
    chosen = needed(stages((REPOSITORY / "Dockerfile").read_text()), "wharfinger")
    tops = {p.parts[0] for p in inputs(chosen, REPOSITORY)}

    assert tops == {"requirements.lock", "images", "pyproject.toml", "README.md", "LICENSE", "crds", "gateway", "operator"}
    assert bases(chosen) == ("python:3.13-slim-trixie",)


def test_without_docker_a_dockerfile_on_another_base_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Dockerfile").write_text("FROM alpine:3.20\n")
    monkeypatch.setattr(images, "docker_runs", lambda: False)

    with pytest.raises(LaunchError, match=r"starts from alpine:3\.20"):
        images.build_recipe(images.Recipe("localhost/x:dev", tmp_path / "Dockerfile", tmp_path))
