"""Names of images, as the runtime reads them: host, repository, tag and digest; pure.

Grammar of the distribution project's reference format: without a host the registry is docker.io, and there a name without
a slash lies under `library/`. A digest wins over a tag. Upper case is allowed in host names and tags only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

DOCKER_HUB: Final = "docker.io"
_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST: Final = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]{{1,5}})?")
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_LONGEST: Final = 255


@dataclass(frozen=True)
class ImageReference:
    """A name of an image, complete."""

    host: str
    """With the port, if one is named; lower case."""
    repository: str
    tag: str | None = None
    digest: str | None = None
    """`sha256:…`: names the contents, so that the tag does not count."""

    @property
    def version(self) -> str:
        """What to ask the registry for."""
        return self.digest or self.tag or "latest"


def parse_reference(image: str) -> ImageReference | None:
    """Return the reference that a name stands for; None where it is none."""
    name, at, digest = image.partition("@")
    found = _repository_and_tag(name)
    if found is None or (at and not _DIGEST.fullmatch(digest)):
        return None
    (host, repository), tag = found
    return ImageReference(host, repository, tag, digest or None)


def parse_prefix(prefix: str) -> tuple[str, str] | None:
    """Return host and path, perhaps empty, of what all names below it begin with; None where it is none."""
    if "/" not in prefix and _is_host(prefix):
        return (canonical_host(prefix), "") if _HOST.fullmatch(prefix) else None
    return _host_and_path(prefix)


def is_registry(text: str) -> bool:
    """Tell whether a text is the host of a registry, with or without a port."""
    return _HOST.fullmatch(text) is not None


def canonical_host(host: str) -> str:
    """Return a registry's host as references name it: lower case, and Docker Hub by one name only."""
    lower = host.lower()
    return DOCKER_HUB if lower == "index.docker.io" else lower


def _repository_and_tag(name: str) -> tuple[tuple[str, str], str | None] | None:
    start, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        return None
    found = _host_and_path(f"{start}{slash}{last}")
    if found is None:
        return None
    host, path = found
    repository = f"library/{path}" if host == DOCKER_HUB and "/" not in path else path
    return (host, repository), tag or None


def _host_and_path(name: str) -> tuple[str, str] | None:
    first, slash, rest = name.partition("/")
    host, path = (first, rest) if slash and _is_host(first) else (DOCKER_HUB, name)
    if len(path) > _LONGEST or not _HOST.fullmatch(host) or not _REPOSITORY.fullmatch(path):
        return None
    return canonical_host(host), path


def _is_host(component: str) -> bool:
    return "." in component or ":" in component or component == "localhost" or component != component.lower()
