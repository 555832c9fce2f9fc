"""The chart's roles for people, asked of a real API server as those people."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from chart import applied
from impersonation import as_user
from operator_platform import until
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.resource import Resource
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, GRANT, INSTALLATION, KINDS, REGISTRY_ENTRY, TOKEN, Kind

RBAC = "rbac.authorization.k8s.io"
REVIEW = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False)
READ = frozenset({"get", "list", "watch"})
WRITE = frozenset({"create", "update", "patch", "delete", "deletecollection"})
ALL, NONE = READ | WRITE, frozenset[str]()
Rights = dict[Kind, frozenset[str]]
VIEW: Rights = {REGISTRY_ENTRY: READ, ENVIRONMENT: READ, INSTALLATION: READ, GATEWAY: READ, TOKEN: NONE, GRANT: NONE}
INSTALL: Rights = dict.fromkeys(KINDS, NONE) | {INSTALLATION: ALL, GATEWAY: ALL}
PUBLISH: Rights = dict.fromkeys(KINDS, NONE) | {REGISTRY_ENTRY: ALL, ENVIRONMENT: READ}
ADMIN: Rights = dict.fromkeys(KINDS, ALL) | {GRANT: READ | {"delete", "deletecollection"}}
IN_NAMESPACE = [INSTALLATION, GATEWAY, TOKEN, GRANT]
Bound = Callable[[str, str | None], AbstractAsyncContextManager[Cluster]]


@pytest.fixture
def bound(admin: Login, cluster: Cluster) -> Bound:
    """Open a client as a user who has a ClusterRole: in the whole cluster, or in one namespace."""

    @asynccontextmanager
    async def open_as(role: str, namespace: str | None) -> AsyncIterator[Cluster]:
        user = f"user-{secrets.token_hex(4)}"
        binding = {
            "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
            "metadata": {"name": user, **({"namespace": namespace} if namespace else {})},
            "subjects": [{"kind": "User", "name": user, "apiGroup": RBAC}],
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        }
        async with applied(cluster, [binding]), as_user(admin, user) as client:
            yield client

    return open_as


async def may(client: Cluster, verb: str, kind: Kind, namespace: str | None, subresource: str = "") -> bool:
    asked: dict[str, Any] = {"group": names.GROUP, "resource": kind.plural, "verb": verb, "subresource": subresource}
    attributes = asked | ({"namespace": namespace} if namespace else {})
    answer = await client.create(REVIEW, {"metadata": {}, "spec": {"resourceAttributes": attributes}})
    allowed: bool = answer["status"]["allowed"]
    return allowed


async def may_deploy(client: Cluster) -> bool:
    return await may(client, "deploy-to-restricted", ENVIRONMENT, None)


async def rights(client: Cluster, kind: Kind, namespace: str | None) -> frozenset[str]:
    return frozenset([verb for verb in sorted(ALL) if await may(client, verb, kind, namespace)])


@pytest.mark.requirement("OPS-2")
@pytest.mark.parametrize(("role", "expected"), [("view", VIEW), ("install", INSTALL), ("publish", PUBLISH), ("admin", ADMIN)])
async def test_a_role_brings_exactly_its_verbs_and_never_those_of_status(role: str, expected: Rights, roles: str, bound: Bound) -> None:
    async with bound(f"{roles}-{role}", None) as user:
        first = next(kind for kind, verbs in expected.items() if verbs)
        await until(lambda: may(user, "list", first, None))

        assert {kind.plural: await rights(user, kind, None) for kind in KINDS} == {k.plural: verbs for k, verbs in expected.items()}
        assert [kind.plural for kind in KINDS for verb in ("update", "patch") if await may(user, verb, kind, None, "status")] == []
        assert await may_deploy(user) is (role == "admin")


@pytest.mark.requirement("OPS-2")
@pytest.mark.parametrize(("role", "expected"), [("view", VIEW), ("edit", VIEW | INSTALL), ("admin", VIEW | INSTALL)])
async def test_the_clusters_own_roles_take_up_what_belongs_into_a_namespace(
    role: str, expected: Rights, roles: str, bound: Bound, namespace: str
) -> None:
    merged = {kind: expected[kind] for kind in IN_NAMESPACE}
    async with bound(role, namespace) as user:

        async def has_them() -> bool:
            return {kind: await rights(user, kind, namespace) for kind in IN_NAMESPACE} == merged

        await until(has_them)
        assert await rights(user, INSTALLATION, "default") == NONE
