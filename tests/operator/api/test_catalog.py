"""What entries name in the catalog namespace, on a real API server: there, missing, changed, gone."""

import base64
import contextlib
import json
from functools import partial
from typing import Any

import pytest

from operator_platform import Platform, until
from operator_process import OperatorProcess
from wharfinger_cluster.errors import Conflict, NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import CONFIG_MAP, SECRET, Object, Resource
from wharfinger_crds import names
from wharfinger_crds.kinds import INSTALLATION, REGISTRY_ENTRY

DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"
ENV = [
    {"name": "TOKEN", "secretKeyRef": {"name": "shared", "key": "token"}},
    {"name": "REGION", "configMapKeyRef": {"name": "shared", "key": "region"}},
]


async def install(platform: Platform, **hosted: Any) -> None:
    await platform.environment()
    await change_entry(platform, **hosted)
    await platform.apply(INSTALLATION, "time", {"entryRef": {"name": f"entry-{platform.mark}"}, "owner": {"team": "engineering"}})


async def change_entry(platform: Platform, **hosted: Any) -> None:
    whole = {"command": ["mcp-server-time"], "transport": "Stdio", **hosted}
    spec = {"title": "X", "type": "SelfHosted", "selfHosted": whole, "environmentRef": {"name": f"env-{platform.mark}"}}
    await platform.apply(REGISTRY_ENTRY, f"entry-{platform.mark}", spec)


async def put(platform: Platform, resource: Resource, name: str, labels: dict[str, str] | None = None, **body: Any) -> None:
    metadata = {"name": name, "namespace": platform.spaces.catalog, "labels": {names.USABLE: "true"} if labels is None else labels}
    await platform.cluster.create(resource, {"metadata": metadata, **body})


async def deployment(platform: Platform) -> Object | None:
    return next((o for o in await platform.children() if o["kind"] == "Deployment"), None)


async def secret_of(platform: Platform, suffix: str) -> Object | None:
    name = f"{names.server_name(platform.spaces.tenant, 'time')}-{suffix}"
    return next((o for o in await platform.children() if o["metadata"]["name"] == name), None)


async def holds(platform: Platform, suffix: str, key: str, value: str) -> bool:
    found = await secret_of(platform, suffix)
    return found is not None and base64.b64decode(found["data"].get(key, "")).decode() == value


async def values_are(platform: Platform, reason: str, words: str = "") -> bool:
    found = await platform.get(INSTALLATION, "time") or {}
    condition: dict[str, str] = next((c for c in found.get("status", {}).get("conditions", []) if c["type"] == "ValuesResolved"), {})
    return condition.get("reason") == reason and words in condition["message"]


def login(password: str) -> dict[str, str]:
    return {".dockerconfigjson": json.dumps({"auths": {"ghcr.io": {"username": "robot", "password": password}}})}


@pytest.mark.requirement("ORC-5")
async def test_a_rotated_value_rolls_the_pods_exactly_once(platform: Platform, operator: OperatorProcess) -> None:
    await put(platform, SECRET, "shared", stringData={"token": "planted-1"})
    await put(platform, CONFIG_MAP, "shared", data={"region": "eu"})
    await install(platform, env=ENV)
    await until(lambda: deployment(platform))
    assert await holds(platform, "env", "TOKEN", "planted-1")

    for turn, (resource, body, key, value) in enumerate([
        (SECRET, {"stringData": {"token": "planted-2"}}, "TOKEN", "planted-2"),
        (CONFIG_MAP, {"data": {"region": "us"}}, "REGION", "us"),
    ]):  # fmt: skip
        await platform.cluster.patch(resource, "shared", body, platform.spaces.catalog)
        await until(partial(holds, platform, "env", key, value))
        await until(partial(_generation_is, platform, turn + 2))

    await platform.looked_at_again()
    assert await _generation_is(platform, 3)


@pytest.mark.requirement("ORC-5", "INS-2")
async def test_a_rotated_secret_of_the_tenant_in_a_file_rolls_the_pods_exactly_once(platform: Platform, operator: OperatorProcess) -> None:
    metadata = {"name": "mine", "namespace": platform.spaces.tenant, "labels": {names.USABLE: "true"}}
    await platform.cluster.create(SECRET, {"metadata": metadata, "stringData": {"key": "planted-1"}})
    await platform.environment()
    hosted = {"command": ["server"], "transport": "Stdio", "files": [{"path": "/etc/server/key", "value": "key=${fields.key}"}]}
    fields = [{"name": "key", "type": "String", "secret": True, "required": True}]
    where = {"environmentRef": {"name": f"env-{platform.mark}"}}
    await platform.apply(
        REGISTRY_ENTRY, f"entry-{platform.mark}", {"title": "X", "type": "SelfHosted", "selfHosted": hosted, "fields": fields, **where}
    )
    source = {"field": "key", "secretKeyRef": {"name": "mine", "key": "key"}}
    named = {"entryRef": {"name": f"entry-{platform.mark}"}, "owner": {"team": "engineering"}}
    await platform.apply(INSTALLATION, "time", {**named, "valuesFrom": [source]})
    await until(lambda: in_a_file(platform, "key=planted-1"))
    assert await _generation_is(platform, 1)

    await platform.cluster.patch(SECRET, "mine", {"stringData": {"key": "planted-2"}}, platform.spaces.tenant)

    await until(lambda: in_a_file(platform, "key=planted-2"))
    await until(lambda: _generation_is(platform, 2))
    await platform.looked_at_again()
    assert await _generation_is(platform, 2)


