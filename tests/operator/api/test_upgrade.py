"""What an upgrade and an edit do to servers that run. The test makes the pods ready, in place of a kubelet."""

from typing import Any

import pytest

from operator_platform import Platform, until
from operator_process import OperatorProcess
from ready_pods import ready_pods
from wharfinger_cluster.resource import CONFIG_MAP, DEPLOYMENT, Object, Scope
from wharfinger_crds import names
from wharfinger_crds.kinds import INSTALLATION, REGISTRY_ENTRY
from wharfinger_operator.plan.rollout import AT_ONCE

SECONDS = 40.0


async def deployments(platform: Platform) -> tuple[Object, ...]:
    return await platform.cluster.list(DEPLOYMENT, Scope(platform.spaces.servers))


async def all_available(platform: Platform) -> bool:
    await ready_pods(platform.cluster, platform.spaces.servers)
    found = await deployments(platform)
    return bool(found) and all(
        d.get("status", {}).get("availableReplicas") == 1 and not d["status"].get("unavailableReplicas") for d in found
    )


def hosted(platform: Platform, *args: str, **more: Any) -> dict[str, Any]:
    spec = {"command": ["mcp-server-time"], "args": list(args), "transport": "Stdio"}
    return {"title": "X", "type": "SelfHosted", "selfHosted": spec, "environmentRef": {"name": f"env-{platform.mark}"}, **more}


def args_of(deployment: Object) -> list[str]:
    command: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["command"]
    return command


def bridge_of(deployment: Object) -> str:
    return str(deployment["spec"]["template"]["spec"]["initContainers"][0]["image"])


@pytest.mark.requirement("OPS-9")
async def test_another_bridge_leaves_running_servers_alone_until_they_change_anyway(platform: Platform, operator: OperatorProcess) -> None:
    await platform.install()
    await until(lambda: all_available(platform), SECONDS)
    (before,) = await deployments(platform)
    found = await platform.cluster.get(CONFIG_MAP, names.SETTINGS_CONFIGMAP, platform.spaces.system)
    settings = found["data"][names.SETTINGS_KEY].replace("localhost/wharfinger:dev", "localhost/wharfinger:next")
    await platform.cluster.patch(CONFIG_MAP, names.SETTINGS_CONFIGMAP, {"data": {names.SETTINGS_KEY: settings}}, platform.spaces.system)
    await platform.install("later")

    async def later_has_the_new_bridge() -> bool:
        found = {d["metadata"]["name"]: bridge_of(d) for d in await deployments(platform)}
        return found.get(names.server_name(platform.spaces.tenant, "later")) == "localhost/wharfinger:next"

    await until(later_has_the_new_bridge, SECONDS)
    after = await platform.cluster.get(DEPLOYMENT, before["metadata"]["name"], platform.spaces.servers)
    assert (bridge_of(after), after["metadata"]["generation"]) == ("localhost/wharfinger:dev", before["metadata"]["generation"])

    await platform.apply(REGISTRY_ENTRY, f"entry-{platform.mark}", hosted(platform, "--changed"))

    async def rolled() -> bool:
        return (
            bridge_of(await platform.cluster.get(DEPLOYMENT, before["metadata"]["name"], platform.spaces.servers))
            == "localhost/wharfinger:next"
        )

    await until(rolled, SECONDS)


@pytest.mark.requirement("REG-9")
async def test_an_edit_of_an_entry_rolls_its_servers_a_few_at_a_time(platform: Platform, operator: OperatorProcess) -> None:
    count = AT_ONCE + 2
    for number in range(count):
        await platform.install(f"time-{number}")

    async def reported() -> bool:
        found = [await platform.get(INSTALLATION, f"time-{number}") or {} for number in range(count)]
        workloads = [c["status"] for o in found for c in o.get("status", {}).get("conditions", ()) if c["type"] == "WorkloadAvailable"]
        return await all_available(platform) and workloads == ["True"] * count

    await until(reported, SECONDS)
    await platform.apply(REGISTRY_ENTRY, f"entry-{platform.mark}", hosted(platform, "--changed"))

    async def changed() -> list[str]:
        return [d["metadata"]["name"] for d in await deployments(platform) if "--changed" in args_of(d)]

    async def waiting() -> int:
        found = [await platform.get(INSTALLATION, f"time-{number}") or {} for number in range(count)]
        return sum("in its turn" in c["message"] for o in found for c in o["status"]["conditions"] if c["type"] == "WorkloadAvailable")

    async def has_begun() -> bool:
        return len(await changed()) == AT_ONCE and await waiting() == count - AT_ONCE

    await until(has_begun, SECONDS)
    first = await changed()

    async def next_one_has_its_turn() -> bool:
        await ready_pods(platform.cluster, platform.spaces.servers, first[0])
        return len(await changed()) == AT_ONCE + 1

    await until(next_one_has_its_turn, SECONDS)

    async def all_have_changed() -> bool:
        await ready_pods(platform.cluster, platform.spaces.servers)
        return len(await changed()) == count

    await until(all_have_changed, SECONDS)


@pytest.mark.requirement("REG-9")
async def test_a_newly_required_field_leaves_servers_running_and_says_what_is_missing(
    platform: Platform, operator: OperatorProcess
) -> None:
    await platform.install()
    await until(lambda: all_available(platform), SECONDS)
    (before,) = await deployments(platform)
    field = {"name": "zone", "type": "String", "required": True}
    await platform.apply(REGISTRY_ENTRY, f"entry-{platform.mark}", hosted(platform, "--zone=${fields.zone}", fields=[field]))

    async def says_what_is_missing() -> bool:
        ready = await platform.ready(INSTALLATION, "time")
        return ready.get("reason") == "FieldMissing" and "zone" in ready["message"]

    await until(says_what_is_missing, SECONDS)
    (after,) = await deployments(platform)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
