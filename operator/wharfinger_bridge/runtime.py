"""`python -m wharfinger_bridge.runtime TARGET`: build the folder with which the bridge runs in any image of this architecture.

    bin/python3                     this interpreter
    lib/ld.so, lib/*.so*            its loader and every library it or its modules need
    lib/pythonXY.zip                the standard library as far as the bridge imports it, and the bridge, compiled
    lib/pythonX.Y/lib-dynload/*.so  extension modules, as far as imported

The interpreter finds its zip and lib-dynload by looking upwards from itself (getpath's landmarks), so no environment variable is set that
the server would inherit. For a glibc system with `ldd`; `strip` is used where it is there. The result is started once before it counts.
"""

import os
import py_compile
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from modulefinder import ModuleFinder
from pathlib import Path

from wharfinger_bridge.command import LIBRARIES, LOADER, PYTHON, python_command

_EXCLUDED = (
    *(
        "_bz2",
        "_ctypes",
        "_hashlib",
        "_lzma",
        "_ssl",
        "ctypes",
        "curses",
        "distutils",
        "doctest",
        "email",
        "http.client",
        "multiprocessing",
    ),
    *("pdb", "pydoc", "readline", "ssl", "test", "tkinter", "unittest", "urllib.request", "xml", "xmlrpc"),
)
"""What the standard library imports only for features that the bridge does not use: TLS, other processes, documentation, compression."""
_ROOTS = ("wharfinger_bridge.__main__", "runpy", "encodings.ascii", "encodings.latin_1", "encodings.utf_8")
"""What is started, what starts it (`-m`), and what the interpreter looks up by name."""
_LIBRARY = re.compile(r"^\s*(?:(\S+) => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_EPOCH = (1980, 1, 1, 0, 0, 0)


class BuildError(Exception):
    """The folder cannot be built here; the message says what is missing."""


def build(target: Path) -> None:
    """Build the folder at a path that does not exist or is empty. Raises BuildError."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    dynload = target / f"lib/python{version}/lib-dynload"
    dynload.mkdir(parents=True)
    (target / "bin").mkdir()
    modules = _imported_modules()
    extensions = [path for path in modules.values() if path.suffix == ".so"]
    interpreter = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    _copy(interpreter, target / PYTHON)
    for extension in extensions:
        _copy(extension, dynload / extension.name)
    for name, path in _libraries((interpreter, *extensions)).items():
        _copy(path, target / (LOADER if name.startswith("ld-") else f"{LIBRARIES}/{name}"))
    _write_zip(target / f"lib/python{version.replace('.', '')}.zip", modules)
    _check(target)


def _imported_modules() -> dict[str, Path]:
    """Return name and file of every module that the bridge may import, found by reading its code and theirs."""
    # The standard library comes first: where the bridge is installed, other packages lie beside it.
    places = [sysconfig.get_path("stdlib"), sysconfig.get_config_var("DESTSHARED"), str(Path(__file__).parent.parent)]
    finder = ModuleFinder(places, excludes=list(_EXCLUDED))
    for name in _ROOTS:
        finder.import_hook(name)
    return {name: Path(path) for name, module in sorted(finder.modules.items()) if (path := getattr(module, "__file__", None))}


def _libraries(binaries: Iterable[Path]) -> dict[str, Path]:
    """Return name and place of each shared library and of the loader."""
    ldd = shutil.which("ldd")
    if ldd is None:
        raise BuildError("ldd is missing: install libc-bin")
    found: dict[str, Path] = {}
    for binary in binaries:
        output = subprocess.run([ldd, binary], capture_output=True, text=True, check=False).stdout  # noqa: S603  a program of the build machine
        if "not found" in output:
            raise BuildError(f"{binary} needs a library that is not here:\n{output}")
        for name, path in _LIBRARY.findall(output):
            found[name or Path(path).name] = Path(path)
    if not any(name.startswith("ld-") for name in found):
        raise BuildError("the interpreter names no loader: this is not a glibc system")
    return found


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o755)
    strip = shutil.which("strip")
    # The loader is left as it is: it has no symbols to spare, and everything depends on it.
    if strip is not None and target.name != Path(LOADER).name:
        subprocess.run([strip, "--strip-unneeded", target], check=True)  # noqa: S603  a program of the build machine


def _write_zip(target: Path, modules: Mapping[str, Path]) -> None:
    """Write compiled modules without their sources, the same bytes for the same input; stored, because inflating costs start time."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive, tempfile.TemporaryDirectory() as scratch:
        compiled = Path(scratch) / "module.pyc"
        for module, source in modules.items():
            if source.suffix != ".py":
                continue
            name = module.replace(".", "/") + ("/__init__" if source.name == "__init__.py" else "")
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(str(source), str(compiled), f"{name}.py", doraise=True, optimize=2, invalidation_mode=mode)
            entry = zipfile.ZipInfo(f"{name}.pyc", _EPOCH)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, compiled.read_bytes())


def _check(target: Path) -> None:
    """Start what was built, with an empty environment."""
    command = [*python_command(str(target.absolute())), "-m", "wharfinger_bridge", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={}, cwd="/")  # noqa: S603  what was just built
    if done.returncode:
        raise BuildError(f"the built interpreter does not start:\n{done.stderr}")


def main(arguments: list[str]) -> int:
    """Build and return the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m wharfinger_bridge.runtime TARGET\n")
        return 2
    try:
        build(Path(arguments[0]))
    except (BuildError, OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"bridge: cannot build the runtime: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
