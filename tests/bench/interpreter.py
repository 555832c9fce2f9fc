"""The interpreter that a program is measured with: the image's, which a distribution built with profiles, and not whichever runs the bench.

The base of the local image is made of Debian's packages, so on such a machine it is the same binary. Elsewhere it is the bench's own, and
the table says so.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

SHIPPED = Path(f"/usr/bin/python3.{sys.version_info.minor}")


def interpreter() -> str:
    """Return the program: the distribution's where it is of the bench's version, so that its packages fit."""
    return str(SHIPPED) if SHIPPED.exists() else sys.executable


def search_path(root: Path) -> str:
    """Return the PYTHONPATH with which it finds the project in `root`, the bench, and the packages of this environment."""
    parts = ("crds", "operator", "gateway", "tests", "tests/local", "tests/support")
    return ":".join([*(str(root / part) for part in parts), sysconfig.get_path("purelib")])


def described() -> str:
    """Return what it is, for the table."""
    said = subprocess.run([interpreter(), "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=True).stdout
    return f"Python {said.split(maxsplit=1)[0]} " + ("of the distribution, as in the image" if SHIPPED.exists() else "of the bench itself")
