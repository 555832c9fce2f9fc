"""What the operator does to a real API server."""

import signal
from functools import partial

import pytest

from kstatus import kstatus
from operator_platform import Platform, until
from operator_process import OperatorProcess
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import DEPLOYMENT, NETWORK_POLICY, SECRET, SERVICE, Resource
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION, REGISTRY_ENTRY

STDIO_CHILDREN = ["Deployment", "NetworkPolicy", "Secret", "Secret", "Secret", "Service", "ServiceAccount"]


@pytest.mark.requirement("ORC-1", "REG-1")
async def test_an_installation_becomes_a_workload_and_a_connection(platform: Platform, operator: OperatorProcess) -> None:
    await platform.install()

    await until(lambda: _has(platform, STDIO_CHILDREN))
    ready = await until(lambda: platform.ready(INSTALLATION, "time"))

    # Without a node, the scheduler may have spoken already.
    assert (ready["status"], ready["reason"]) in {("False", "Progressing"), ("False", "Unschedulable")}

    async def environment_is_ready() -> bool:
        return (await platform.ready(ENVIRONMENT, f"env-{platform.mark}")).get("status") == "True"

    await until(environment_is_ready)


@pytest.mark.requirement("INS-8")
async def test_deleting_an_installation_removes_all_that_it_caused_in_every_namespace(
    platform: Platform, operator: OperatorProcess
) -> None:
    await platform.install()
    await until(lambda: _has(platform, STDIO_CHILDREN))

    await platform.cluster.delete(kind_resource(INSTALLATION), "time", platform.spaces.tenant)

    await until(lambda: _has(platform, []))


@pytest.mark.requirement("INS-8")
async def test_what_was_deleted_while_the_operator_was_away_is_cleaned_when_it_is_back(platform: Platform) -> None:
    first = await platform.operator()
    await until(first.leads, 60)
    await platform.install()
    await until(lambda: _has(platform, STDIO_CHILDREN))
    await first.stop(signal.SIGKILL)
    await platform.cluster.delete(kind_resource(INSTALLATION), "time", platform.spaces.tenant)

    second = await platform.operator()

    await until(lambda: _has(platform, []), 40)
    await second.stop()


async def test_a_restarted_operator_writes_nothing(platform: Platform) -> None:
    first = await platform.operator()
    await until(first.leads, 60)
    await platform.install()
    await until(lambda: _has(platform, STDIO_CHILDREN))
    await until(lambda: platform.ready(INSTALLATION, "time"))
    await first.settled()
    await first.stop()

    second = await platform.operator()
    await until(second.leads)
    # It has looked at everything when it repairs what is changed now.
    await platform.cluster.delete(SERVICE, names.server_name(platform.spaces.tenant, "time"), platform.spaces.servers)
    await until(lambda: _has(platform, STDIO_CHILDREN))

    assert await second.writes() == 1
    await second.stop()


