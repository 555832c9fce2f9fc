"""A stdio server whose command is that of its image: the registry is real, and wants a login."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from image_registry_process import PASSWORD, USER, Registry, registry_with_password
from operator_platform import Platform, until
from operator_process import OperatorProcess
from wharfinger_cluster.resource import DEPLOYMENT, SECRET, Object
from wharfinger_crds import names
from wharfinger_crds.kinds import INSTALLATION, REGISTRY_ENTRY

CONFIG = {"Entrypoint": ["/server", "--stdio"], "Cmd": ["--quiet"]}
PULLS = [{"name": "regcred"}]


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    async with registry_with_password(tmp_path) as running:
        yield running


async def install(platform: Platform, image: str, name: str = "time", **hosted: Any) -> None:
    await platform.environment()
    whole = {"image": image, "transport": "Stdio", "imagePullSecrets": PULLS, **hosted}
    spec = {"title": "X", "type": "SelfHosted", "selfHosted": whole, "environmentRef": {"name": f"env-{platform.mark}"}}
    await platform.apply(REGISTRY_ENTRY, f"entry-{platform.mark}", spec)
    await platform.apply(INSTALLATION, name, {"entryRef": {"name": f"entry-{platform.mark}"}, "owner": {"team": "engineering"}})


async def put_pull_secret(platform: Platform, host: str, password: str = PASSWORD) -> None:
    document = json.dumps({"auths": {host: {"username": USER, "password": password}}})
    metadata = {"name": "regcred", "namespace": platform.spaces.catalog, "labels": {names.USABLE: "true"}}
    body = {"metadata": metadata, "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": document}}
    await platform.cluster.apply(SECRET, body)


async def put_account(platform: Platform, password: str) -> None:
    metadata = {"name": "account", "namespace": platform.spaces.catalog, "labels": {names.USABLE: "true"}}
    await platform.cluster.apply(SECRET, {"metadata": metadata, "stringData": {"username": USER, "password": password}})


async def deployment(platform: Platform) -> Object | None:
    return next((o for o in await platform.children() if o["kind"] == "Deployment"), None)


async def runs(platform: Platform, *program: str) -> bool:
    """Tell whether that is what stands behind the bridge's own arguments."""
    found = await deployment(platform)
    command: list[str] = found["spec"]["template"]["spec"]["containers"][0]["command"] if found else []
    return bool(command) and command[command.index("--") + 1 :] == list(program)


async def values_say(platform: Platform, words: str) -> bool:
    found = await platform.get(INSTALLATION, "time") or {}
    condition: dict[str, str] = next((c for c in found.get("status", {}).get("conditions", []) if c["type"] == "ValuesResolved"), {})
    return condition.get("reason") == "ImageUnreadable" and words in condition["message"]


@pytest.mark.requirement("REG-4", "ORC-4")
async def test_a_private_image_without_command_runs_its_own_entry_point(
    platform: Platform, operator: OperatorProcess, registry: Registry
) -> None:
    await registry.push("acme/server", "1", CONFIG)
    await put_pull_secret(platform, registry.host)

    await install(platform, f"{registry.host}/acme/server:1")

    await until(lambda: runs(platform, "/server", "--stdio", "--quiet"))
    await install(platform, f"{registry.host}/acme/server:1", args=["--loud"])
    await until(lambda: runs(platform, "/server", "--stdio", "--loud"))


@pytest.mark.requirement("REG-4", "ORC-4")
async def test_a_registry_lets_the_operator_in_with_the_credentials_of_the_entry(
    platform: Platform, operator: OperatorProcess, registry: Registry
) -> None:
    await registry.push("acme/server", "1", CONFIG)
    credentials = [{"server": registry.host, "secretRef": {"name": "account"}}]
    await put_account(platform, "wrong")
    await install(platform, f"{registry.host}/acme/server:1", imagePullSecrets=[], registryCredentials=credentials)
    await until(lambda: values_say(platform, "refuses the login of the pull Secrets"))

    await put_account(platform, PASSWORD)

    await until(lambda: runs(platform, "/server", "--stdio", "--quiet"))


