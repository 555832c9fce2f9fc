"""Whatever somebody does to a child, it is as it was within seconds."""

import copy
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from operator_platform import Platform, until
from operator_process import OperatorProcess
from wharfinger_cluster.errors import Conflict, NotFound
from wharfinger_cluster.resource import DEPLOYMENT, NETWORK_POLICY, SECRET, SERVICE, SERVICE_ACCOUNT, Object, Resource
from wharfinger_crds import names
from wharfinger_operator.execute import RESOURCES

SECONDS = 5.0
CHILDREN = 7
Edit = Callable[[dict[str, Any]], object]


def pod(found: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def sidecar(found: dict[str, Any]) -> None:
    pod(found)["containers"].append({"name": "extra", "image": "evil:1"})


def host_path(found: dict[str, Any]) -> None:
    pod(found)["volumes"].append({"name": "host", "hostPath": {"path": "/"}})


def privileged(found: dict[str, Any]) -> None:
    pod(found)["containers"][0]["securityContext"] = {"privileged": True}


def other_template_label(found: dict[str, Any]) -> None:
    found["spec"]["template"]["metadata"]["labels"]["extra"] = "x"


def no_labels(found: dict[str, Any]) -> None:
    found["metadata"]["labels"] = {}


def labels_of_another(found: dict[str, Any]) -> None:
    found["metadata"]["labels"][names.INSTALLATION_NAME] = "other"


EDITS: list[tuple[Resource, str, Edit]] = [
    (DEPLOYMENT, "no replicas", lambda d: d["spec"].update(replicas=0)),
    (DEPLOYMENT, "another image", lambda d: pod(d)["containers"][0].update(image="evil:1")),
    (DEPLOYMENT, "another bridge", lambda d: pod(d)["initContainers"][0].update(image="evil:1")),
    (DEPLOYMENT, "host network", lambda d: pod(d).update(hostNetwork=True)),
    (DEPLOYMENT, "host PID", lambda d: pod(d).update(hostPID=True)),
    (DEPLOYMENT, "privileged", privileged),
    (DEPLOYMENT, "a sidecar", sidecar),
    (DEPLOYMENT, "a host path", host_path),
    (DEPLOYMENT, "a service-account token", lambda d: pod(d).update(automountServiceAccountToken=True)),
    (DEPLOYMENT, "another service account", lambda d: pod(d).update(serviceAccountName="default", serviceAccount="default")),
    (DEPLOYMENT, "a command", lambda d: pod(d)["containers"][0].update(command=["sh"])),
    (DEPLOYMENT, "paused", lambda d: d["spec"].update(paused=True)),
    (DEPLOYMENT, "a label of the template", other_template_label),
    (DEPLOYMENT, "no labels", no_labels),
    (DEPLOYMENT, "labels of another", labels_of_another),
    (SERVICE, "another selector", lambda s: s["spec"].update(selector={"app": "evil"})),
    (SERVICE, "more in the selector", lambda s: s["spec"]["selector"].update(app="evil")),
    (SERVICE, "external address", lambda s: s["spec"].update(externalIPs=["203.0.113.7"])),
    (SERVICE, "another port", lambda s: s["spec"]["ports"][0].update(targetPort=22)),
    (SERVICE, "no labels", no_labels),
    (NETWORK_POLICY, "open to the world", lambda p: p["spec"].update(egress=[{}])),
    (NETWORK_POLICY, "open for everyone", lambda p: p["spec"].update(ingress=[{}])),
    (NETWORK_POLICY, "for other pods", lambda p: p["spec"].update(podSelector={"matchLabels": {"app": "none"}})),
    (NETWORK_POLICY, "one direction", lambda p: p["spec"].update(policyTypes=["Ingress"])),
    (NETWORK_POLICY, "no labels", no_labels),
    (SERVICE_ACCOUNT, "a token", lambda a: a.update(automountServiceAccountToken=True)),
    (SERVICE_ACCOUNT, "no labels", no_labels),
    (SECRET, "other data", lambda s: s.update(data={"token": "ZXZpbA=="})),
    (SECRET, "more data", lambda s: s["data"].update(extra="ZXZpbA==")),
    (SECRET, "no labels", no_labels),
]


async def installed(platform: Platform) -> list[Object]:
    await platform.install()

    async def children() -> list[Object]:
        found = await platform.children()
        return found if len(found) == CHILDREN else []

    found: list[Object] = await until(children)
    return found


def contents(found: Object) -> Object:
    """What of an object is not the API server's: of its metadata, the labels."""
    kept = {key: value for key, value in found.items() if key not in {"metadata", "status"}}
    return {**kept, "labels": found["metadata"].get("labels", {})}


def is_as(platform: Platform, resource: Resource, before: Object) -> Callable[[], Awaitable[bool]]:
    meta = before["metadata"]

    async def condition() -> bool:
        try:
            return contents(await platform.cluster.get(resource, meta["name"], meta["namespace"])) == contents(before)
        except NotFound:
            return False

    return condition


async def is_edited(platform: Platform, resource: Resource, before: Object, edit: Edit) -> bool:
    """Edit a child; the Deployment controller may be faster, and then the edit is made again."""
    edited = await platform.cluster.get(resource, before["metadata"]["name"], before["metadata"]["namespace"])
    edit(edited)
    try:
        await platform.cluster.replace(resource, edited)
    except Conflict:
        return False
    return True


@pytest.mark.requirement("ORC-9")
async def test_every_edit_of_a_child_is_undone_within_seconds(platform: Platform, operator: OperatorProcess) -> None:
    children = await installed(platform)
    not_undone = []
    for resource, what, edit in EDITS:
        before = next(child for child in children if child["kind"] == resource.kind)
        await until(partial(is_edited, platform, resource, before, edit))
        try:
            await until(is_as(platform, resource, before), SECONDS)
        except TimeoutError:
            not_undone.append(f"{resource.kind}: {what}")

    assert not_undone == []


@pytest.mark.requirement("ORC-9")
async def test_every_child_that_is_deleted_comes_back_within_seconds(platform: Platform, operator: OperatorProcess) -> None:
    for child in await installed(platform):
        resource, meta = RESOURCES[child["kind"]], child["metadata"]
        await platform.cluster.delete(resource, meta["name"], meta["namespace"])

        async def is_back(resource: Resource = resource, meta: Object = meta) -> bool:
            try:
                return bool((await platform.cluster.get(resource, meta["name"], meta["namespace"]))["metadata"]["uid"] != meta["uid"])
            except NotFound:
                return False

        await until(is_back, SECONDS)


@pytest.mark.requirement("ORC-9")
async def test_the_labels_of_a_connection_come_back(platform: Platform, operator: OperatorProcess) -> None:
    connection = next(child for child in await installed(platform) if child["metadata"]["namespace"] == platform.spaces.system)
    stripped = copy.deepcopy(connection)
    no_labels(stripped)
    await platform.cluster.replace(SECRET, stripped)

    await until(is_as(platform, SECRET, connection), SECONDS)


@pytest.mark.requirement("ORC-9")
async def test_what_only_bears_the_labels_of_an_installation_is_left_alone(platform: Platform, operator: OperatorProcess) -> None:
    children = await installed(platform)
    labels = children[0]["metadata"]["labels"]
    theirs = {"metadata": {"name": "mcp-theirs-aaaaaaaaaa", "namespace": platform.spaces.servers, "labels": labels}}
    await platform.cluster.create(SERVICE_ACCOUNT, theirs)
    service = next(child for child in children if child["kind"] == "Service")
    await platform.cluster.delete(SERVICE, service["metadata"]["name"], platform.spaces.servers)

    async def is_back() -> bool:
        return len([child for child in await platform.children() if child["kind"] == "Service"]) == 1

    await until(is_back, SECONDS)
    assert await platform.cluster.get(SERVICE_ACCOUNT, "mcp-theirs-aaaaaaaaaa", platform.spaces.servers)
