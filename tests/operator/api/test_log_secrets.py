"""No log shows a secret value that its pod runs with, whatever has become of the Secret that it is from.

No node takes the pods: what their containers have printed is the proxy's answer.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from aiohttp import web

from faulty_proxy import FaultyProxy
from operator_platform import Platform, until
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.resource import POD, SECRET, Object, Scope
from wharfinger_crds import names
from wharfinger_crds.kinds import INSTALLATION, REGISTRY_ENTRY
from wharfinger_operator.gather_logs import Gathered, Tail, gather
from wharfinger_operator.plan.rollout import AT_ONCE
from wharfinger_operator.redact import redacted

OLD, NEW = "planted-0123456789", "planted-9876543210"
PRINTED = f"asked with {OLD} by {{'token': '{OLD}'}}"
FIELD = {"name": "token", "type": "String", "secret": True, "required": True, "pattern": "^planted-"}
PLACES: dict[str, dict[str, Any]] = {
    "env": {"selfHosted": {"env": [{"name": "AUTHORIZATION", "value": "Bearer ${fields.token}"}]}},
    "file": {"selfHosted": {"files": [{"path": "/etc/server/config.json", "value": '{"token": "${fields.token}"}'}]}},
    "header": {"headers": [{"name": "x-key", "value": "key:${fields.token}"}]},
}


def is_log(request: web.Request) -> bool:
    return request.path.endswith("/log")


@pytest.fixture
async def printed(proxy: FaultyProxy) -> AsyncIterator[Cluster]:
    """A client that finds every container to have printed one line with the first value."""
    proxy.answer(200, is_log, times=float("inf"), body=f"{PRINTED}\n".encode())
    async with Cluster(Login(server=proxy.url)) as client:
        yield client


def secret(platform: Platform, **data: str) -> Object:
    metadata = {"name": "server-token", "namespace": platform.spaces.tenant, "labels": {names.USABLE: "true"}}
    return {"metadata": metadata, "stringData": data}


async def entry(platform: Platform, place: str, args: tuple[str, ...] = ()) -> None:
    await platform.environment()
    given = PLACES[place]
    hosted = {"image": "registry.acme.dev/jira:1", "command": ["jira"], "args": list(args), "transport": "StreamableHTTP"}
    spec = {"title": "X", "type": "SelfHosted", "fields": [FIELD], "environmentRef": {"name": f"env-{platform.mark}"}}
    await platform.apply(
        REGISTRY_ENTRY, f"entry-{platform.mark}", {**spec, **given, "selfHosted": {**hosted, **given.get("selfHosted", {})}}
    )


async def install(platform: Platform, name: str) -> Object:
    """Install it, and return its pod."""
    source = {"field": "token", "secretKeyRef": {"name": "server-token", "key": "token"}}
    spec = {"entryRef": {"name": f"entry-{platform.mark}"}, "owner": {"team": "engineering"}, "valuesFrom": [source]}
    await platform.apply(INSTALLATION, name, spec)
    found: tuple[Object, ...] = await until(partial(pods, platform, name))
    return found[0]


async def pods(platform: Platform, name: str) -> tuple[Object, ...]:
    labels = f"{names.INSTALLATION_ID}={names.installation_id(platform.spaces.tenant, name)}"
    return await platform.cluster.list(POD, Scope(platform.spaces.servers, labels=labels))


async def uids(platform: Platform, name: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in await pods(platform, name)}


async def be_ready(platform: Platform, pod: Object) -> None:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await platform.cluster.patch(POD, pod["metadata"]["name"], {"status": status}, platform.spaces.servers, subresource="status")


async def log(platform: Platform, client: Cluster, name: str) -> str:
    found = await gather(client, platform.spaces.system, platform.spaces.tenant, name, Tail(10, previous=False))
    assert isinstance(found, Gathered)
    return redacted(found.text, found.secrets)


async def says(platform: Platform, name: str, kind: str, reason: str) -> bool:
    found = await platform.get(INSTALLATION, name) or {}
    return any((c["type"], c["reason"]) == (kind, reason) for c in found["status"].get("conditions", ()))


@pytest.mark.requirement("INS-9")
@pytest.mark.parametrize("place", PLACES)
async def test_the_value_that_a_server_goes_on_with_is_not_shown_after_its_secret_is_gone(
    place: str, platform: Platform, printed: Cluster
) -> None:
    async with platform.leading():
        await entry(platform, place)
        await platform.cluster.create(SECRET, secret(platform, token=OLD))
        await install(platform, "jira")
        await platform.cluster.delete(SECRET, "server-token", platform.spaces.tenant)
        await until(partial(says, platform, "jira", "ValuesResolved", "SecretMissing"))

        assert await log(platform, printed, "jira") == "asked with [redacted] by {'token': '[redacted]'}\n"

        await platform.cluster.create(SECRET, secret(platform, token="worthless"))
        await until(partial(says, platform, "jira", "ValuesResolved", "FieldInvalid"))

        assert await log(platform, printed, "jira") == "asked with [redacted] by {'token': '[redacted]'}\n"


@pytest.mark.requirement("INS-9", "REG-9")
async def test_the_value_of_a_server_whose_turn_has_not_come_is_not_shown(platform: Platform, printed: Cluster) -> None:
    async with platform.leading():
        await entry(platform, "env")
        await platform.cluster.create(SECRET, secret(platform, token=OLD))
        pod = await install(platform, "jira")
        # Those that are never ready roll for ever.
        for number in range(AT_ONCE):
            await install(platform, f"rolling-{number}")
        await be_ready(platform, pod)
        await until(partial(says, platform, "jira", "WorkloadAvailable", "Succeeded"))

        await entry(platform, "env", ("--changed",))
        await until(partial(says, platform, "jira", "WorkloadAvailable", "Progressing"))
        await platform.cluster.apply(SECRET, secret(platform, token=NEW))
        await platform.looked_at_again("rolling-0")

        assert await uids(platform, "jira") == {pod["metadata"]["uid"]}
        assert await log(platform, printed, "jira") == "asked with [redacted] by {'token': '[redacted]'}\n"


@pytest.mark.requirement("INS-9")
async def test_the_log_of_a_pod_that_runs_with_values_of_before_is_withheld(platform: Platform, printed: Cluster) -> None:
    async with platform.leading():
        await entry(platform, "env")
        await platform.cluster.create(SECRET, secret(platform, token=OLD))
        pod = await install(platform, "jira")
        await be_ready(platform, pod)
        await platform.cluster.apply(SECRET, secret(platform, token=NEW))

        async def is_rotated() -> bool:
            return len(await pods(platform, "jira")) == 2

        await until(is_rotated)
        said = {line.partition("] ")[0]: line for line in (await log(platform, printed, "jira")).splitlines()}
        assert "withheld" in said.pop(f"[{pod['metadata']['name']}")
        assert "withheld" not in "".join(said.values())


@pytest.mark.requirement("INS-9")
async def test_a_log_is_withheld_where_nobody_says_whose_values_are_known(platform: Platform, printed: Cluster) -> None:
    async with platform.leading():
        await entry(platform, "env")
        await platform.cluster.create(SECRET, secret(platform, token=OLD))
        await install(platform, "jira")
    name = f"{names.server_name(platform.spaces.tenant, 'jira')}-env"

    await platform.cluster.patch(SECRET, name, {"data": {names.INPUT_HASH_KEY: None}}, platform.spaces.servers)

    assert "withheld" in await log(platform, printed, "jira")