@pytest.mark.requirement("REG-4")
async def test_a_tag_that_moved_rolls_nothing_until_the_entry_changes(
    platform: Platform, operator: OperatorProcess, registry: Registry
) -> None:
    await registry.push("acme/server", "1", CONFIG)
    await put_pull_secret(platform, registry.host)
    await install(platform, f"{registry.host}/acme/server:1")
    await until(lambda: runs(platform, "/server", "--stdio", "--quiet"))

    await registry.push("acme/server", "1", {"Entrypoint": ["/moved"]})
    await platform.looked_at_again()
    assert await runs(platform, "/server", "--stdio", "--quiet")

    await install(platform, f"{registry.host}/acme/server:1", args=["--loud"])
    await until(lambda: runs(platform, "/moved", "--loud"))


async def test_a_restarted_operator_asks_no_registry_and_writes_nothing(platform: Platform, tmp_path: Path) -> None:
    first = await platform.operator()
    async with registry_with_password(tmp_path) as registry:
        await registry.push("acme/server", "1", CONFIG)
        await put_pull_secret(platform, registry.host)
        await install(platform, f"{registry.host}/acme/server:1")
        await until(lambda: runs(platform, "/server", "--stdio", "--quiet"))
    await until(lambda: _is_settled(platform))
    await first.settled()
    await first.stop()

    second = await platform.operator()
    await until(second.leads)
    await platform.looked_at_again()

    assert await second.writes() == 1
    assert await runs(platform, "/server", "--stdio", "--quiet")
    await second.stop()


@pytest.mark.requirement("REG-4", "ORC-4")
async def test_a_refused_login_is_said_and_mended_by_the_pull_secret(
    platform: Platform, operator: OperatorProcess, registry: Registry
) -> None:
    await registry.push("acme/server", "1", CONFIG)
    await put_pull_secret(platform, registry.host, "wrong")
    await install(platform, f"{registry.host}/acme/server:1")
    await until(lambda: values_say(platform, "refuses the login of the pull Secrets"))
    assert await deployment(platform) is None

    await put_pull_secret(platform, registry.host)

    await until(lambda: runs(platform, "/server", "--stdio", "--quiet"))


async def test_a_registry_that_does_not_answer_holds_up_nobody_else(platform: Platform, operator: OperatorProcess) -> None:
    await put_pull_secret(platform, "localhost:1")
    await install(platform, "localhost:1/acme/server:1")
    await until(lambda: values_say(platform, "registry localhost:1 cannot be reached"))

    await install(platform, "localhost:1/acme/server:1", command=["/server"])

    await until(lambda: runs(platform, "/server"))


async def test_what_somebody_writes_into_the_annotation_does_not_run(
    platform: Platform, operator: OperatorProcess, registry: Registry
) -> None:
    await registry.push("acme/server", "1", CONFIG)
    await put_pull_secret(platform, registry.host)
    await install(platform, f"{registry.host}/acme/server:1")
    found = await until(lambda: deployment(platform))
    written = json.loads(found["metadata"]["annotations"][names.IMAGE_CONFIG])
    forged = json.dumps({**written, "entrypoint": ["/evil"]})
    meta = found["metadata"]

    await platform.cluster.patch(DEPLOYMENT, meta["name"], {"metadata": {"annotations": {names.IMAGE_CONFIG: forged}}}, meta["namespace"])

    async def is_repaired() -> bool:
        now = await deployment(platform)
        return now is not None and json.loads(now["metadata"]["annotations"][names.IMAGE_CONFIG]) == written

    await until(is_repaired)
    assert await runs(platform, "/server", "--stdio", "--quiet")
    now = await deployment(platform)
    assert now
    assert now["spec"]["template"] == found["spec"]["template"]


async def _is_settled(platform: Platform) -> bool:
    found = await platform.get(INSTALLATION, "time") or {}
    return any(c["type"] == "ValuesResolved" and c["status"] == "True" for c in found.get("status", {}).get("conditions", []))
