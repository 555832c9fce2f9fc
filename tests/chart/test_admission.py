"""The chart's admission policies on a real API server: they bind everybody, also a cluster admin, on create and on update."""

import secrets
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest

from chart import RESOURCES, applied
from impersonation import as_user
from operator_platform import until
from refusal import refusal, refused_with
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import NAMESPACE, Object, Resource, Scope
from wharfinger_crds import names
from wharfinger_crds.grants import grants_of
from wharfinger_crds.installation import Owner
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, INSTALLATION, REGISTRY_ENTRY, Kind
from wharfinger_crds.visibility import GatewayVisibility

RBAC = "rbac.authorization.k8s.io"
OWNERS = ({"team": "engineering"}, {"user": "okta:alice"}, {"team": "x"})
GRANTED = [
    {},
    {"teams": "engineering"},
    {"teams": " sales ,\tengineering\n"},
    {"teams": "engineering-2,my-engineering"},
    {"teams": "Engineering"},
    {"teams": "*"},
    {"teams": "*engineering"},
    {"teams": "sales, *"},
    {"teams": ""},
    {"teams": ",,"},
    {"teams": "okta:alice"},
    {"users": "okta:alice"},
    {"users": "okta:bob ,okta:alice"},
    {"users": "okta:alice2"},
    {"users": "*"},
    {"users": "okta:*"},
    {"users": "engineering"},
    {"teams": "x,engineering", "users": "okta:alice"},
    {"organization": "true"},
    {"organization": "True"},
    {"organization": " true"},
    {"organization": "false"},
    {"teams": "\u00a0engineering\u2003"},
]
VISIBILITIES: tuple[dict[str, Any], ...] = (
    {"scope": "Org"},
    {"scope": "Personal", "owner": "okta:alice"},
    {"scope": "Team", "teams": ["engineering"]},
    {"scope": "Team", "teams": ["x", "engineering"]},
)


def annotations(granted: dict[str, str]) -> dict[str, str]:
    return {f"{names.GROUP}/{key}": value for key, value in granted.items()}


def installation(namespace: str, owner: dict[str, str], name: str = "bot", **spec: Any) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"entryRef": {"name": "github"}, "owner": owner, **spec}}


def gateway(namespace: str, visibility: dict[str, Any]) -> Object:
    spec = {"title": "X", "visibility": visibility, "authentication": {"bearerTokens": {"enabled": True}}}
    return {"metadata": {"name": "tools", "namespace": namespace}, "spec": spec}


def creation(cluster: Cluster, kind: Kind, body: Object) -> Awaitable[Object]:
    return cluster.create(kind_resource(kind), body, dry_run=True)


@pytest.fixture
async def tenants(policies: list[str], cluster: Cluster) -> AsyncIterator[dict[str, dict[str, str]]]:
    """A namespace for each row of GRANTED. What a namespace is created with, admission knows at once."""
    made = {policies.pop(): annotations(granted) for granted in GRANTED}
    for name, granted in made.items():
        await cluster.create(NAMESPACE, {"metadata": {"name": name, "annotations": granted}})
    yield made
    for name in made:
        await cluster.delete(NAMESPACE, name)


async def test_the_api_server_finds_nothing_to_warn_of_in_a_policy(policies: list[str], cluster: Cluster) -> None:
    mark = policies[0].rpartition("-")[0]
    resource = RESOURCES["ValidatingAdmissionPolicy"]

    async def checked() -> list[Object]:
        ours = [found for found in await cluster.list(resource) if found["metadata"]["name"].startswith(mark)]
        return ours if all("typeChecking" in found.get("status", {}) for found in ours) else []

    found = await until(checked)
    assert len(found) == 8
    assert [one["status"]["typeChecking"] for one in found] == [{}] * 8


@pytest.mark.requirement("INS-1")
async def test_admission_and_operator_read_the_same_grants_from_a_namespace(tenants: dict[str, dict[str, str]], cluster: Cluster) -> None:
    disagreements = []
    allowed = 0
    for namespace, granted in tenants.items():
        grants = grants_of(granted)
        for owner in OWNERS:
            key = names.USERS_GRANT if "user" in owner else names.TEAMS_GRANT
            missing = None if grants.covers_owner(Owner.model_validate(owner)) else f'{key}: "{next(iter(owner.values()))}"'
            said = await refusal(creation(cluster, INSTALLATION, installation(namespace, owner)))
            if (missing is None) != (said is None) or (missing or "") not in (said or ""):
                disagreements.append((granted, owner, missing, said))
            allowed += said is None
        for visibility in VISIBILITIES:
            missing = grants.missing_for(GatewayVisibility.model_validate(visibility))
            said = await refusal(creation(cluster, GATEWAY, gateway(namespace, visibility)))
            if (missing is None) != (said is None) or (missing or "") not in (said or ""):
                disagreements.append((granted, visibility, missing, said))
            allowed += said is None

    assert disagreements == []
    assert allowed > 20


