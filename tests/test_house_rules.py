"""Rules of the house that no linter knows."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
EMPTY_NAMES = {"utils", "helpers", "manager", "common", "misc"}


def tracked(pattern: str = "*") -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "--", pattern], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_python_file_is_longer_than_300_lines() -> None:
    assert [f"{p.relative_to(ROOT)}" for p in tracked("*.py") if len(p.read_text().splitlines()) > 300] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [p.name for p in tracked("*.py") if p.stem in EMPTY_NAMES] == []


def test_no_top_level_folder_is_a_package() -> None:
    # operator/__init__.py would shadow the standard library's operator.
    wrong = re.compile(r"(operator|gateway|crds)/__init__\.py|tests/(.*/)?__init__\.py")

    assert [str(p) for p in tracked("*.py") if wrong.fullmatch(str(p.relative_to(ROOT)))] == []


def test_every_environment_variable_of_the_programs_is_documented_where_it_is_read() -> None:
    for settings in (ROOT / "operator/wharfinger_operator/configuration.py", ROOT / "gateway/wharfinger_gateway/settings.py"):
        text = settings.read_text()
        read = set(re.findall(r"[\"'](WHARFINGER_[A-Z_]+)[\"']", text))
        documented = set(re.findall(r"\"\"\"(WHARFINGER_[A-Z_]+):", text))

        assert read, settings
        assert read - documented == set()
