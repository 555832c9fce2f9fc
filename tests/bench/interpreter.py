"""The interpreter, the packages and the environment that a program is measured with: the image's, and not whichever run the bench.

The image is unpacked into the cache and its Python started by its own loader, so that nothing is between the program and the machine. Where
the image cannot be built they are the bench's own, and the table says so.
"""

import functools
import json
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path, PurePosixPath

from local_cluster import cache, images
from local_cluster.progress import LaunchError, say

IMAGE = "localhost/wharfinger:dev"
LIBRARIES = ("usr/local/lib", "usr/lib/*-linux-gnu")
PARTS = ("crds", "operator", "gateway", "tests", "tests/local", "tests/support")
PLACES = ("PATH", "HOME")
"""Variables that say where something is in the image."""


def interpreter() -> str:
    """Return the program."""
    root = _image()
    return str(root / "python") if root else sys.executable


def search_path(root: Path) -> str:
    """Return the PYTHONPATH with which it finds the project in `root`, the bench, and the packages."""
    image = _image()
    packages = next(image.glob("opt/wharfinger/lib/python3*/site-packages")) if image else sysconfig.get_path("purelib")
    return ":".join([*(str(root / part) for part in PARTS), str(packages)])


def described() -> str:
    """Return what it is, for the table."""
    said = subprocess.run([interpreter(), "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=True).stdout
    return f"Python {said.split(maxsplit=1)[0]} " + ("of the image" if _image() else "of the bench itself")


@functools.cache
def _image() -> Path | None:
    try:
        (image,) = images.build([IMAGE])
        return cache.obtain(
            "bench-root", cache.key([image.archive.name, *cache.tree(Path(__file__))]), lambda to: _unpack(image.archive, to)
        )
    except (LaunchError, OSError) as error:
        say(f"measured with the bench's own Python: {error}")
        return None


def _unpack(archive: Path, target: Path) -> None:
    """Write an image's files below a folder, and a `python` that starts its interpreter.

    What a later layer deletes is left, and does no harm.
    """
    target.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["tar", "--extract", f"--directory={folder}", f"--file={archive}"], check=True)
        manifest = json.loads((Path(folder) / "manifest.json").read_text())[0]
        variables = json.loads((Path(folder) / manifest["Config"]).read_text())["config"]["Env"]
        for name in manifest["Layers"]:
            left_out = ("--no-same-owner", "--exclude=.wh.*", "--exclude=dev/*")
            subprocess.run(["tar", "--extract", f"--directory={target}", *left_out, f"--file={Path(folder) / name}"], check=True)
    python = _resolved(target, PurePosixPath("/opt/wharfinger/bin/python"))
    loader = next(target.glob("usr/lib*/ld-linux-*.so.*"))
    libraries = ":".join(str(path) for pattern in LIBRARIES for path in target.glob(pattern))
    exports = "".join(f"export {shlex.quote(each)}\n" for each in variables if each.partition("=")[0] not in PLACES)
    start = f'root=${{0%/*}}\nexec {loader} --library-path {libraries} {python} "$@"\n'.replace(str(target), "$root")
    program = target / "python"
    program.write_text(f"#!/bin/sh\n{exports}{start}")
    program.chmod(0o755)


def _resolved(root: Path, path: PurePosixPath) -> Path:
    """Follow symbolic links as they are meant in the image."""
    while (here := root / path.relative_to("/")).is_symlink():
        path = PurePosixPath(os.path.normpath(path.parent / here.readlink()))
    return here
