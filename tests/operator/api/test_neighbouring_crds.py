"""The CRDs of the first version, upgraded in place under the objects that were stored with them, and the way back."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from operator_platform import Platform, until
from served_crds import CRDS
from wharfinger_cluster.errors import ClusterError
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import CUSTOM_RESOURCE_DEFINITION, SECRET, Object
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION, KINDS, REGISTRY_ENTRY, Kind

EARLIER = Path(__file__).parents[2] / "crds/testdata/earlier"
ADDED: dict[Kind, Object] = {
    ENVIRONMENT: {"usedBy": ["a/b"]},
    INSTALLATION: {"tools": {"count": 0, "hash": "x", "pinnedHash": "x"}},
    REGISTRY_ENTRY: {"usedBy": ["a/b"]},
}
"""Of each kind whose CRD changed since the first version, a status that only today's has."""
ACCEPTED = "sha256:" + "a" * 64
SECONDS = 40.0
Serve = Callable[[], Awaitable[None]]
pytestmark = pytest.mark.requirement("OPS-9")


async def serve(platform: Platform, folder: Path, prefix: str, *, today: bool) -> None:
    """Apply the CRDs in place, and return when the API server goes by them, as the objects of `platform.install` show."""
    for kind in ADDED:
        crd = yaml.safe_load((folder / f"{prefix}{kind.plural}.yaml").read_text())
        await platform.cluster.apply(CUSTOM_RESOURCE_DEFINITION, crd)

    async def are_in_force() -> bool:
        return [await _knows(platform, kind) for kind in ADDED] == [today] * len(ADDED)

    await until(are_in_force, SECONDS)


async def _knows(platform: Platform, kind: Kind) -> bool:
    name = {ENVIRONMENT: f"env-{platform.mark}", REGISTRY_ENTRY: f"entry-{platform.mark}", INSTALLATION: "time"}[kind]
    metadata = {"name": name, **({"namespace": platform.spaces.tenant} if kind.namespaced else {})}
    try:
        await platform.cluster.apply(kind_resource(kind), {"metadata": metadata, "status": ADDED[kind]}, subresource="status", dry_run=True)
    except ClusterError:
        return False
    return True


@pytest.fixture
async def upgrade(platform: Platform) -> AsyncIterator[Serve]:
    """There are objects of today; upgrades the CRDs from those of the first version to today's, which there are afterwards in any case."""
    await platform.install()
    today = partial(serve, platform, CRDS, "", today=True)
    try:
        yield today
    finally:
        await today()


async def downgrade(platform: Platform) -> None:
    await serve(platform, EARLIER, "crd-0.1-", today=False)


def documents(platform: Platform) -> list[Object]:
    """Return what the first version stored, in the namespaces of this platform, with its status."""
    text = "\n---\n".join(path.read_text() for path in sorted(EARLIER.glob("objects-0.1*.yaml")))
    spaces = platform.spaces
    renamed = {"mcp-prod": spaces.servers, "wharfinger-system": spaces.system, "team-a": spaces.tenant}
    for old, new in renamed.items():
        text = text.replace(old, new)
    text = re.sub(r"\b(prod|jira)\b(?=})", rf"\1-{platform.mark}", text)
    return [_portable(document) for document in yaml.safe_load_all(re.sub(r"name: (prod|jira),", rf"name: \1-{platform.mark},", text))]


def _portable(document: Object) -> Object:
    kept = {key: value for key, value in document["metadata"].items() if key not in {"uid", "generation", "resourceVersion"}}
    return {**document, "metadata": kept}


def _kind(document: Object) -> Kind:
    return next(kind for kind in KINDS if kind.kind == document["kind"])


async def store(platform: Platform, document: Object) -> Object:
    kind = _kind(document)
    made = await platform.cluster.create(kind_resource(kind), {key: value for key, value in document.items() if key != "status"})
    if not kind.namespaced:
        platform.taken_away_at_the_end(kind, document["metadata"]["name"])
    if "status" in document:
        meta = document["metadata"]
        body = {"status": document["status"]}
        made = await platform.cluster.patch(kind_resource(kind), meta["name"], body, meta.get("namespace"), subresource="status")
    return made


