"""RESULTS.md: one section for each bench, written by it alone."""

import platform
import re
from collections.abc import Iterable
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
TITLE = "# Results"

Row = tuple[str, ...]


def write_section(title: str, command: str, notes: str, header: Row, rows: Iterable[Row]) -> str:
    """Put a section into RESULTS.md in place of the one of that title, and return it."""
    lines = "\n".join(f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows))
    section = f"## {title}\n\nWritten by `{command}`; {machine()}. {notes}\n\n{lines}\n"
    before = RESULTS.read_text() if RESULTS.exists() else TITLE
    others = {found.split("\n", 1)[0]: found.strip() for found in re.split(r"^## ", before, flags=re.MULTILINE)[1:]}
    others[title] = section.removeprefix("## ").strip()
    RESULTS.write_text(f"{TITLE}\n\n" + "\n\n".join(f"## {others[name]}" for name in sorted(others)) + "\n")
    return section


def machine() -> str:
    """Name the machine."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next(line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name"))
    cores = sum(1 for line in cpuinfo if line.startswith("processor"))
    return f"{cores} cores of {cpu}, Linux {platform.release()}, Python {platform.python_version()}"
