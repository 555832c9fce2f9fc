"""Golden files: what a transformation makes of a manifest, compared with the file beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Golden = Callable[[Any], None]


class _Plain(yaml.SafeDumper):
    """Writes what is shared out twice: an alias would show how the code is made, not what it makes."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def cases(test_file: str) -> list[Path]:
    """Return the `testdata/*.in.yaml` beside a test."""
    return sorted((Path(test_file).parent / "testdata").glob("*.in.yaml"))


def manifests(case: Path) -> list[dict[str, Any]]:
    """Return the documents of a case."""
    return [document for document in yaml.safe_load_all(case.read_text()) if document]


def compare(case: Path, actual: Any, *, update: bool) -> None:
    """Compare with `<case>.out.yaml`, or write it."""
    expected = case.with_name(case.name.replace(".in.yaml", ".out.yaml"))
    text = yaml.dump(actual, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=140)
    if update:
        expected.write_text(text)
    assert expected.exists(), f"{expected.name} is missing: run with --update-golden and review it"
    assert text == expected.read_text()
