"""What RBAC grants, and what was asked for, in the same words."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[^/]+))?)?$"
)
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Right(NamedTuple):
    """One verb on one resource; `where` is a namespace, or empty for the whole cluster."""

    where: str
    resource: str
    """`deployments.apps`, `pods/log`."""
    verb: str


def granted(manifests: Iterable[Mapping[str, Any]]) -> frozenset[Right]:
    """Return what ClusterRoles and Roles say."""
    return frozenset(
        Right(role["metadata"].get("namespace", ""), _full(group, resource), verb)
        for role in manifests
        if role["kind"] in {"ClusterRole", "Role"}
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def asked(method: str, target: str, status: int) -> frozenset[Right]:
    """Return which rights a request to the API server needs; a patch that creates needs two."""
    parts = urlsplit(target)
    found = _PATH.fullmatch(parts.path)
    if found is None:
        return frozenset()
    reading = "watch" if "watch" in parse_qs(parts.query) else "get" if found["name"] else "list"
    resource = _full(found["group"] or "", f"{found['resource']}/{found['sub']}" if found["sub"] else found["resource"])
    verbs = {_VERBS.get(method, reading)} | ({"create"} if (method, status) == ("PATCH", 201) else set())
    return frozenset(Right(found["namespace"] or "", resource, verb) for verb in verbs)


def _full(group: str, resource: str) -> str:
    name, slash, sub = resource.partition("/")
    return f"{name}.{group}{slash}{sub}" if group else resource
