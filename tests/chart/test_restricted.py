"""Restricted environments on a real API server, with people: who may not deploy there assigns nothing to them, in no way."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
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
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION, REGISTRY_ENTRY, Kind

RBAC = "rbac.authorization.k8s.io"
VERB = "deploy-to-restricted"
TEAM = {"team": "engineering"}
MAY = {"outsider": False, "robot": False, "deployer": True, "administrator": True, "cluster-admin": True}
"""Whether these may deploy to the restricted environment. The first three may write entries and installations, and so may the others."""


@dataclass(frozen=True)
class Scene:
    """A restricted environment, which is the default, an open one, a tenant, and people."""

    mark: str
    """What names of objects begin with."""
    restricted: str
    open: str
    tenant: str
    people: dict[str, Cluster]
    admin: Cluster

    def named(self, environment: str) -> dict[str, Any]:
        return {"environmentRef": {"name": environment}}

    def object(self, kind: Kind, spec: dict[str, Any]) -> Object:
        """Return an object with a new name; what is None in `spec` is left out."""
        name, given = f"{self.mark}-{secrets.token_hex(4)}", {key: value for key, value in spec.items() if value is not None}
        if kind is INSTALLATION:
            return {"metadata": {"name": name, "namespace": self.tenant}, "spec": {"entryRef": {"name": "github"}, "owner": TEAM, **given}}
        remote = {"title": "X", "type": "Remote", "remote": {"url": "https://mcp.invalid/mcp"}}
        return {"metadata": {"name": name}, "spec": {**remote, **given}}

    def ways(self) -> dict[str, tuple[Kind, dict[str, Any]]]:
        """Every way to assign something to the restricted environment."""
        return {
            "an entry names it": (REGISTRY_ENTRY, self.named(self.restricted)),
            "an entry allows it": (REGISTRY_ENTRY, {**self.named(self.open), "allowedEnvironments": ["elsewhere", self.restricted]}),
            "an entry names none, and it is the default": (REGISTRY_ENTRY, {"environmentRef": None, "allowedEnvironments": None}),
            "an installation names it": (INSTALLATION, self.named(self.restricted)),
        }

    async def outcomes(self, attempt: Callable[[Cluster, Kind, dict[str, Any]], Awaitable[str | None]]) -> dict[tuple[str, str], bool]:
        """Return by way and person whether the attempt was granted; every refusal names verb and environment."""
        found = {}
        for way, (kind, spec) in self.ways().items():
            for person, client in self.people.items():
                said = await attempt(client, kind, spec)
                assert said is None or f"takes the verb {VERB} on environments.wharfinger.dev/{self.restricted}" in said
                found[way, person] = said is None
        return found

    def everybody(self) -> dict[tuple[str, str], bool]:
        return {(way, person): True for way in self.ways() for person in MAY}

    def only_who_may(self) -> dict[tuple[str, str], bool]:
        return {(way, person): may for way in self.ways() for person, may in MAY.items()}

    async def stored(self, kind: Kind, spec: dict[str, Any]) -> str:
        """Store an object as the cluster's administrator, and return its name."""
        made = await self.admin.create(kind_resource(kind), self.object(kind, spec))
        name: str = made["metadata"]["name"]
        return name


def binding(role: str, user: str) -> Object:
    meta = {"name": f"{user.rpartition(':')[2]}-{role}"}
    subject = {"kind": "User", "name": user, "apiGroup": RBAC}
    return {
        "kind": "ClusterRoleBinding",
        "metadata": meta,
        "subjects": [subject],
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
    }


def role(name: str, resources: list[str], verbs: list[str], **rule: Any) -> Object:
    return {
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [{"apiGroups": [names.GROUP], "resources": resources, "verbs": verbs, **rule}],
    }


