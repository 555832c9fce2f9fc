"""Who may not see an entry gets nothing of it, whatever he may write."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from chart import applied
from impersonation import as_user
from operator_platform import Platform, until
from operator_process import OperatorProcess
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION, REGISTRY_ENTRY, Kind

RBAC = "rbac.authorization.k8s.io"
OWNERS = ({"team": "engineering"}, {"user": "okta:alice"})


@pytest.fixture
async def alice(platform: Platform, admin: Login) -> AsyncIterator[Cluster]:
    """A member of team engineering, who may do everything with installations in the tenant namespace."""
    user = f"alice-{platform.mark}"
    meta = {"name": user, "namespace": platform.spaces.tenant}
    rule = {"apiGroups": [names.GROUP], "resources": [INSTALLATION.plural], "verbs": ["*"]}
    binding = {
        "subjects": [{"kind": "User", "name": user, "apiGroup": RBAC}],
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": user},
    }
    async with (
        applied(
            platform.cluster,
            [{"kind": "Role", "metadata": meta, "rules": [rule]}, {"kind": "RoleBinding", "metadata": meta, **binding}],
        ),
        as_user(admin, user) as client,
    ):
        yield client


def of_engineering(platform: Platform, name: str, entry: str, owner: dict[str, str]) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": platform.spaces.tenant}, "spec": {"entryRef": {"name": entry}, "owner": owner}}


async def show_to(platform: Platform, team: str) -> None:
    patch = {"spec": {"visibility": {"scope": "Team", "teams": [team]}}}
    await platform.cluster.patch(kind_resource(REGISTRY_ENTRY), f"entry-{platform.mark}", patch)


@pytest.mark.requirement("REG-7")
async def test_an_entry_that_the_owner_may_not_see_is_like_one_that_is_not_there(
    platform: Platform, operator: OperatorProcess, alice: Cluster
) -> None:
    await platform.environment()
    hidden, missing = f"entry-{platform.mark}", f"none-{platform.mark}"
    spec = {
        "title": "X",
        "type": "SelfHosted",
        "selfHosted": {"command": ["x"], "transport": "Stdio"},
        "environmentRef": {"name": f"env-{platform.mark}"},
    }
    await platform.apply(REGISTRY_ENTRY, hidden, {**spec, "visibility": {"scope": "Team", "teams": ["sales"]}})
    for i, owner in enumerate(OWNERS):
        for entry in (hidden, missing):
            await alice.create(kind_resource(INSTALLATION), of_engineering(platform, f"{entry}-{i}", entry, owner))

    statuses = [await settled(platform, f"{entry}-{i}", entry) for i in range(len(OWNERS)) for entry in (hidden, missing)]

    assert statuses[0] == statuses[1] == statuses[2] == statuses[3]
    assert "there is no McpRegistryEntry ENTRY" in str(statuses[0])
    assert await platform.children() == []


async def settled(platform: Platform, name: str, entry: str) -> dict[str, Any]:
    """The status of an installation, without times, and without the name of its entry."""
    await until(lambda: platform.ready(INSTALLATION, name))
    found = await platform.get(INSTALLATION, name) or {}
    for condition in found["status"]["conditions"]:
        condition["message"] = condition["message"].replace(entry, "ENTRY")
        del condition["lastTransitionTime"]
    status: dict[str, Any] = found["status"]
    return status


@pytest.mark.requirement("REG-7")
async def test_a_server_goes_when_its_owner_may_not_see_the_entry_any_more_and_comes_back(
    platform: Platform, operator: OperatorProcess, alice: Cluster
) -> None:
    await platform.install()
    await until(platform.children)

    await show_to(platform, "sales")

    async def is_gone() -> bool:
        return await platform.children() == [] and (await platform.ready(INSTALLATION, "time")).get("reason") == "EntryNotFound"

    await until(is_gone)
    patch = {"spec": {"suspend": False}, "metadata": {"annotations": {names.RESTARTED_AT: "now"}}}
    await alice.patch(kind_resource(INSTALLATION), "time", patch, platform.spaces.tenant)
    await show_to(platform, "engineering")
    await until(platform.children)


@pytest.mark.requirement("REG-10")
async def test_an_entry_and_its_environment_say_by_whom_they_are_used(platform: Platform, operator: OperatorProcess) -> None:
    await platform.install("b")
    await platform.apply(INSTALLATION, "a", {"entryRef": {"name": f"entry-{platform.mark}"}, "owner": {"team": "engineering"}})
    expected = [f"{platform.spaces.tenant}/a", f"{platform.spaces.tenant}/b"]

    async def says(kind: Kind, name: str, users: list[str]) -> bool:
        status = (await platform.get(kind, name) or {}).get("status", {})
        return (status.get("installations"), status.get("usedBy")) == (len(users), users)

    await until(lambda: says(REGISTRY_ENTRY, f"entry-{platform.mark}", expected))
    await until(lambda: says(ENVIRONMENT, f"env-{platform.mark}", expected))
    await platform.cluster.delete(kind_resource(INSTALLATION), "a", platform.spaces.tenant)
    await until(lambda: says(REGISTRY_ENTRY, f"entry-{platform.mark}", expected[1:]))
    await until(lambda: says(ENVIRONMENT, f"env-{platform.mark}", expected[1:]))