async def read(platform: Platform, document: Object) -> Object:
    meta = document["metadata"]
    return await platform.cluster.get(kind_resource(_kind(document)), meta["name"], meta.get("namespace"))


def _user_part(found: Object) -> tuple[Any, ...]:
    return found["metadata"]["uid"], found["metadata"]["generation"], found["spec"]


def _ready(found: Object) -> Object:
    return next((c for c in found.get("status", {}).get("conditions", ()) if c["type"] == "Ready"), {})


async def test_objects_of_the_first_version_are_read_and_reconciled_after_their_crds_were_upgraded_in_place(
    platform: Platform, upgrade: Serve
) -> None:
    await downgrade(platform)
    secret = {"name": f"jira-{platform.mark}", "namespace": platform.spaces.tenant, "labels": {names.USABLE: "true"}}
    await platform.cluster.create(SECRET, {"metadata": secret, "stringData": {"token": "planted"}})
    before = [await store(platform, document) for document in documents(platform)]
    assert {_kind(found) for found in before} == set(KINDS)
    await upgrade()

    async with platform.leading() as operator:

        async def are_reconciled() -> bool:
            found = [await read(platform, o) for o in before if _kind(o).ready]
            return all(_ready(o) and o["status"]["observedGeneration"] == o["metadata"]["generation"] for o in found)

        await until(are_reconciled, SECONDS)
        await operator.settled()
        after = [await read(platform, o) for o in before]

    assert [_user_part(o) for o in after] == [_user_part(o) for o in before]
    by_kind = {o["kind"]: o for o in after}
    server = names.server_name(platform.spaces.tenant, f"jira-{platform.mark}")
    assert server in {o["metadata"]["name"] for o in await platform.children() if o["kind"] == "Deployment"}
    assert by_kind["McpInstallation"]["status"]["server"]["name"].startswith("jira")
    assert by_kind["McpRegistryEntry"]["status"]["usedBy"] == [f"{platform.spaces.tenant}/jira-{platform.mark}"]


async def test_under_the_crds_of_the_first_version_nothing_is_deleted_rolled_or_lost_but_what_they_do_not_know(
    platform: Platform, upgrade: Serve
) -> None:
    async with platform.leading() as operator:
        found = await platform.get(REGISTRY_ENTRY, f"entry-{platform.mark}")
        assert found is not None
        await platform.apply(
            REGISTRY_ENTRY, f"entry-{platform.mark}", {**found["spec"], "tools": {"pinning": "Report", "accepted": [ACCEPTED]}}
        )
        await until(partial(_is_reported, platform), SECONDS)
        await operator.settled()
        children = _versions(await platform.children())

        await downgrade(platform)
        pruned = await platform.get(REGISTRY_ENTRY, f"entry-{platform.mark}")
        assert pruned is not None
        assert pruned["spec"]["tools"] == {"pinning": "Report"}
        await platform.looked_at_again()

    # Also one that begins with them.
    async with platform.leading() as second:
        await platform.looked_at_again()
        assert await second.writes("deployments") == 0
        after = _versions(await platform.children())
        assert {key: uid for key, uid in after.items() if key[0] != "Service"} == {k: u for k, u in children.items() if k[0] != "Service"}

        await upgrade()
        await platform.install("later")

        async def has_caught_up() -> bool:
            entry = await platform.get(REGISTRY_ENTRY, f"entry-{platform.mark}") or {}
            return bool(entry["status"].get("usedBy") == [f"{platform.spaces.tenant}/{name}" for name in ("later", "time")])

        await until(has_caught_up, SECONDS)
        await second.settled()


async def _is_reported(platform: Platform) -> bool:
    return bool(await platform.ready(INSTALLATION, "time")) and len(await platform.children()) == 7


def _versions(children: list[Object]) -> dict[tuple[str, str], tuple[str, int]]:
    return {(o["kind"], o["metadata"]["name"]): (o["metadata"]["uid"], o["metadata"].get("generation", 0)) for o in children}
