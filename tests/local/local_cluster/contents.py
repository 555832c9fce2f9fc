"""Images from lists of contents, tests/local/images/*.yaml: what an image holds is named there, file by file."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local_cluster import archive, binaries, cache
from local_cluster.layout import LOCAL
from local_cluster.progress import LaunchError, step
from local_cluster.toolchain import Go

LISTS = LOCAL / "images"
PROGRAMS = {p.name: p for p in (binaries.STDIO_SERVER, binaries.AGNHOST)}


@dataclass(frozen=True)
class Contents:
    """One list: the image's name, its configuration, and its entries as the list has them."""

    name: str
    config: archive.Config
    files: tuple[dict[str, Any], ...]
    text: str


def read(path: Path) -> Contents:
    """Read a list. Raises LaunchError where a key is missing."""
    text = path.read_text()
    try:
        document = yaml.safe_load(text)
        config = archive.Config(
            entrypoint=tuple(document.get("entrypoint", ())),
            command=tuple(document.get("command", ())),
            user=str(document.get("user", "")),
            architecture=archive.ARCHITECTURES[os.uname().machine],
        )
        return Contents(document["image"], config, tuple(document["files"]), text)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as e:
        raise LaunchError(f"{path}: not a list of contents: {e!r}") from e


def build(contents: Contents, go: Go) -> Path:
    """The image's archive, from the cache or made now."""
    programs = {f["program"]: binaries.build(PROGRAMS[f["program"]], go) for f in contents.files if "program" in f}
    slug = contents.name.removeprefix("localhost/").partition(":")[0].replace("/", "-")
    key = cache.key([contents.text, *(p.parent.name for _, p in sorted(programs.items())), *cache.tree(Path(archive.__file__))])
    return cache.obtain(
        f"image-{slug}", key, lambda target: archive.write(target, contents.name, contents.config, _entries(contents, programs))
    )


def _entries(contents: Contents, programs: dict[str, Path]) -> tuple[archive.Entry, ...]:
    return tuple(_entry(item, programs) for item in contents.files)


def _entry(item: dict[str, Any], programs: dict[str, Path]) -> archive.Entry:
    match item:
        case {"path": path, "program": program}:
            return archive.Entry(path, programs[program])
        case {"path": path, "link": link}:
            return archive.Entry(path, link=link)
        case {"path": path, "text": text}:
            return archive.Entry(path, str(text).encode(), mode=int(str(item.get("mode", "0644")), 8))
        case {"path": path, "package": package, "file": file}:
            return archive.Entry(path, _from_package(package, file))
        case {"path": path}:
            return archive.Entry(path, mode=int(str(item.get("mode", "0755")), 8))
        case _:
            raise LaunchError(f"no entry of an image: {item}")


def _from_package(package: str, file: str) -> bytes:
    """One file of a Debian package that need not be installed."""
    if not shutil.which("apt-get"):
        raise LaunchError(f"{file} of the Debian package {package} is needed, and there is no apt-get to get it with")
    with tempfile.TemporaryDirectory() as folder, step(f"fetching the Debian package {package}"):
        fetched = subprocess.run(["apt-get", "download", package], cwd=folder, capture_output=True, text=True, check=False)
        if fetched.returncode:
            subprocess.run(["apt-get", "update", "-q"], capture_output=True, check=False)
            fetched = subprocess.run(["apt-get", "download", package], cwd=folder, capture_output=True, text=True, check=False)
        archives = list(Path(folder).glob("*.deb"))
        if not archives:
            raise LaunchError(f"apt-get download {package} failed: {fetched.stderr.strip()[-500:]}")
        subprocess.run(["dpkg-deb", "-x", archives[0], f"{folder}/root"], check=True, capture_output=True)
        return (Path(folder) / "root" / file.lstrip("/")).read_bytes()
