"""A child as it is there, at one version: unpacked only when somebody looks into it, and compared only once.

Most looks at an installation find that nothing is to be done about most of its children.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class Compared:
    """What comparing a version of a child has shown; kept with its copy, and gone with it when there is another version."""

    __slots__ = ("stamp",)

    def __init__(self) -> None:
        self.stamp: str | None = None
        """Hash of the manifest that the child was applied from and that it is as: nothing is to be done about it."""


class Child(Mapping[str, Any]):
    """The object; also whether it has been found to be as a manifest wants it."""

    __slots__ = ("_found", "_unpack", "compared", "key")

    def __init__(self, key: tuple[str, str, str], unpack: Callable[[], dict[str, Any]], compared: Compared) -> None:
        self.key = key
        """Kind, namespace and name."""
        self.compared = compared
        self._unpack = unpack
        self._found: dict[str, Any] | None = None

    def __getitem__(self, part: str) -> Any:
        """Return a part of the object; its kind without unpacking it."""
        return self.key[0] if part == "kind" else self._whole()[part]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of its parts."""
        return iter(self._whole())

    def __len__(self) -> int:
        """Return how many parts it has."""
        return len(self._whole())

    def _whole(self) -> dict[str, Any]:
        if self._found is None:
            self._found = self._unpack()
        return self._found