async def in_a_file(platform: Platform, value: str) -> bool:
    """Tell whether a Secret that the pods mount has that content."""
    found = await deployment(platform)
    mounted = {v["secret"]["secretName"] for v in found["spec"]["template"]["spec"]["volumes"] if "secret" in v} if found else set()
    secrets = [o for o in await platform.children() if o["kind"] == "Secret" and o["metadata"]["name"] in mounted]
    return any(base64.b64decode(text).decode() == value for secret in secrets for text in secret["data"].values())


@pytest.mark.requirement("INS-2")
async def test_what_the_catalog_lacks_is_named_and_repaired_when_it_appears(platform: Platform, operator: OperatorProcess) -> None:
    await install(platform, env=ENV)
    await until(lambda: values_are(platform, "SecretMissing", f"Secret shared with the label {names.USABLE}"))
    await put(platform, SECRET, "shared", stringData={"other": "planted"})
    await until(lambda: values_are(platform, "SecretMissing", "has no key token"))
    await platform.cluster.patch(SECRET, "shared", {"stringData": {"token": "planted"}}, platform.spaces.catalog)
    await until(lambda: values_are(platform, "ConfigMapMissing", "ConfigMap shared"))
    assert await deployment(platform) is None

    await put(platform, CONFIG_MAP, "shared", data={"region": "eu"})

    await until(lambda: values_are(platform, "Succeeded"))
    await until(lambda: deployment(platform))


async def test_a_server_goes_on_with_what_it_has_when_its_secret_goes(platform: Platform, operator: OperatorProcess) -> None:
    await put(platform, SECRET, "shared", stringData={"token": "planted-1"})
    await install(platform, env=ENV[:1])
    await until(lambda: deployment(platform))

    await platform.cluster.delete(SECRET, "shared", platform.spaces.catalog)

    await until(lambda: values_are(platform, "SecretMissing"))
    assert await _generation_is(platform, 1)
    assert await holds(platform, "env", "TOKEN", "planted-1")


@pytest.mark.parametrize("labels", [{}, {names.USABLE: "false"}, {names.USABLE: "true", names.MANAGED_BY: names.MANAGER}])
async def test_what_is_not_opted_in_or_was_made_by_the_operator_is_not_there(
    labels: dict[str, str], platform: Platform, operator: OperatorProcess
) -> None:
    await put(platform, SECRET, "shared", labels, stringData={"token": "planted"})
    await install(platform, env=ENV[:1])

    await until(lambda: values_are(platform, "SecretMissing"))


@pytest.mark.requirement("ORC-4")
async def test_pull_secrets_are_kept_in_step_and_roll_nothing(platform: Platform, operator: OperatorProcess) -> None:
    await put(platform, SECRET, "regcred", type=DOCKER_CONFIG, stringData=login("planted-1"))
    await put(platform, SECRET, "account", stringData={"username": "robot", "password": "planted-1"})
    credentials = [{"server": "registry.acme.dev", "secretRef": {"name": "account"}}]
    await install(platform, image="ghcr.io/acme/x:1", imagePullSecrets=[{"name": "regcred"}], registryCredentials=credentials)
    running = await until(lambda: deployment(platform))
    copied = f"pull-{names.short_hash('pull', 'regcred')}"
    server = names.server_name(platform.spaces.tenant, "time")
    assert running["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": f"{server}-{copied}"}, {"name": f"{server}-registries"}]
    for suffix in (copied, "registries"):
        found = await secret_of(platform, suffix)
        assert found
        assert found["type"] == DOCKER_CONFIG

    await platform.cluster.patch(SECRET, "regcred", {"stringData": login("planted-2")}, platform.spaces.catalog)
    await platform.cluster.patch(SECRET, "account", {"stringData": {"password": "planted-2"}}, platform.spaces.catalog)

    await until(lambda: holds(platform, copied, ".dockerconfigjson", login("planted-2")[".dockerconfigjson"]))

    async def built_anew() -> bool:
        found = await secret_of(platform, "registries")
        document = json.loads(base64.b64decode(found["data"][".dockerconfigjson"])) if found else {"auths": {}}
        return bool(document["auths"].get("registry.acme.dev", {}).get("password") == "planted-2")

    await until(built_anew)
    await platform.looked_at_again()
    assert await _generation_is(platform, 1)


