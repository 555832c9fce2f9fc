"""Pull Secrets beside a workload: copies of the catalog's, and one that is built of the entry's registry credentials.

Invariants: their values are no part of the pods' input hash, since a pod does not read them any more once its image is
there; which ones the pods name is part of the pod. Another value never makes another name, so that a rotation rolls nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.base import KeyRef
from wharfinger_crds.registry_entry import RegistryCredentials, SelfHosted
from wharfinger_operator.plan.catalog import missing, secret_value
from wharfinger_operator.plan.docker_config import (
    DOCKER_CONFIG_KEY,
    DOCKER_CONFIG_TYPE,
    RegistryLogin,
    docker_config,
    read_docker_config,
)
from wharfinger_operator.world import Catalog


@dataclass(frozen=True)
class PullSecret:
    """A pull Secret of the server."""

    suffix: str
    """Behind the server's name."""
    document: bytes = field(repr=False)
    logins: tuple[RegistryLogin, ...] = field(repr=False)


def pull_secrets(hosted: SelfHosted, catalog: Catalog, namespace: str) -> tuple[PullSecret, ...] | c.Finding:
    """Return the pull Secrets of a server, or the finding (ValuesResolved=False) that says what is missing or wrong."""
    found = tuple(_all(hosted, catalog, namespace))
    problem = next((one for one in found if isinstance(one, c.Finding)), None)
    return problem or tuple(one for one in found if isinstance(one, PullSecret))


def _all(hosted: SelfHosted, catalog: Catalog, namespace: str) -> Iterator[PullSecret | c.Finding]:
    for pull in hosted.image_pull_secrets:
        yield _copied(pull.name, catalog, namespace)
    if hosted.registry_credentials:
        yield _built(hosted, catalog, namespace)


def _copied(name: str, catalog: Catalog, namespace: str) -> PullSecret | c.Finding:
    place, secret = f"spec.selfHosted.imagePullSecrets[{name}]", catalog.secrets.get(name)
    if secret is None:
        return missing("Secret", name, namespace, place)
    if secret.type != DOCKER_CONFIG_TYPE:
        return _invalid(
            f"{place}: Secret {name} of namespace {namespace} is of type {secret.type[:253]} instead of {DOCKER_CONFIG_TYPE}:"
            " make it with `kubectl create secret docker-registry`, or use registryCredentials"
        )
    document = secret.data.get(DOCKER_CONFIG_KEY, b"")
    logins = read_docker_config(document)
    if logins is None:
        return _invalid(
            f'{place}: key {DOCKER_CONFIG_KEY} of Secret {name} of namespace {namespace} is no document {{"auths": {{…}}}}:'
            " make it with `kubectl create secret docker-registry`"
        )
    return PullSecret(f"pull-{names.short_hash('pull', name)}", document, logins)


def _built(hosted: SelfHosted, catalog: Catalog, namespace: str) -> PullSecret | c.Finding:
    logins: list[tuple[str, str, str]] = []
    for credentials in hosted.registry_credentials:
        login = _login(credentials, catalog, namespace)
        if isinstance(login, c.Finding):
            return login
        logins.append((credentials.server, *login))
    document = docker_config(logins)
    return PullSecret("registries", document, read_docker_config(document) or ())


def _login(credentials: RegistryCredentials, catalog: Catalog, namespace: str) -> tuple[str, str] | c.Finding:
    place, name = f"spec.selfHosted.registryCredentials[{credentials.server}]", credentials.secret_ref.name
    texts: dict[str, str] = {}
    for key in ("username", "password"):
        value = secret_value(KeyRef(name=name, key=key), catalog, namespace, place)
        if isinstance(value, c.Finding):
            return value
        text = value.decode(errors="replace")
        if not text or "\ufffd" in text or any(ord(char) < 32 or ord(char) == 127 for char in text) or (key == "username" and ":" in text):
            return _invalid(
                f"{place}: key {key} of Secret {name} of namespace {namespace} is empty, not UTF-8 text, or has a line break, another control"
                " character or, in a username, a colon"
            )
        texts[key] = text
    return texts["username"], texts["password"]


def _invalid(message: str) -> c.Finding:
    return c.false(c.VALUES_RESOLVED, c.PULL_SECRET_INVALID, message)