@pytest.fixture
async def scene(policies: list[str], tenant: str, roles: str, admin: Login, cluster: Cluster) -> AsyncIterator[Scene]:
    mark = f"test-{secrets.token_hex(4)}"
    restricted, other = f"{mark}-restricted", f"{mark}-open"
    resource = kind_resource(ENVIRONMENT)
    for name, spec in ((restricted, {"restricted": True, "default": True}), (other, {})):
        await cluster.create(resource, {"metadata": {"name": name}, "spec": {"title": "X", "egress": {"mode": "DenyAll"}, **spec}})
    outsider, deployer, administrator = (f"{mark}-{who}" for who in ("outsider", "deployer", "administrator"))
    robot = f"system:serviceaccount:{tenant}:{mark}-robot"
    status = ["mcpregistryentries/status", "mcpinstallations/status"]
    manifests = [
        role(f"{mark}-deploys", ["environments"], [VERB], resourceNames=[restricted]),
        role(f"{mark}-elsewhere", ["environments"], [VERB], resourceNames=[other]),
        role(f"{mark}-status", status, ["patch"]),
        role(f"{mark}-environments", ["environments"], ["get", "create", "update", "patch", "delete"]),
        *(binding(f"{roles}-{part}", user) for user in (outsider, robot, deployer) for part in ("publish", "install")),
        *(binding(f"{mark}-{part}", outsider) for part in ("elsewhere", "status")),
        binding(f"{mark}-environments", robot),
        binding(f"{mark}-deploys", deployer),
        binding(f"{roles}-admin", administrator),
    ]
    async with (
        applied(cluster, manifests),
        as_user(admin, outsider) as one,
        as_user(admin, robot) as two,
        as_user(admin, deployer) as three,
        as_user(admin, administrator) as four,
    ):
        people = dict(zip(MAY, (one, two, three, four, cluster), strict=True))
        made = Scene(mark, restricted, other, tenant, people, cluster)
        for kind in (REGISTRY_ENTRY, INSTALLATION):
            for person, client in people.items():
                await until(lambda k=kind, p=person, c=client: is_in_force(made, k, p, c))  # type: ignore[misc]
        yield made
    for kind in (INSTALLATION, REGISTRY_ENTRY):
        for found in await cluster.list(kind_resource(kind)):
            meta = found["metadata"]
            if meta["name"].startswith(mark):
                await cluster.delete(kind_resource(kind), meta["name"], meta.get("namespace"))
    for name in (restricted, other):
        await cluster.delete(resource, name)


async def is_in_force(scene: Scene, kind: Kind, person: str, client: Cluster) -> bool:
    """Tell whether policy, environment and roles have reached the API server's own copies."""
    said = await refusal(client.create(kind_resource(kind), scene.object(kind, scene.named(scene.restricted)), dry_run=True))
    return said is None if MAY[person] else VERB in (said or "")


@pytest.mark.requirement("ENV-2")
async def test_only_who_may_deploy_there_creates_something_in_a_restricted_environment(scene: Scene) -> None:
    async def created(client: Cluster, kind: Kind, spec: dict[str, Any]) -> str | None:
        return await refusal(client.create(kind_resource(kind), scene.object(kind, spec)))

    async def applied_by(client: Cluster, kind: Kind, spec: dict[str, Any]) -> str | None:
        return await refusal(client.apply(kind_resource(kind), scene.object(kind, spec)))

    async def tried(client: Cluster, kind: Kind, spec: dict[str, Any]) -> str | None:
        return await refusal(client.create(kind_resource(kind), scene.object(kind, spec), dry_run=True))

    for attempt in (created, applied_by, tried):
        assert await scene.outcomes(attempt) == scene.only_who_may()


@pytest.mark.requirement("ENV-2")
async def test_only_who_may_deploy_there_moves_something_into_a_restricted_environment(scene: Scene) -> None:
    async def moved(client: Cluster, kind: Kind, spec: dict[str, Any]) -> str | None:
        name = await scene.stored(kind, scene.named(scene.open))
        return await refusal(client.patch(kind_resource(kind), name, {"spec": spec}, scene.tenant if kind.namespaced else None))

    assert await scene.outcomes(moved) == scene.only_who_may()


@pytest.mark.requirement("ENV-2")
async def test_only_who_may_deploy_there_edits_what_is_there_for_an_edit_deploys(scene: Scene) -> None:
    async def edited(client: Cluster, kind: Kind, spec: dict[str, Any]) -> str | None:
        name = await scene.stored(kind, spec)
        edit = {"values": {"package": "theirs"}} if kind is INSTALLATION else {"remote": {"url": "https://mallory.invalid/mcp"}}
        return await refusal(client.patch(kind_resource(kind), name, {"spec": edit}, scene.tenant if kind.namespaced else None))

    assert await scene.outcomes(edited) == scene.only_who_may()


@pytest.mark.requirement("ENV-2")
async def test_everybody_labels_what_is_in_a_restricted_environment_and_moves_it_out(scene: Scene) -> None:
    async def labelled(client: Cluster, kind: Kind, spec: dict[str, Any]) -> str | None:
        name = await scene.stored(kind, spec)
        marks = {"metadata": {"labels": {"a": "b"}, "annotations": {names.RESTARTED_AT: "now"}}}
        return await refusal(client.patch(kind_resource(kind), name, marks, scene.tenant if kind.namespaced else None))

    async def moved_out(client: Cluster, kind: Kind, spec: dict[str, Any]) -> str | None:
        name = await scene.stored(kind, spec)
        out = {**scene.named(scene.open), **({} if kind is INSTALLATION else {"allowedEnvironments": None})}
        return await refusal(client.patch(kind_resource(kind), name, {"spec": out}, scene.tenant if kind.namespaced else None))

    for attempt in (labelled, moved_out):
        assert await scene.outcomes(attempt) == scene.everybody()


