"""Children that are there and of which the operator has no copy: before it writes one, it asks whose it is."""

from functools import partial
from typing import Any

from aiohttp import web

from faulty_proxy import FaultyProxy, lists, watches
from operator_platform import CHILDREN, Platform, until
from operator_process import OperatorProcess
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import Object, Resource, Scope
from wharfinger_crds import names
from wharfinger_crds.kinds import INSTALLATION

MINE = f"{names.MANAGED_BY}={names.MANAGER}"


async def found_unseen(platform: Platform, proxy: FaultyProxy, operator: OperatorProcess, policy: Resource) -> None:
    """Delete installation `time`, put it and its children back while no copy of them can be kept true, and wait until the operator has
    asked for each; `policy` is a kind of child beside those that there always are."""
    kinds = (*CHILDREN, policy)
    children = [(kind, found) for kind in kinds for found in await _listed(platform, kind) if _is_of_time(platform, found)]
    installation = await platform.cluster.get(kind_resource(INSTALLATION), "time", platform.spaces.tenant)
    await platform.cluster.delete(kind_resource(INSTALLATION), "time", platform.spaces.tenant)
    await until(partial(_are_gone, platform, children))
    await operator.settled()

    def is_copied(request: web.Request) -> bool:
        namespace, _, plural = request.path.rpartition("/")
        return namespace.endswith(f"/namespaces/{platform.spaces.servers}") and plural in {kind.plural for kind in kinds}

    proxy.answer(410, lambda request: is_copied(request) and watches(request), times=float("inf"))
    proxy.answer(503, lambda request: is_copied(request) and lists(request), times=float("inf"))
    seen = len(proxy.seen)
    proxy.cut_watches(is_copied)

    async def are_unseen() -> bool:
        paths = [path for _, path in proxy.seen[seen:] if "limit=" in path]
        return all(any(f"/namespaces/{platform.spaces.servers}/{kind.plural}?" in path for path in paths) for kind in kinds)

    await until(are_unseen)
    for kind, child in children:
        await platform.cluster.create(kind, _anew(child))
    await platform.cluster.create(kind_resource(INSTALLATION), _anew(installation))

    async def are_asked_for() -> bool:
        asked = {path for method, path, _ in proxy.answered if method == "GET"}
        return all(any(path.endswith(_place(kind, child)) for path in asked) for kind, child in children)

    await until(are_asked_for)
    proxy.recover()

    async def are_seen() -> bool:
        return proxy.open_watches_of(is_copied) >= len(kinds)

    await until(are_seen)


def _place(kind: Resource, found: Object) -> str:
    return f"/namespaces/{found['metadata']['namespace']}/{kind.plural}/{found['metadata']['name']}"


def _is_of_time(platform: Platform, found: Object) -> bool:
    labels = found["metadata"].get("labels", {})
    return bool((labels.get(names.INSTALLATION_NAMESPACE), labels.get(names.INSTALLATION_NAME)) == (platform.spaces.tenant, "time"))


async def _listed(platform: Platform, kind: Resource) -> tuple[Object, ...]:
    return await platform.cluster.list(kind, Scope(platform.spaces.servers, labels=MINE))


async def _are_gone(platform: Platform, children: list[tuple[Resource, Object]]) -> bool:
    there = {o["metadata"]["uid"] for kind in {kind for kind, _ in children} for o in await _listed(platform, kind)}
    return not there & {child["metadata"]["uid"] for _, child in children}


def _anew(found: Object) -> dict[str, Any]:
    metadata = {key: found["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in found["metadata"]}
    return {**{key: value for key, value in found.items() if key != "status"}, "metadata": metadata}
