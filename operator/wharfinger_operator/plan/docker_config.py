"""Documents of type `kubernetes.io/dockerconfigjson`: written, read, and matched with images as the kubelet does; pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wharfinger_operator.plan.image_reference import DOCKER_HUB, ImageReference, canonical_host

DOCKER_CONFIG_TYPE: Final = "kubernetes.io/dockerconfigjson"
DOCKER_CONFIG_KEY: Final = ".dockerconfigjson"
_HUB_KEY: Final = "https://index.docker.io/v1/"
"""Under which the kubelet looks for a login to Docker Hub."""
_LOGINS_LIMIT: Final = 64


@dataclass(frozen=True)
class RegistryLogin:
    """A user of a registry, or of a part of it."""

    host: str
    """`*` stands for one label."""
    path: str
    """The login is for repositories at or below it; empty: for all."""
    username: str = field(repr=False)
    password: str = field(repr=False)


def docker_config(logins: Iterable[tuple[str, str, str]]) -> bytes:
    """Return the document for (server, username, password)."""
    auths: dict[str, dict[str, str]] = {}
    for server, username, password in logins:
        auth = base64.b64encode(f"{username}:{password}".encode()).decode()
        key = _HUB_KEY if canonical_host(server) == DOCKER_HUB else server
        auths[key] = {"username": username, "password": password, "auth": auth}
    return json.dumps({"auths": auths}, sort_keys=True).encode()


def read_docker_config(document: bytes) -> tuple[RegistryLogin, ...] | None:
    """Return the logins of a document; None where it is none."""
    try:
        auths = json.loads(document)["auths"]
        if not isinstance(auths, dict) or len(auths) > _LOGINS_LIMIT:
            return None
        found = [_login(key, entry) for key, entry in sorted(auths.items())]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return tuple(login for login in found if login is not None)


def _login(key: str, entry: Mapping[str, Any]) -> RegistryLogin | None:
    username, password = entry.get("username", ""), entry.get("password", "")
    if auth := entry.get("auth"):
        try:
            username, _, password = base64.b64decode(auth, validate=True).decode().partition(":")
        except binascii.Error as error:
            raise ValueError("auth is not base64") from error
    if not isinstance(username, str) or not isinstance(password, str):
        raise TypeError("username and password are texts")
    host, _, path = key.removeprefix("https://").removeprefix("http://").partition("/")
    for version in ("v1", "v2"):
        # What `docker login` wrote for the registry's API: the path is the API's, not a repository's.
        if path.rstrip("/") == version or path.startswith(f"{version}/"):
            path = path[len(version) :]
    return RegistryLogin(canonical_host(host), path.strip("/"), username, password) if username and password else None


def logins_for(reference: ImageReference, logins: Iterable[RegistryLogin]) -> tuple[RegistryLogin, ...]:
    """Return the logins that are for an image, the most specific path first, none twice."""
    fitting = [login for login in logins if _is_host(login.host, reference.host) and _is_below(login.path, reference.repository)]
    return tuple(dict.fromkeys(sorted(fitting, key=lambda login: -len(login.path))))


def _is_host(pattern: str, host: str) -> bool:
    wanted, given = pattern.split("."), host.split(".")
    return len(wanted) == len(given) and all(a in {"*", b} for a, b in zip(wanted, given, strict=True))


def _is_below(path: str, repository: str) -> bool:
    return not path or f"{repository}/".startswith(f"{path}/")