@pytest.mark.requirement("ENV-2", "OPS-1")
async def test_gitops_without_the_right_applies_the_same_manifests_again_and_status_is_written(scene: Scene) -> None:
    for kind, spec in scene.ways().values():
        resource, body = kind_resource(kind), scene.object(kind, spec)
        namespace = scene.tenant if kind.namespaced else None
        stored = await scene.admin.apply(resource, body)
        again = await scene.people["outsider"].apply(resource, body)
        assert again["spec"] == stored["spec"]
        status = {"status": {"observedGeneration": 1, "conditions": []}}
        written = await scene.people["outsider"].patch(resource, body["metadata"]["name"], status, namespace, subresource="status")
        assert written["status"]["observedGeneration"] == 1


@pytest.mark.requirement("ENV-2")
async def test_a_namespace_that_is_no_tenant_is_no_way_in_for_it_may_become_one(scene: Scene) -> None:
    body = scene.object(INSTALLATION, scene.named(scene.restricted))
    body["metadata"]["namespace"] = "default"

    assert await refused_with(scene.people["outsider"].create(kind_resource(INSTALLATION), body, dry_run=True), VERB)


@pytest.mark.requirement("ENV-2")
async def test_what_is_being_deleted_is_no_way_in_and_its_finalizer_comes_off(scene: Scene) -> None:
    outsider = scene.people["outsider"]
    for kind in (REGISTRY_ENTRY, INSTALLATION):
        resource, body = kind_resource(kind), scene.object(kind, scene.named(scene.open))
        body["metadata"]["finalizers"] = ["example.org/theirs"]
        name, namespace = body["metadata"]["name"], scene.tenant if kind.namespaced else None
        await outsider.create(resource, body)
        await outsider.delete(resource, name, namespace)
        assert await refused_with(outsider.patch(resource, name, {"spec": scene.named(scene.restricted)}, namespace), VERB)
        await outsider.patch(resource, name, {"metadata": {"finalizers": None}}, namespace)


@pytest.mark.requirement("ENV-2")
async def test_who_may_not_deploy_there_is_free_elsewhere_and_where_no_restricted_one_is_the_default(scene: Scene) -> None:
    outsider = scene.people["outsider"]
    for kind, spec in ((REGISTRY_ENTRY, scene.named(scene.open)), (INSTALLATION, scene.named(scene.open)), (INSTALLATION, {})):
        assert await is_granted(outsider.create(kind_resource(kind), scene.object(kind, spec)))

    await scene.admin.patch(kind_resource(ENVIRONMENT), scene.restricted, {"spec": {"default": False}})
    unnamed = scene.object(REGISTRY_ENTRY, {})

    await until(lambda: is_granted(outsider.create(kind_resource(REGISTRY_ENTRY), unnamed, dry_run=True)))


@pytest.mark.requirement("ENV-2")
@pytest.mark.parametrize("person", ["robot", "administrator"])
async def test_who_writes_environments_needs_the_right_to_restrict_one_to_lift_it_and_to_make_it_the_default(
    scene: Scene, person: str
) -> None:
    resource, client = kind_resource(ENVIRONMENT), scene.people[person]
    spec = {"title": "X", "egress": {"mode": "DenyAll"}}

    async def writes(name: str, **spec: Any) -> bool:
        return await is_granted(client.apply(resource, {"metadata": {"name": name}, "spec": spec}, dry_run=True))

    async def deletes(**more: Any) -> bool:
        name = f"{scene.mark}-{secrets.token_hex(4)}"
        await scene.admin.create(resource, {"metadata": {"name": name}, "spec": {**spec, **more}})
        try:
            return await is_granted(client.delete(resource, name))
        finally:
            with suppress(NotFound):
                await scene.admin.delete(resource, name)

    assert [
        await writes(f"{scene.mark}-new", **spec, restricted=True),
        await writes(scene.open, restricted=True),
        await writes(scene.restricted, restricted=False),
        await writes(scene.restricted, default=False),
        await deletes(restricted=True),
    ] == [MAY[person]] * 5
    assert await writes(scene.restricted, title="Y", egress={"mode": "AllowAll"})
    assert await writes(scene.open, default=True)
    assert await writes(f"{scene.mark}-new", **spec)
    assert await deletes()


@pytest.mark.requirement("ENV-2")
async def test_the_verb_on_one_environment_is_none_on_another(scene: Scene) -> None:
    """Outsider and deployer have it on one each."""
    await scene.admin.patch(kind_resource(ENVIRONMENT), scene.open, {"spec": {"restricted": True}})
    await until(lambda: refused_with(assign(scene, "deployer", scene.open), f"environments.wharfinger.dev/{scene.open}"))

    assert await is_granted(assign(scene, "outsider", scene.open))
    assert await is_granted(assign(scene, "deployer", scene.restricted))
    assert not await is_granted(assign(scene, "outsider", scene.restricted))


def assign(scene: Scene, person: str, environment: str) -> Awaitable[Object]:
    return scene.people[person].create(kind_resource(REGISTRY_ENTRY), scene.object(REGISTRY_ENTRY, scene.named(environment)), dry_run=True)
