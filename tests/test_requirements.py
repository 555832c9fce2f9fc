"""Each built requirement is shown by a test, and each test names a built one."""

import re
from pathlib import Path

from requirements import BUILT

TESTS = Path(__file__).parent


MARK = re.compile(r"mark\.requirement\(([^)]*)\)")


def named_by_tests() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        for arguments in MARK.findall(path.read_text()):
            for name in re.findall(r'"([^"]+)"', arguments):
                found.setdefault(name, set()).add(path.name)
    return found


def test_every_built_requirement_is_shown_by_a_test() -> None:
    assert sorted(BUILT.keys() - named_by_tests().keys()) == []


def test_every_requirement_that_a_test_names_is_built() -> None:
    assert {name: files for name, files in named_by_tests().items() if name not in BUILT} == {}
