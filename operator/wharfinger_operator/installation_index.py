"""The installations by what they name, so that one change does not cost a look at all of them."""

from __future__ import annotations

from collections.abc import Iterator

from wharfinger_crds import names
from wharfinger_crds.installation import Installation

Facet = tuple[str, ...]


class InstallationIndex:
    """Which installations name an entry, run in an environment, read a Secret, stand in a namespace, or have an id."""

    def __init__(self) -> None:
        self._found: dict[Facet, dict[str, Installation]] = {}

    def take(self, old: Installation | None, new: Installation | None) -> None:
        """Take in one change."""
        if old is not None:
            name = _name(old)
            for facet in _facets(old):
                del self._found[facet][name]
                if not self._found[facet]:
                    del self._found[facet]
        if new is not None:
            name = _name(new)
            for facet in _facets(new):
                self._found.setdefault(facet, {})[name] = new

    def of_entry(self, name: str) -> tuple[Installation, ...]:
        """Return those that name an entry."""
        return self._of("entry", name)

    def count_of_entry(self, name: str) -> int:
        """Return how many name an entry."""
        return len(self._found.get(("entry", name), {}))

    def of_environment(self, name: str) -> tuple[Installation, ...]:
        """Return those whose status says that they run in an environment."""
        return self._of("environment", name)

    def of_secret(self, namespace: str, name: str) -> tuple[Installation, ...]:
        """Return those that name a Secret of their namespace."""
        return self._of("secret", namespace, name)

    def of_namespace(self, name: str) -> tuple[Installation, ...]:
        """Return those in a namespace."""
        return self._of("namespace", name)

    def of_tools(self, tools_name: str) -> tuple[Installation, ...]:
        """Return those whose status names tool definitions."""
        return self._of("tools", tools_name)

    def of_id(self, installation_id: str) -> tuple[Installation, ...]:
        """Return the one with an id."""
        return self._of("id", installation_id)

    def tools(self) -> frozenset[str]:
        """Return the names of all tool definitions that a status names."""
        return frozenset(facet[1] for facet in self._found if facet[0] == "tools")

    def _of(self, *facet: str) -> tuple[Installation, ...]:
        return tuple(self._found.get(facet, {}).values())


def _facets(installation: Installation) -> Iterator[Facet]:
    meta, spec, status = installation.metadata, installation.spec, installation.status
    yield ("entry", spec.entry_ref.name)
    yield ("namespace", meta.namespace)
    yield ("id", names.installation_id(meta.namespace, meta.name))
    if status.environment:
        yield ("environment", status.environment)
    for config_map in sorted(status.tools.config_maps) if status.tools else ():
        yield ("tools", config_map)
    for name in sorted({source.secret_key_ref.name for source in spec.values_from}):
        yield ("secret", meta.namespace, name)


def _name(installation: Installation) -> str:
    return f"{installation.metadata.namespace}/{installation.metadata.name}"
