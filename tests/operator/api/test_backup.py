"""Everything is lost, and restored from a backup into namespaces that are new: in any order, while the operator runs."""

import base64
import random
from functools import partial
from typing import Any

import pytest

from announcing_server import AnnouncingServer
from backup import backup, lose_everything, restore
from operator_platform import Platform, until
from recording_server import Http
from remote_installation import condition, install, offered, stored, tool, url_of
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import SECRET, Object, Scope
from wharfinger_crds import names
from wharfinger_crds.connection import read_connection
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, GRANT, INSTALLATION, REGISTRY_ENTRY, TOKEN, Kind

SECONDS = 60.0
HASH = "sha256:" + "0" * 64
REPORTED = (ENVIRONMENT, REGISTRY_ENTRY, INSTALLATION, GATEWAY, TOKEN)
Said = dict[tuple[str, str], list[tuple[str, str, str, str]]]


async def fill(platform: Platform, url: str) -> None:
    """Make one of each kind, and a Secret that an installation reads."""
    spaces, cluster = platform.spaces, platform.cluster
    await install(platform, url)
    hosted = {"command": ["mcp-server-time"], "transport": "Stdio", "env": [{"name": "KEY", "value": "${fields.key}"}]}
    fields = [{"name": "key", "type": "String", "secret": True, "required": True}]
    ref = {"environmentRef": {"name": f"env-{platform.mark}"}}
    await platform.apply(
        REGISTRY_ENTRY, f"time-{platform.mark}", {"title": "X", "type": "SelfHosted", "selfHosted": hosted, "fields": fields, **ref}
    )
    secret = {"name": "key", "namespace": spaces.tenant, "labels": {names.USABLE: "true"}}
    await cluster.create(SECRET, {"metadata": secret, "stringData": {"key": "planted"}})
    source = {"field": "key", "secretKeyRef": {"name": "key", "key": "key"}}
    owner = {"owner": {"user": "okta:alice"}}
    await platform.apply(INSTALLATION, "time", {"entryRef": {"name": f"time-{platform.mark}"}, "valuesFrom": [source], **owner})
    tools = [{"installationRef": {"name": "remote"}, "prefix": "x", "include": ["a"]}]
    doors = {"visibility": {"scope": "Team", "teams": ["engineering"]}, "authentication": {"bearerTokens": {"enabled": True}}}
    await platform.apply(GATEWAY, "tools", {"title": "X", "tools": tools, **doors})
    token = {"subject": {"team": "engineering"}, "tokenHash": HASH, "gateways": [f"{spaces.tenant}.tools"]}
    await cluster.create(kind_resource(TOKEN), {"metadata": {"name": "bot", "namespace": spaces.system}, "spec": token})
    grant = {
        "user": "okta:alice",
        "client": {"name": "Editor", "digest": "0" * 32, "redirectHost": "editor.example"},
        "gateway": f"{spaces.tenant}.tools",
        "subject": {
            "identityProvider": "okta",
            "issuer": "https://okta.example",
            "subject": "alice",
            "authenticatedAt": "2026-01-01T00:00:00Z",
        },
        "expiresAt": "2036-01-01T00:00:00Z",
        "seal": "0" * 48,
    }
    await cluster.create(kind_resource(GRANT), {"metadata": {"name": "alice", "namespace": spaces.system}, "spec": grant})


async def objects(platform: Platform, kind: Kind) -> list[Object]:
    if not kind.namespaced:
        named = [name for (_, name), found in platform.clusterwide.items() if found is kind]
        return [o for o in await platform.cluster.list(kind_resource(kind)) if o["metadata"]["name"] in named]
    places = (platform.spaces.tenant, platform.spaces.system)
    return [o for place in places for o in await platform.cluster.list(kind_resource(kind), Scope(place))]


async def said(platform: Platform) -> Said:
    """Return all conditions of all objects, without their times."""
    return {
        (kind.kind, o["metadata"]["name"]): [
            (c["type"], c["status"], c["reason"], c["message"]) for c in o.get("status", {}).get("conditions", ())
        ]
        for kind in REPORTED
        for o in await objects(platform, kind)
    }


async def connections(platform: Platform) -> dict[str, dict[str, Any]]:
    """Return what gateways are told, by installation."""
    labels = f"{names.MANAGED_BY}={names.MANAGER},{names.PART}=connection"
    found = await platform.cluster.list(SECRET, Scope(platform.spaces.system, labels=labels))
    documents = [read_connection(base64.b64decode(o["data"][names.CONNECTION_KEY])) for o in found]
    return {d.name: d.model_dump() | {"headers": [(h.name, bool(h.value)) for h in d.headers]} for d in documents}


def without_uid(told: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the connections without what belongs to one life of an installation: its uid, and the bridge's token made from it."""
    return {name: {key: value for key, value in document.items() if key != "uid"} for name, document in told.items()}


@pytest.mark.requirement("OPS-9")
@pytest.mark.parametrize("children", [False, True], ids=["what people wrote", "everything"])
async def test_a_backup_restored_into_an_empty_cluster_comes_up_with_its_grants_tokens_and_tools(
    children: bool, platform: Platform, https: Http
) -> None:
    server = AnnouncingServer([tool("a"), tool("b")])
    async with platform.leading() as first:
        await fill(platform, await url_of(https, server))
        await condition(platform, "Ready", "True", "Succeeded")
        await until(partial(_has_children, platform), SECONDS)
        await first.settled()
        before, told, definitions = await said(platform), await connections(platform), await stored(platform)
        specs = {kind.kind: [o["spec"] for o in await objects(platform, kind)] for kind in (*REPORTED, GRANT)}
        uids = {o["metadata"]["uid"] for kind in (*REPORTED, GRANT) for o in await objects(platform, kind)}
        assert dict.fromkeys(
            c[1] for found in (before["McpToken", "bot"], before["McpGateway", "tools"]) for c in found if c[0] == "Ready"
        ) == {"True": None}
    kept = await backup(platform, children=children)
    await lose_everything(platform)

    await restore(platform, kept.first)
    shuffled = list(kept.rest)
    random.Random(int(children)).shuffle(shuffled)  # noqa: S311 - any order, and the same again
    async with platform.leading() as second:
        await restore(platform, shuffled)

        async def is_as_before() -> bool:
            now = await connections(platform)
            return await said(platform) == before and without_uid(now) == without_uid(told) and await _has_children(platform)

        await until(is_as_before, SECONDS)
        await second.settled()
        assert await stored(platform) == definitions
        assert await offered(platform) == ["a", "b"]
    async with platform.leading() as third:
        await third.settled()
        assert await third.writes() == 0

    assert {kind.kind: [o["spec"] for o in await objects(platform, kind)] for kind in (*REPORTED, GRANT)} == specs
    now = [o for kind in (*REPORTED, GRANT) for o in await objects(platform, kind)]
    assert not uids & {o["metadata"]["uid"] for o in now}
    living = {o["metadata"]["name"]: o["metadata"]["uid"] for o in now if o["kind"] == "McpInstallation"}
    assert {name: document["uid"] for name, document in (await connections(platform)).items()} == living


async def _has_children(platform: Platform) -> bool:
    found = [o["kind"] for o in await platform.children()]
    return sorted(found) == sorted(
        ["ConfigMap", "Deployment", "NetworkPolicy", "Secret", "Secret", "Secret", "Secret", "Service", "ServiceAccount"]
    )
