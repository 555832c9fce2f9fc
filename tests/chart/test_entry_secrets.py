"""Secrets of the catalog namespace that entries name, on a real API server: nobody names one that he cannot read."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chart import applied
from impersonation import as_user
from operator_platform import until
from refusal import is_granted, refusal, refused_with
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import Object
from wharfinger_crds.kinds import INSTALLATION, REGISTRY_ENTRY
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_operator.plan.catalog import named_in_catalog

RBAC = "rbac.authorization.k8s.io"
ENTRY = kind_resource(REGISTRY_ENTRY)
AT_ONCE = 24
KEYWORDS = {"anyOf", "items", "allOf", "properties"}
"""Of JSON Schema, between a field and what it is."""


def variables(*secret_names: str) -> dict[str, Any]:
    return {"env": [{"name": f"V{i}", "secretKeyRef": {"name": name, "key": "x"}} for i, name in enumerate(secret_names)]}


WAYS: list[dict[str, Any]] = [
    variables("theirs"),
    {"imagePullSecrets": [{"name": "theirs"}]},
    {"registryCredentials": [{"server": "ghcr.io", "secretRef": {"name": "theirs"}}]},
]


def entry(name: str, **hosted: Any) -> Object:
    spec = {"title": "X", "type": "SelfHosted", "selfHosted": {"command": ["x"], "transport": "Stdio", **hosted}}
    return {"metadata": {"name": name}, "spec": spec}


@pytest.fixture
async def name(cluster: Cluster) -> AsyncIterator[str]:
    made = f"test-{secrets.token_hex(4)}"
    yield made
    try:
        await cluster.delete(ENTRY, made)
    except NotFound:
        return


@pytest.fixture
async def carol(catalog: str, roles: str, admin: Login, cluster: Cluster) -> AsyncIterator[Cluster]:
    """A user who may publish, and who may read the Secrets `his-0` to `his-29` of the catalog namespace and no other."""
    user = f"carol-{secrets.token_hex(4)}"
    his = [f"his-{i}" for i in range(30)]
    subjects = [{"kind": "User", "name": user, "apiGroup": RBAC}]
    manifests = [
        {
            "kind": "Role", "metadata": {"name": user, "namespace": catalog},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": his, "verbs": ["get"]}],
        },
        {
            "kind": "RoleBinding", "metadata": {"name": user, "namespace": catalog}, "subjects": subjects,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": user},
        },
        *(
            {
                "kind": "ClusterRoleBinding", "metadata": {"name": f"{user}-{role}"}, "subjects": subjects,
                "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": f"{roles}-{role}"},
            }
            for role in ("publish", "install")
        ),
    ]  # fmt: skip
    async with applied(cluster, manifests), as_user(admin, user) as client:
        await until(lambda: is_granted(client.create(ENTRY, entry("test-probe", **variables("his-0")), dry_run=True)))
        await until(lambda: refused_with(client.create(ENTRY, entry("test-probe", **variables("theirs")), dry_run=True), "may not read"))
        yield client


async def test_nobody_names_a_secret_in_an_entry_that_he_cannot_read(carol: Cluster, cluster: Cluster, name: str) -> None:
    await carol.create(ENTRY, entry(name, **variables("his-0")))

    for hosted in WAYS:
        created = await refusal(carol.create(ENTRY, entry("test-other", **hosted), dry_run=True))
        edited = await refusal(carol.patch(ENTRY, name, {"spec": {"selfHosted": hosted}}))
        for said in (created, edited):
            assert said is not None
            assert "that you may not read: theirs" in said
        assert await is_granted(cluster.create(ENTRY, entry("test-other", **hosted), dry_run=True))


async def test_nobody_names_one_in_an_installation_outside_of_the_tenants_either_for_they_may_become_some(carol: Cluster) -> None:
    source = {"field": "token", "secretKeyRef": {"name": "theirs", "key": "x"}}
    spec = {"entryRef": {"name": "github"}, "owner": {"team": "engineering"}, "valuesFrom": [source]}
    body = {"metadata": {"name": "bot", "namespace": "default"}, "spec": spec}

    assert await refused_with(carol.create(kind_resource(INSTALLATION), body, dry_run=True), "one of theirs")


def test_the_policy_looks_at_every_place_that_the_operator_reads_a_secret_from() -> None:
    assert [named_in_catalog(RegistryEntry.parse(entry("x", **hosted))) for hosted in WAYS] == [{("Secret", "theirs")}] * len(WAYS)


def test_an_entry_has_no_other_reference_than_those_that_were_thought_of() -> None:
    """Those of OAuth clients have no behaviour yet. Where a new one names a Secret, the policy must look at it."""

    def references(node: Any, name: str = "") -> set[str]:
        if isinstance(node, list):
            return {found for each in node for found in references(each, name)}
        if not isinstance(node, dict):
            return set()
        named = {name} if node.get("$ref", "").rpartition("/")[2] in {"Ref", "KeyRef", "PullSecret"} else set()
        inner = {found for key, value in node.items() for found in references(value, name if key in KEYWORDS else key)}
        return named | inner

    assert references(RegistryEntry.model_json_schema(by_alias=True)) == {
        "environmentRef", "secretKeyRef", "secretRef", "imagePullSecrets", "configMapKeyRef", "caBundleRef", "clientRef",
    }  # fmt: skip


async def test_each_place_among_many_counts_and_a_name_counts_once(carol: Cluster) -> None:
    def named(at: int) -> Object:
        """An entry of 128 variables that name 24 Secrets, of which the one in that place is foreign."""
        each = [f"his-{i}" if i != at else "theirs" for i in range(AT_ONCE)]
        return entry("test-other", **variables(*(each[i % AT_ONCE] for i in range(128))))

    assert await is_granted(carol.create(ENTRY, named(-1), dry_run=True))
    for place in range(AT_ONCE):
        assert await refused_with(carol.create(ENTRY, named(place), dry_run=True), "may not read: theirs"), place


async def test_more_secrets_than_there_is_room_for_are_added_in_steps_but_by_who_may_read_all(
    carol: Cluster, cluster: Cluster, name: str
) -> None:
    many = [f"his-{i}" for i in range(30)]

    assert await refused_with(carol.create(ENTRY, entry(name, **variables(*many))), "more than 24 Secrets")
    assert await is_granted(cluster.create(ENTRY, entry(name, **variables(*many)), dry_run=True))
    assert await is_granted(carol.create(ENTRY, entry(name, **variables(*many[:AT_ONCE]))))
    assert await is_granted(carol.patch(ENTRY, name, {"spec": {"selfHosted": variables(*many)}}))


async def test_a_secret_that_somebody_else_named_before_stays(carol: Cluster, cluster: Cluster, name: str) -> None:
    await cluster.create(ENTRY, entry(name, **variables("theirs")))

    assert await is_granted(carol.patch(ENTRY, name, {"spec": {"title": "Y"}}))
    assert await is_granted(carol.patch(ENTRY, name, {"spec": {"selfHosted": variables("theirs", "his-1")}}))
    assert await refused_with(carol.patch(ENTRY, name, {"spec": {"selfHosted": variables("theirs", "others")}}), "may not read: others")
