"""All images that the project needs, built where they are missing or stale, and loaded into the node.

* of the repository's Dockerfile: localhost/wharfinger:dev and localhost/wharfinger-server-base:dev
* of examples/*/FOLDER/Dockerfile: localhost/wharfinger-example-FOLDER:dev
* of the lists in tests/local/images: foreign images that tests run servers in

An image is rebuilt only when a file that it is made from has changed.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from local_cluster import buildah, cache, containerd, contents, dockerfile, toolchain
from local_cluster.contents import Contents
from local_cluster.layout import CONTAINERD, REPOSITORY
from local_cluster.progress import LaunchError, step

LOADED = CONTAINERD / "loaded.json"


@dataclass(frozen=True)
class Recipe:
    """An image made by a Dockerfile."""

    name: str
    file: Path
    context: Path
    target: str | None = None


@dataclass(frozen=True)
class Image:
    """An image that is built: its name, and its archive in the cache."""

    name: str
    archive: Path


def catalogue() -> dict[str, Recipe | Contents]:
    """Every image of the project by its name. Raises LaunchError where two have the same."""
    own = REPOSITORY / "Dockerfile"
    found: list[Recipe | Contents] = []
    if own.exists():
        found += [
            Recipe(f"localhost/{t if t == 'wharfinger' else f'wharfinger-{t}'}:dev", own, REPOSITORY, t)
            for t in ("server-base", "wharfinger")
        ]
    for file in sorted((REPOSITORY / "examples").glob("*/*/Dockerfile")):
        found.append(Recipe(f"localhost/wharfinger-example-{file.parent.name}:dev", file, file.parent))
    found += [contents.read(path) for path in sorted(contents.LISTS.glob("*.yaml"))]
    by_name = {image.name: image for image in found}
    if len(by_name) < len(found):
        raise LaunchError(f"two images have the same name: {sorted(i.name for i in found)}")
    return by_name


def build(names: Iterable[str] = ()) -> tuple[Image, ...]:
    """Build these images, or all; what is in the cache already is only looked up. Raises LaunchError for an unknown name."""
    known = catalogue()
    chosen = tuple(names) or tuple(known)
    if unknown := sorted(set(chosen) - set(known)):
        raise LaunchError(f"no such image: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    go = toolchain.find()
    return tuple(Image(n, contents.build(i, go) if isinstance(i := known[n], Contents) else build_recipe(i)) for n in chosen)


def build_recipe(recipe: Recipe) -> Path:
    """The archive of an image that a Dockerfile makes, by Docker where its engine runs, else by buildah."""
    text = recipe.file.read_text()
    try:
        chosen = dockerfile.needed(dockerfile.stages(text), recipe.target)
    except (KeyError, IndexError):
        raise LaunchError(f"{recipe.file} has no stage {recipe.target or ''}") from None
    inputs = dockerfile.inputs(chosen, recipe.context)
    by_docker = docker_runs()
    if not by_docker and (other := set(dockerfile.bases(chosen)) - {buildah.BASE}):
        raise LaunchError(f"{recipe.file} starts from {', '.join(sorted(other))}: without a Docker engine there is only {buildah.BASE}")
    key = cache.key([
        recipe.name, text, recipe.target or "", "docker" if by_docker else buildah.base_key(),
        *(part for path in inputs for part in (path.as_posix(), (recipe.context / path).read_bytes())),
    ])  # fmt: skip

    def make(archive: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="wharfinger-") as folder:
            context = Path(folder)
            for path in inputs:
                (context / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(recipe.context / path, context / path)
            (_docker if by_docker else buildah.build)(recipe.file, recipe.target, recipe.name, context, archive)

    return cache.obtain(f"image-{recipe.name.removeprefix('localhost/').partition(':')[0]}", key, make)


def docker_runs() -> bool:
    """Whether a Docker engine answers."""
    try:
        return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def loaded() -> tuple[Image, ...]:
    """The images that were put into the local node's store and whose archives are still in the cache."""
    try:
        record: dict[str, str] = json.loads(LOADED.read_text())
    except (OSError, ValueError):
        return ()
    return tuple(i for name, file in record.items() if (i := Image(name, cache.folder() / file)).archive.exists())


def load(images: Iterable[Image]) -> tuple[str, ...]:
    """Put images into the local node's store, those apart that it has; returns the names of those that it had not."""
    there = {image.name: image.archive.name for image in loaded()}
    news = []
    for image in images:
        if there.get(image.name) == image.archive.name:
            continue
        containerd.load(image.archive)
        there[image.name] = image.archive.name
        LOADED.write_text(json.dumps(there, indent=1))
        news.append(image.name)
    return tuple(news)


def _docker(file: Path, target: str | None, tag: str, context: Path, archive: Path) -> None:
    chosen = ["--target", target] if target else []
    for command in (["build", "--file", str(file), *chosen, "--tag", tag, str(context)], ["save", "--output", str(archive), tag]):
        with step(f"docker {command[0]} {tag}"):
            done = subprocess.run(["docker", *command], capture_output=True, text=True, check=False, timeout=buildah.BUILD_SECONDS)
        if done.returncode:
            raise LaunchError(f"docker {command[0]} {tag} failed:\n{done.stderr.strip()[-2000:]}")
