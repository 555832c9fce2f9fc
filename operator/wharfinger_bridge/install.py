"""`python -m wharfinger_bridge.install TARGET`: copy the prebuilt runtime folder into a mounted emptyDir.

For an init container of any user, on a read-only root file system: it writes below TARGET alone. Whatever the umask, everyone can read
and run the copy, for the server's container may have another user. Installing twice leaves the same folder.
"""

import shutil
import sys
from pathlib import Path

from wharfinger_bridge.command import IMAGE_PATH


def install(source: Path, target: Path) -> None:
    """Copy a runtime folder. Raises OSError."""
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(exist_ok=True)
            copy.chmod(0o755)
        else:
            copy.unlink(missing_ok=True)
            shutil.copyfile(path, copy)
            copy.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def main(arguments: list[str]) -> int:
    """Copy and return the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m wharfinger_bridge.install TARGET\n")
        return 2
    source = Path(IMAGE_PATH)
    try:
        if not source.is_dir():
            raise FileNotFoundError(2, "no runtime folder: build it with python -m wharfinger_bridge.runtime", IMAGE_PATH)
        install(source, Path(arguments[0]))
    except OSError as error:
        sys.stderr.write(f"bridge: cannot install: {error.filename}: {error.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