@pytest.mark.requirement("INS-1")
async def test_an_owner_who_is_not_granted_is_refused_to_a_cluster_admin_too_on_create_and_apply(tenant: str, cluster: Cluster) -> None:
    body = installation(tenant, {"user": "okta:mallory"})

    for request in (
        cluster.create(kind_resource(INSTALLATION), body),
        cluster.apply(kind_resource(INSTALLATION), body),
    ):
        said = await refusal(request)
        assert said is not None
        assert 'user okta:mallory: a cluster admin grants it by the annotation wharfinger.dev/users: "okta:mallory"' in said


@pytest.mark.requirement("INS-1")
async def test_a_gateway_cannot_be_widened_later_to_what_is_not_granted(tenant: str, cluster: Cluster) -> None:
    await cluster.create(kind_resource(GATEWAY), gateway(tenant, {"scope": "Team", "teams": ["engineering"]}))

    said = await refusal(cluster.patch(kind_resource(GATEWAY), "tools", {"spec": {"visibility": {"scope": "Org", "teams": None}}}, tenant))

    assert said is not None
    assert 'wharfinger.dev/organization: "true"' in said


async def test_what_was_granted_once_can_still_be_labelled_and_deleted_when_the_grant_is_gone(tenant: str, cluster: Cluster) -> None:
    resource = kind_resource(INSTALLATION)
    await cluster.create(resource, installation(tenant, {"team": "engineering"}))
    await cluster.patch(resource, "bot", {"metadata": {"finalizers": ["example.org/theirs"]}}, tenant)
    await cluster.patch(NAMESPACE, tenant, {"metadata": {"annotations": {names.TEAMS_GRANT: None}}})
    await until(lambda: refusal(creation(cluster, INSTALLATION, installation(tenant, {"team": "engineering"}, "other"))))

    assert await refusal(cluster.patch(resource, "bot", {"metadata": {"labels": {"a": "b"}}}, tenant)) is None
    assert await refusal(cluster.patch(resource, "bot", {"spec": {"suspend": True}}, tenant)) is not None
    await cluster.delete(resource, "bot", tenant)
    await cluster.patch(resource, "bot", {"metadata": {"finalizers": None}}, tenant)
    assert await cluster.list(resource, Scope(tenant)) == ()


async def test_outside_of_the_tenants_admission_leaves_it_to_the_operator(policies: list[str], cluster: Cluster) -> None:
    assert await refusal(creation(cluster, INSTALLATION, installation("default", {"team": "nobody"}))) is None


@pytest.fixture(params=[REGISTRY_ENTRY, ENVIRONMENT], ids=lambda kind: kind.kind)
async def used(request: pytest.FixtureRequest, policies: list[str], cluster: Cluster) -> AsyncIterator[tuple[Resource, str]]:
    """An entry or environment which the operator says is used by two installations, with the deletion policy in force."""
    kind: Kind = request.param
    resource, name = kind_resource(kind), f"test-{secrets.token_hex(4)}"
    entry = {"title": "X", "type": "Remote", "remote": {"url": "https://mcp.invalid/mcp"}}
    await cluster.create(
        resource, {"metadata": {"name": name}, "spec": entry if kind is REGISTRY_ENTRY else {"title": "X", "egress": {"mode": "DenyAll"}}}
    )
    await says_used(cluster, resource, name, ["team-a/github", "team-b/github"])
    yield resource, name
    try:
        await cluster.patch(resource, name, {"metadata": {"annotations": {names.ALLOW_DELETION: "true"}}})
        await cluster.delete(resource, name)
    except NotFound:
        return


async def says_used(cluster: Cluster, resource: Resource, name: str, by: list[str], count: int | None = None) -> None:
    status = {"installations": len(by) if count is None else count, "usedBy": by}
    await cluster.patch(resource, name, {"status": status}, subresource="status")


@pytest.mark.requirement("REG-10")
async def test_what_is_in_use_cannot_be_deleted_and_the_refusal_says_by_whom(used: tuple[Resource, str], cluster: Cluster) -> None:
    resource, name = used

    said = await refusal(cluster.delete(resource, name))

    assert said is not None
    assert "it is used by 2 installations (team-a/github, team-b/github): delete them first" in said
    assert 'wharfinger.dev/allow-deletion: "true"' in said
    assert await cluster.get(resource, name)