async def test_what_somebody_else_wrote_into_a_status_is_taken_out_once(platform: Platform, operator: OperatorProcess) -> None:
    await platform.install()
    await until(lambda: _has(platform, STDIO_CHILDREN))
    await operator.settled()
    written = await operator.writes()
    alien = {"type": "Alien", "status": "True", "reason": "X", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    found = await platform.cluster.get(kind_resource(INSTALLATION), "time", platform.spaces.tenant)
    status = {"tools": {"count": 7, "hash": "x"}, "conditions": [*found["status"]["conditions"], alien]}
    await platform.cluster.patch(kind_resource(INSTALLATION), "time", {"status": status}, platform.spaces.tenant, subresource="status")

    async def is_as_before() -> bool:
        now = await platform.cluster.get(kind_resource(INSTALLATION), "time", platform.spaces.tenant)
        return bool(now["status"] == found["status"])

    await until(is_as_before)
    await operator.settled()
    assert await operator.writes() == written + 2


@pytest.mark.parametrize("resource", [DEPLOYMENT, SERVICE, NETWORK_POLICY, SECRET], ids=lambda r: r.kind)
async def test_a_deleted_child_comes_back(resource: Resource, platform: Platform, operator: OperatorProcess) -> None:
    await platform.install()
    await until(lambda: _has(platform, STDIO_CHILDREN))
    victim = next(o for o in await platform.children() if o["kind"] == resource.kind)

    await platform.cluster.delete(resource, victim["metadata"]["name"], victim["metadata"]["namespace"])

    async def is_back() -> bool:
        found = [o for o in await platform.children() if o["metadata"]["name"] == victim["metadata"]["name"] and o["kind"] == resource.kind]
        return bool(found) and found[0]["metadata"]["uid"] != victim["metadata"]["uid"]

    await until(is_back, 5)


async def test_an_opened_policy_is_closed_again(platform: Platform, operator: OperatorProcess) -> None:
    await platform.install()
    await until(lambda: _has(platform, STDIO_CHILDREN))
    name = names.server_name(platform.spaces.tenant, "time")
    await platform.cluster.patch(NETWORK_POLICY, name, {"spec": {"egress": [{}]}}, platform.spaces.servers)

    async def is_closed() -> bool:
        return "egress" not in (await platform.cluster.get(NETWORK_POLICY, name, platform.spaces.servers))["spec"]

    await until(is_closed, 5)


@pytest.mark.requirement("OPS-1")
async def test_nothing_of_a_users_object_is_written_but_its_status(platform: Platform, operator: OperatorProcess) -> None:
    await platform.install()
    await until(lambda: platform.ready(INSTALLATION, "time"))

    found = await platform.cluster.get(kind_resource(INSTALLATION), "time", platform.spaces.tenant, managed_fields=True)

    assert "finalizers" not in found["metadata"]
    assert "annotations" not in found["metadata"]
    ours = [entry for entry in found["metadata"]["managedFields"] if entry.get("subresource") == "status"]
    assert [list(entry["fieldsV1"]) for entry in ours] == [["f:status"]]


@pytest.mark.requirement("OPS-1")
async def test_an_unsettled_object_is_in_progress_for_kstatus(platform: Platform, operator: OperatorProcess) -> None:
    await platform.install()
    await until(lambda: platform.ready(INSTALLATION, "time"))
    found = await platform.get(INSTALLATION, "time")
    assert found

    assert kstatus(found) == "InProgress"

    async def entry_is_current() -> bool:
        entry = await platform.get(REGISTRY_ENTRY, f"entry-{platform.mark}")
        return entry is not None and kstatus(entry) == "Current"

    await until(entry_is_current)


async def test_what_somebody_else_made_is_never_taken_over(platform: Platform, operator: OperatorProcess) -> None:
    name = names.server_name(platform.spaces.tenant, "time")
    theirs = {"metadata": {"name": name, "namespace": platform.spaces.servers}, "spec": {"ports": [{"port": 1}], "selector": {"a": "b"}}}
    await platform.cluster.create(SERVICE, theirs)

    await platform.install()

    async def conflict() -> bool:
        return (await platform.ready(INSTALLATION, "time")).get("reason") == "Conflict"

    await until(conflict)
    assert (await platform.cluster.get(SERVICE, name, platform.spaces.servers))["spec"]["selector"] == {"a": "b"}


@pytest.mark.requirement("INS-2")
async def test_a_missing_secret_is_named_and_repaired_when_it_appears(platform: Platform, operator: OperatorProcess) -> None:
    await platform.install()
    entry = {
        "title": "X",
        "type": "Remote",
        "remote": {"url": "https://mcp.invalid/mcp"},
        "environmentRef": {"name": f"env-{platform.mark}"},
    }
    fields = [{"name": "token", "type": "String", "secret": True, "required": True}]
    await platform.apply(
        REGISTRY_ENTRY,
        f"entry-{platform.mark}",
        {**entry, "fields": fields, "auth": {"type": "Static", "static": {"value": "${fields.token}"}}},
    )
    source = {"field": "token", "secretKeyRef": {"name": "late", "key": "token"}}
    await platform.apply(
        INSTALLATION, "late", {"entryRef": {"name": f"entry-{platform.mark}"}, "owner": {"user": "okta:alice"}, "valuesFrom": [source]}
    )

    async def reason_is(*reasons: str) -> bool:
        return (await platform.ready(INSTALLATION, "late")).get("reason") in reasons

    await until(lambda: reason_is("SecretMissing"))
    assert "Secret late" in (await platform.ready(INSTALLATION, "late"))["message"]
    metadata = {"name": "late", "namespace": platform.spaces.tenant, "labels": {names.USABLE: "true"}}
    await platform.cluster.create(SECRET, {"metadata": metadata, "stringData": {"token": "planted"}})

    await until(lambda: reason_is("Waiting", "DiscoveryFailed"))


async def test_the_second_default_environment_is_a_condition_on_both(platform: Platform, operator: OperatorProcess) -> None:
    for suffix in ("a", "b"):
        await platform.apply(
            ENVIRONMENT, f"default-{platform.mark}-{suffix}", {"title": "X", "default": True, "egress": {"mode": "DenyAll"}}
        )
    for suffix in ("a", "b"):
        await until(partial(_ready_is, platform, f"default-{platform.mark}-{suffix}", "ManyDefaults"))


async def _ready_is(platform: Platform, name: str, reason: str) -> bool:
    return (await platform.ready(ENVIRONMENT, name)).get("reason") == reason


async def _has(platform: Platform, kinds: list[str]) -> bool:
    return await platform.kinds() == kinds
