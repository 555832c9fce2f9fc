"""What a registry tells of an image: index, manifest and configuration (OCI image specification 1.1, Docker schema 2); pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wharfinger_operator.world import EntryPoint

ACCEPT: Final = ", ".join((
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
))  # fmt: skip
_DIGEST: Final = re.compile(r"(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128})")
_WORDS: Final = 256
_LENGTH: Final = 32768
"""Characters of all words: they end up in a pod and in an annotation."""


class ImageFormatError(ValueError):
    """A document is not what it should be; the message says what is wrong, and repeats nothing of it."""


def is_digest_of(digest: str, content: bytes) -> bool:
    """Tell whether content is what the digest names."""
    found = _DIGEST.fullmatch(digest)
    return found is not None and hashlib.new(found[1] or found[3], content).hexdigest() == (found[2] or found[4])


def parse(document: bytes) -> Mapping[str, Any]:
    """Return the mapping that a document is. Raises ImageFormatError."""
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ImageFormatError("the registry sent something that is no JSON object")
    return found


def manifest_of_index(document: Mapping[str, Any], architectures: Sequence[str]) -> str | None:
    """Return the digest of the manifest for Linux, by the first of the architectures that is there, else any; None: it is no index.

    Raises ImageFormatError where the index holds nothing for Linux.
    """
    if not isinstance(document.get("manifests"), list):
        return None
    linux: dict[str, str] = {}
    for entry in document["manifests"]:
        platform = entry.get("platform") if isinstance(entry, dict) else None
        if isinstance(platform, dict) and platform.get("os") == "linux":
            linux.setdefault(str(platform.get("architecture")), _digest(entry))
    chosen = next((linux[architecture] for architecture in architectures if architecture in linux), next(iter(linux.values()), None))
    if chosen is None:
        raise ImageFormatError("the image is not made for Linux")
    return chosen


def config_of_manifest(document: Mapping[str, Any]) -> str:
    """Return the digest of the configuration. Raises ImageFormatError."""
    config = document.get("config")
    if not isinstance(config, dict):
        raise ImageFormatError("the image has no configuration: it is in an outdated format, or no image of a container")
    return _digest(config)


def entry_point(document: Mapping[str, Any]) -> EntryPoint:
    """Return what a configuration says of ENTRYPOINT and CMD. Raises ImageFormatError."""
    config = document.get("config") or {}
    if not isinstance(config, dict):
        raise ImageFormatError("the configuration of the image is malformed")
    entrypoint, command = (_words(config.get(key)) for key in ("Entrypoint", "Cmd"))
    if len(entrypoint) + len(command) > _WORDS or sum(map(len, (*entrypoint, *command))) > _LENGTH:
        raise ImageFormatError(f"ENTRYPOINT and CMD of the image are longer than {_WORDS} words or {_LENGTH} characters")
    return EntryPoint(entrypoint, command)


def _words(found: object) -> tuple[str, ...]:
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(word, str) and "\0" not in word for word in found):
        raise ImageFormatError("ENTRYPOINT or CMD of the image is no list of texts")
    return tuple(found)


def _digest(descriptor: Mapping[str, Any]) -> str:
    digest = descriptor.get("digest")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ImageFormatError("the registry names a part of the image without a usable digest")
    return digest