@pytest.mark.requirement("REG-10")
async def test_of_many_users_the_refusal_names_the_first(used: tuple[Resource, str], cluster: Cluster) -> None:
    resource, name = used
    longest = [f"{'n' * 62}{i}/{'i' * 50}" for i in range(10)]

    await says_used(cluster, resource, name, longest, 2000)

    said = await refusal(cluster.delete(resource, name))
    assert said is not None
    assert f"it is used by 2000 installations ({', '.join(longest)}, …)" in said


@pytest.mark.requirement("REG-10")
async def test_what_is_not_in_use_any_more_can_be_deleted(used: tuple[Resource, str], cluster: Cluster) -> None:
    resource, name = used

    await says_used(cluster, resource, name, [])

    assert await refusal(cluster.delete(resource, name)) is None


@pytest.mark.requirement("REG-10")
async def test_the_annotation_allows_the_deletion_of_what_is_in_use(used: tuple[Resource, str], cluster: Cluster) -> None:
    resource, name = used
    await cluster.patch(resource, name, {"metadata": {"annotations": {names.ALLOW_DELETION: "yes"}}})
    assert await refusal(cluster.delete(resource, name)) is not None

    await cluster.patch(resource, name, {"metadata": {"annotations": {names.ALLOW_DELETION: "true"}}})

    assert await refusal(cluster.delete(resource, name)) is None


def sources(*secret_names: str) -> list[dict[str, Any]]:
    return [{"field": f"field{i}", "secretKeyRef": {"name": name, "key": "token"}} for i, name in enumerate(secret_names)]


@pytest.fixture
async def bob(tenant: str, roles: str, admin: Login, cluster: Cluster) -> AsyncIterator[Cluster]:
    """A user who may install in the tenant namespace, and read the Secret `his` there and no other."""
    user = f"bob-{secrets.token_hex(4)}"
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["his"], "verbs": ["get"]}
    meta = {"name": user, "namespace": tenant}
    subjects = [{"kind": "User", "name": user, "apiGroup": RBAC}]
    bindings = [
        {"kind": "Role", "apiVersion": f"{RBAC}/v1", "metadata": meta, "rules": [rule]},
        {
            "kind": "RoleBinding", "apiVersion": f"{RBAC}/v1", "metadata": meta, "subjects": subjects,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": user},
        },
        {
            "kind": "RoleBinding", "apiVersion": f"{RBAC}/v1", "metadata": {**meta, "name": f"{user}-installs"}, "subjects": subjects,
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": f"{roles}-install"},
        },
    ]  # fmt: skip
    async with applied(cluster, bindings), as_user(admin, user) as client:
        foreign = installation(tenant, {"team": "engineering"}, valuesFrom=sources("theirs"))
        await until(lambda: refused_with(creation(client, INSTALLATION, foreign), "may not read"))
        yield client


async def test_nobody_names_a_secret_that_he_cannot_read_at_any_place(tenant: str, bob: Cluster) -> None:
    own = installation(tenant, {"team": "engineering"}, valuesFrom=sources(*["his"] * 16))
    assert await refusal(creation(bob, INSTALLATION, own)) is None

    for place in range(16):
        named = ["his"] * 16
        named[place] = "theirs"
        said = await refusal(creation(bob, INSTALLATION, installation(tenant, {"team": "engineering"}, valuesFrom=sources(*named))))
        assert said is not None, place
        assert "spec.valuesFrom names a Secret that you may not read: one of " in said
        assert "theirs" in said


async def test_a_secret_that_somebody_else_named_before_stays_and_none_is_added(tenant: str, bob: Cluster, cluster: Cluster) -> None:
    resource = kind_resource(INSTALLATION)
    await cluster.create(resource, installation(tenant, {"team": "engineering"}, valuesFrom=sources("theirs")))

    assert await refusal(bob.patch(resource, "bot", {"spec": {"suspend": True}}, tenant)) is None
    assert await refusal(bob.patch(resource, "bot", {"spec": {"valuesFrom": sources("theirs", "his")}}, tenant)) is None
    assert await refused_with(bob.patch(resource, "bot", {"spec": {"valuesFrom": sources("theirs", "others")}}, tenant), "may not read")


@pytest.mark.requirement("INS-1")
async def test_who_may_install_is_held_to_the_grants_of_the_namespace_too(tenant: str, bob: Cluster) -> None:
    assert await refusal(creation(bob, INSTALLATION, installation(tenant, {"team": "engineering"}))) is None
    assert await refused_with(creation(bob, INSTALLATION, installation(tenant, {"team": "sales"})), 'wharfinger.dev/teams: "sales"')