async def test_pull_secrets_that_the_entry_names_no_more_are_deleted(platform: Platform, operator: OperatorProcess) -> None:
    await put(platform, SECRET, "regcred", type=DOCKER_CONFIG, stringData=login("planted"))
    await install(platform, image="ghcr.io/acme/x:1", imagePullSecrets=[{"name": "regcred"}])
    await until(lambda: deployment(platform))

    await change_entry(platform, image="ghcr.io/acme/x:1")

    async def is_gone() -> bool:
        return not [o for o in await platform.children() if o.get("type") == DOCKER_CONFIG]

    await until(is_gone)


@pytest.mark.requirement("ORC-4")
async def test_a_secret_that_is_no_pull_secret_is_said_and_mended(platform: Platform, operator: OperatorProcess) -> None:
    await put(platform, SECRET, "regcred", stringData=login("planted"))
    await install(platform, image="ghcr.io/acme/x:1", imagePullSecrets=[{"name": "regcred"}])
    await until(lambda: values_are(platform, "PullSecretInvalid", "is of type Opaque instead of kubernetes.io/dockerconfigjson"))

    await platform.cluster.delete(SECRET, "regcred", platform.spaces.catalog)
    await put(platform, SECRET, "regcred", type=DOCKER_CONFIG, stringData=login("planted"))

    await until(lambda: values_are(platform, "Succeeded"))


async def test_a_pull_secret_that_somebody_made_with_another_type_or_immutable_is_made_anew(
    platform: Platform, operator: OperatorProcess
) -> None:
    await put(platform, SECRET, "regcred", type=DOCKER_CONFIG, stringData=login("planted"))
    await install(platform, image="ghcr.io/acme/x:1", imagePullSecrets=[{"name": "regcred"}])
    await until(lambda: deployment(platform))
    suffix = f"pull-{names.short_hash('pull', 'regcred')}"
    found = await secret_of(platform, suffix)
    assert found
    meta = {key: found["metadata"][key] for key in ("name", "namespace", "labels")}

    async def is_planted() -> bool:
        """The operator may be quicker than we are to make the deleted one anew."""
        with contextlib.suppress(NotFound, Conflict):
            await platform.cluster.delete(SECRET, meta["name"], meta["namespace"])
            await platform.cluster.create(SECRET, {"metadata": meta, "type": "Opaque", "immutable": True, "data": {}})
            return True
        return False

    await until(is_planted)

    async def is_right() -> bool:
        now = await secret_of(platform, suffix)
        return now is not None and now["type"] == DOCKER_CONFIG and "immutable" not in now

    await until(is_right)


async def test_deleting_the_installation_leaves_nothing_of_the_catalogs_values(platform: Platform, operator: OperatorProcess) -> None:
    await put(platform, SECRET, "shared", stringData={"token": "planted"})
    await put(platform, SECRET, "regcred", type=DOCKER_CONFIG, stringData=login("planted"))
    await install(platform, env=ENV[:1], image="ghcr.io/acme/x:1", imagePullSecrets=[{"name": "regcred"}])
    await until(lambda: deployment(platform))

    await platform.cluster.delete(kind_resource(INSTALLATION), "time", platform.spaces.tenant)

    async def is_empty() -> bool:
        return await platform.children() == []

    await until(is_empty)
    assert await platform.cluster.get(SECRET, "regcred", platform.spaces.catalog)


async def test_a_restarted_operator_writes_nothing_for_catalog_values(platform: Platform) -> None:
    first = await platform.operator()
    await put(platform, SECRET, "shared", stringData={"token": "planted"})
    await put(platform, SECRET, "regcred", type=DOCKER_CONFIG, stringData=login("planted"))
    await install(platform, env=ENV[:1], image="ghcr.io/acme/x:1", imagePullSecrets=[{"name": "regcred"}])
    await until(lambda: platform.ready(INSTALLATION, "time"))
    await until(lambda: values_are(platform, "Succeeded"))
    await first.settled()
    await first.stop()

    second = await platform.operator()
    await until(second.leads)
    await platform.looked_at_again()

    assert await second.writes() == 1
    await second.stop()


async def _generation_is(platform: Platform, expected: int) -> bool:
    found = await deployment(platform)
    return found is not None and found["metadata"]["generation"] == expected
